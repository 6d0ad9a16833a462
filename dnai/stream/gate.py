"""The gate before the Socket.IO server: who gets in at all, how much, and how fast.

Everything here is about connections, nothing about music. The Socket.IO library would let a stranger
hold connections open, queue answers without end, or have its logs filled; so connections, the time
until a ticket is shown, the words that may be said, and the bytes on their way out are bounded here.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from dnai.stream.payloads import HEALTH_PATH, PIECE_BYTES, SOCKETIO_PATH

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_INBOUND_BYTES: Final = 16 * 1024
MAX_CONNECTIONS: Final = 256
GREETING_TIMEOUT_S: Final = 5.0
"""How long a connection may take to ask for something, and a listener to show a ticket, in seconds."""
STALL_TIMEOUT_S: Final = 30.0
"""How long a listener may take no byte at all before its connection is cut, in seconds."""
MAX_QUEUED_BYTES: Final = 2 * PIECE_BYTES
"""Above this, no further call of that connection is looked at until bytes have left."""
_MAX_WRITE_BUFFER: Final = 4 * PIECE_BYTES
_FAREWELL_S: Final = 0.5

CONNECTION_KEY: Final = "dnai.connection"
_TRANSPORT_KEY: Final = "dnai.transport"

# Engine.IO's pong, and the two Socket.IO packets that start and make use of a session. A goodbye of either
# protocol ("1", "41") ends the connection like anything else; the library would leave it open.
_ALLOWED_TEXT = re.compile(r"3\Z|4[02]")
_CONNECT_TEXT = "40"
_END: Final = {"type": "websocket.disconnect", "code": 1008}


class Connection:
    """One WebSocket between its handshake and its end."""

    def __init__(self, receive: Receive, send: Send, *, transport: asyncio.Transport) -> None:
        self._receive = receive
        self._send = send
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._admit_by = self._loop.time() + GREETING_TIMEOUT_S
        self._admitted = False
        self._greeted = False
        self._gone = False
        self._queued_bytes = 0
        self._room = asyncio.Event()
        self._room.set()

    def admit(self) -> None:
        """Let this connection stay: it has shown a good ticket."""
        self._admitted = True

    def close(self) -> None:
        """End this connection as soon as what was said has left, or in half a second."""
        self._transport.close()
        self._loop.call_later(_FAREWELL_S, self._transport.abort)

    def close_soon(self) -> None:
        """End this connection after the answer that is being given."""
        self._loop.call_later(_FAREWELL_S, self.close)

    def queue(self, size: int) -> None:
        """Note that `size` bytes are on their way out."""
        self._queued_bytes += size
        if self._queued_bytes >= MAX_QUEUED_BYTES:
            self._room.clear()

    async def room(self) -> bool:
        """Wait until little enough is on its way out; False, and the connection cut, when nothing moves."""
        try:
            await asyncio.wait_for(self._room.wait(), STALL_TIMEOUT_S)
        except TimeoutError:
            self._transport.abort()
            return False
        return not self._gone

    async def receive(self) -> Message:
        """Return the next ASGI message; the end of the connection instead of what is not allowed."""
        if self._gone:
            return dict(_END)
        try:
            limit_s = None if self._admitted else max(0.0, self._admit_by - self._loop.time())
            message = await asyncio.wait_for(self._receive(), limit_s)
        except TimeoutError:
            return dict(_END)
        is_fine = message["type"] != "websocket.receive" or self._is_allowed(message.get("text"))
        return message if is_fine else dict(_END)

    def _is_allowed(self, text: str | None) -> bool:
        if text is None or not _ALLOWED_TEXT.match(text):
            return False
        if text.startswith(_CONNECT_TEXT):
            first, self._greeted = not self._greeted, True
            return first
        return self._admitted or not text.startswith("42")

    async def send(self, message: Message) -> None:
        """Pass an ASGI message on, and make room for the next one."""
        try:
            await asyncio.wait_for(self._send(message), STALL_TIMEOUT_S)
        except BaseException:
            self._gone = True
            self._room.set()
            self._transport.abort()
            raise
        self._queued_bytes -= len(message.get("bytes") or b"")
        if self._queued_bytes < MAX_QUEUED_BYTES:
            self._room.set()


def gated(engine: App) -> App:
    """Return the ASGI application: Socket.IO behind its gate, and whether the server is well."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # A browser names the page that asks. No page has any business here.
        is_page = any(name.lower() == b"origin" for name, _ in scope.get("headers", ()))
        if scope["type"] == "websocket":
            await _websocket(engine, scope, receive, send, is_page=is_page)
        elif scope["type"] == "http":
            is_health = scope["path"] == HEALTH_PATH and scope["method"] in {"GET", "HEAD"}
            await _answer(send, status=403 if is_page else 204 if is_health else 404)

    return app


async def _websocket(engine: App, scope: Scope, receive: Receive, send: Send, *, is_page: bool) -> None:
    known_session = b"sid=" in scope["query_string"]  # only polling would name one, which is not offered
    if is_page or known_session or scope["path"].strip("/") != SOCKETIO_PATH:
        await receive()
        await send({"type": "websocket.close"})
        return
    connection = Connection(receive, send, transport=scope["state"][_TRANSPORT_KEY])
    await engine({**scope, CONNECTION_KEY: connection}, connection.receive, connection.send)


async def _answer(send: Send, *, status: int) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")] if status != 204 else [(b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class Doors:
    """The TCP connections of one server: so many, and none that only sits there."""

    def __init__(self, *, max_connections: int = MAX_CONNECTIONS) -> None:
        self._max_connections = max_connections
        self._open: set[asyncio.Transport] = set()

    def admit(self, transport: asyncio.Transport) -> bool:
        """Count `transport` in; False where all places are taken."""
        self._open = {known for known in self._open if not known.is_closing()}
        if len(self._open) >= self._max_connections:
            return False
        self._open.add(transport)
        return True

    def abort_all(self) -> None:
        """Cut every connection that is still there."""
        for transport in self._open:
            transport.abort()


def http_protocol(doors: Doors) -> type[H11Protocol]:
    """Return uvicorn's protocol for new connections, which asks at `doors` first."""

    class GuardedHttp(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            super().connection_made(transport)
            # asyncio leaves this out for sockets that a listener made by hand has accepted: 44 ms for each small call.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not doors.admit(transport):
                transport.abort()
                return
            self.loop.call_later(GREETING_TIMEOUT_S, self._close_unless_asked)

        def _close_unless_asked(self) -> None:
            if self.transport.get_protocol() is self and self.cycle is None:
                self.transport.close()

    return GuardedHttp


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which tells the gate its transport and does not buffer without end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport where the gate finds it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT_KEY: self.transport}

    def data_received(self, data: bytes) -> None:
        """Take `data` in, unless the other side sends pings and never reads an answer."""
        if self.transport.get_write_buffer_size() > _MAX_WRITE_BUFFER:
            self.transport.abort()
            return
        super().data_received(data)

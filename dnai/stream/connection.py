"""One connection to a provider's stream server, on the listener's side.

The provider is a stranger's program. So the connection goes to one checked address and nowhere else,
what arrives is counted against what was asked for, and what the libraries make of a lying server is
turned into DN.ai's own errors here, and only here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Mapping

import aiohttp
import socketio
from engineio import base_client
from socketio.exceptions import SocketIOError

from dnai.errors import PeerBrokeOffError, PeerRefusedError, PeerUnreachableError, StreamError
from dnai.stream import payloads
from dnai.stream.metered import MAX_MESSAGE_BYTES, Meter, Place, http_session
from dnai.stream.packets import GARBAGE_EVENT, ClientSidePacket, discreet_logger
from dnai.stream.payloads import Refusal
from dnai.text import clean_text

_END_TIMEOUT_S = 0.3

_REFUSED: Mapping[str, str] = {
    Refusal.BAD_TICKET: "it does not take this ticket or session (any more)",
    Refusal.EXPIRED: "the ticket or session is too old",
    Refusal.BUSY: "it has too many listeners at the moment",
    Refusal.NO_TRACKS: "the tracks that it offered are gone",
    Refusal.BAD_REQUEST: "it does not understand what this version of DN.ai asks",
    Refusal.FAILED: "something failed on its side",
}

# python-socketio and aiohttp take the server's first packets apart unchecked, so a lying one makes them
# raise whatever indexing, converting and nesting can raise.
_LIBRARY_ERRORS = (
    SocketIOError,
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
)

logger = logging.getLogger(__name__)


class PeerConnection:
    """A connection that a ticket or a session's secret opened; used on one loop only."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._meter = Meter()
        self._http = http_session(place, self._meter)
        self._sio = self._make_socketio()
        self._waiting: set[asyncio.Future[object]] = set()
        self._refusal: object = None
        self._broken = False

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return not self._broken and bool(self._sio.connected) and self._sio.eio.state == "connected"

    @property
    def has_lied(self) -> bool:
        """Whether the server broke a promise; then there is no point in coming back to it."""
        return self._meter.broken_by is not None

    async def open(self, auth: Mapping[str, object], *, timeout_s: float) -> None:
        """Connect and show `auth`.

        Raises
        ------
        PeerUnreachableError
            When nobody answers there in time, or what answers is no stream server.
        PeerRefusedError
            When the server does not take the ticket or the secret.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._sio.connect(
                    self.place.url,
                    auth=dict(auth),
                    transports=["websocket"],
                    namespaces=["/"],
                    socketio_path=payloads.SOCKETIO_PATH,
                    wait_timeout=timeout_s,
                )
        except _LIBRARY_ERRORS as error:
            await self.close()
            raise self._cannot_open(error, timeout_s) from error
        except BaseException:
            await self.close()
            raise

    def _cannot_open(self, error: Exception, timeout_s: float) -> StreamError:
        if self._refusal is not None:
            code = payloads.refusal_code(self._refusal)
            return PeerRefusedError(f"{self.place.named} says no: {_REFUSED.get(code, 'it gives no reason')}")
        if isinstance(error, TimeoutError):
            reason = f"no answer within {timeout_s:.1f} s"
        elif self._meter.broken_by is not None:
            reason = self._meter.broken_by
        else:
            reason = _root_reason(error)
        return PeerUnreachableError(f"no music can be had from {self.place.named}: {reason}")

    async def call(self, event: str, data: object, *, reply_bytes: int) -> object:
        """Return the server's answer to one call; the caller bounds the time.

        Raises
        ------
        PeerBrokeOffError
            When the connection is or gets lost.
        """
        if not self.is_open:
            raise self._break()
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def deliver(value: object = None) -> None:
            if not answer.done():
                answer.set_result(value)

        self._waiting.add(answer)
        self._meter.expect(reply_bytes)
        try:
            await self._sio.emit(event, data, callback=deliver)
            return await answer
        except SocketIOError as error:
            raise self._break() from error
        finally:
            self._waiting.discard(answer)

    def give_up(self, reason: str) -> PeerBrokeOffError:
        """Note that the server broke a promise, fail all calls, and return the error that says so."""
        self._meter.broken_by = self._meter.broken_by or reason
        return self._break()

    async def close(self) -> None:
        """End the connection and everything that belongs to it; closing twice does nothing."""
        self._break()
        engine = self._sio.eio
        tasks = [task for task in (engine.read_loop_task, engine.write_loop_task) if task is not None]
        # Not the library's own way of disconnecting: called off half-way, it keeps the client for ever.
        if self._meter.socket is not None:
            await self._within_limit(self._meter.socket.close())
        await self._http.close()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_END_TIMEOUT_S)
            for task in late:
                task.cancel()
        with contextlib.suppress(ValueError):
            base_client.connected_clients.remove(engine)

    async def _within_limit(self, farewell: Awaitable[object]) -> None:
        try:
            await asyncio.wait_for(farewell, _END_TIMEOUT_S)
        except _LIBRARY_ERRORS as error:
            logger.debug("%s did not say goodbye: %s", self.place.named, type(error).__name__)

    def _break(self) -> PeerBrokeOffError:
        """Fail every call that waits, and return an error for one more."""
        self._broken = True
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(self._broke_off())
        return self._broke_off()

    def _broke_off(self) -> PeerBrokeOffError:
        reason = self._meter.broken_by or "the connection was lost"
        return PeerBrokeOffError(f"the music from {self.place.named} broke off: {reason}")

    def _make_socketio(self) -> socketio.AsyncClient:
        sio = socketio.AsyncClient(
            reconnection=False,
            handle_sigint=False,
            serializer=ClientSidePacket,
            logger=discreet_logger(f"{__name__}.socketio"),
            engineio_logger=discreet_logger(f"{__name__}.engineio"),
            http_session=self._http,
            request_timeout=_END_TIMEOUT_S,
            timestamp_requests=False,
            websocket_extra_options={"max_msg_size": MAX_MESSAGE_BYTES, "compress": 0},
        )
        sio.on("disconnect", self._on_disconnect)
        sio.on("connect_error", self._on_refused)
        sio.on(GARBAGE_EVENT, self._on_garbage)
        return sio

    async def _on_disconnect(self, _reason: str) -> None:
        self._break()

    async def _on_refused(self, reason: object = None) -> None:
        # A failed connection comes this way, too, as a text of the library's own.
        self._refusal = reason if isinstance(reason, dict) else None

    async def _on_garbage(self) -> None:
        # Bytes that were on their way when the line broke are taken for a packet by the library: nobody has lied.
        if not self._broken:
            self.give_up("it sent what is no answer")


def _root_reason(error: BaseException) -> str:
    """Return the words of the error that `error` came from, in one short line."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return clean_text(str(error)) or type(error).__name__

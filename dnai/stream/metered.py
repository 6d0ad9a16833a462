"""An HTTP client that can do one thing: a WebSocket to one checked address, counting what comes.

aiohttp follows redirects of a WebSocket's handshake, and both it and Engine.IO take whatever a server
sends. Here the address is checked again where the socket is made, anything but the switch to WebSocket
ends the attempt, and every message is counted against what was asked for.
"""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from typing import Any, Final, Literal

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, WSMessage, WSMsgType

from dnai.config import Address
from dnai.stream.addresses import IPAddress
from dnai.stream.payloads import PIECE_BYTES

MAX_MESSAGE_BYTES: Final = 2 * PIECE_BYTES
"""No single message of a server may be longer."""

_HANDSHAKE_BYTES = 16 * 1024
_MESSAGE_COST_BYTES = 64
_IDLE_BYTES_PER_S = 64  # pings
_REPLY_MARGIN_BYTES = 2048

# What of Engine.IO and Socket.IO a server has a use for: open, close, ping; connect, disconnect, answers, refusal.
_ALLOWED_TEXT = re.compile(r"0\{|1\Z|2\Z|4[0134]|461-")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a provider is: as the offer named it, and the one number that was checked."""

    named: Address
    number: IPAddress

    @property
    def url(self) -> str:
        """The URL to connect to, with the number as its host."""
        return f"http://{Address(str(self.number), self.named.port)}"


class Meter:
    """Counts what a server sends against what it was asked for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._left = _HANDSHAKE_BYTES
        self.broken_by: str | None = None
        self.socket: aiohttp.ClientWebSocketResponse[Literal[True]] | None = None

    def expect(self, size: int) -> None:
        """Allow one answer of `size` bytes."""
        self._left += size + _REPLY_MARGIN_BYTES

    def take(self, message: WSMessage) -> None:
        """Count `message`; note, and raise, where it is more or other than what was asked for."""
        self._left -= len(message.data) + _MESSAGE_COST_BYTES
        if self._left + _IDLE_BYTES_PER_S * (self._loop.time() - self._since) < 0:
            self.broken_by = "it sent more than it was asked for"
        elif message.type is WSMsgType.TEXT and not _ALLOWED_TEXT.match(message.data):
            self.broken_by = "it sent what is no answer"
        if self.broken_by is not None:
            raise ValueError(self.broken_by)


def http_session(place: Place, meter: Meter) -> aiohttp.ClientSession:
    """Return an HTTP client that can do one thing: a WebSocket to `place`."""

    class MeteredWebSocket(aiohttp.ClientWebSocketResponse[Literal[True]]):
        async def receive(self, timeout: float | None = None) -> WSMessage:
            meter.socket = self  # Engine.IO forgets it where the handshake fails
            message = await super().receive(timeout)
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                meter.take(message)
            return message

    def checked_socket(addr_info: Any) -> socket.socket:  # noqa: ANN401  # aiohttp has no public name for it
        family, kind, protocol, _, destination = addr_info
        if (destination[0], destination[1]) != (str(place.number), place.named.port):
            raise OSError(f"{destination[0]}:{destination[1]} is not the address that was checked")
        return socket.socket(family, kind, protocol)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=1, force_close=True, use_dns_cache=False, happy_eyeballs_delay=None, socket_factory=checked_socket
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        raise_for_status=False,
        middlewares=(_refuse_redirects,),
        ws_response_class=MeteredWebSocket,
    )


async def _refuse_redirects(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Let nothing but the switch to WebSocket pass: aiohttp follows redirects of a WebSocket's handshake."""
    response = await handler(request)
    if response.status != 101:
        response.close()
        raise aiohttp.ClientConnectionError(f"it answered HTTP {response.status} instead of opening a stream")
    return response

"""The provider's side of a stream: a Socket.IO server in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

import uvicorn

from dnai.audio.converted import ConvertedTracks
from dnai.audio.covers import Covers
from dnai.config import Address
from dnai.errors import ConfigurationError, StreamError, UsageError
from dnai.stream.gate import MAX_CONNECTIONS, MAX_INBOUND_BYTES, Doors, GuardedWebSocket, http_protocol
from dnai.stream.service import StreamService
from dnai.stream.sessions import SessionBook
from dnai.stream.tickets import TicketDesk
from dnai.tracks import Track

Q = TypeVar("Q")

START_TIMEOUT_S = 10.0
_BACKLOG = 128
_SWEEP_S = 30.0
_POLITE_END_S = 0.4
"""How long connections may take to end by themselves when the server stops, in seconds."""
_STOP_TIMEOUT_S = 1.0

logger = logging.getLogger(__name__)


class StreamServer(Generic[Q]):
    """Serves the tracks that tickets stand for.

    Parameters
    ----------
    desk
        Where the tickets come from; it may be used by other threads meanwhile.
    playlist_for
        Returns the tracks that a ticket's query stands for with their distances, nearest first. It is
        called in a worker thread.
    listen
        The address to listen on; port 0 means any free one.
    converted
        Where tracks are converted that browsers do not play; without it they are left out of playlists. It is
        not closed here.
    covers
        The covers of the tracks; without it there are none.
    max_connections
        How many TCP connections are open at a time; the next one is cut at once.
    clock
        Seconds that only go forward, by which sessions grow old.
    """

    def __init__(
        self,
        *,
        desk: TicketDesk[Q],
        playlist_for: Callable[[Q], Sequence[tuple[Track, float]]],
        listen: Address,
        converted: ConvertedTracks | None = None,
        covers: Covers | None = None,
        max_connections: int = MAX_CONNECTIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._playlist_for = playlist_for
        self._listen = listen
        self._converted = converted
        self._covers = covers
        self._max_connections = max_connections
        self._clock = clock
        self._running: _Running | None = None

    @property
    def address(self) -> Address:
        """Where the server listens, with the port that it really has."""
        return self._running.address if self._running is not None else self._listen

    def start(self) -> None:
        """Listen; returns when connections are accepted.

        Raises
        ------
        ConfigurationError
            When the address is in use, is not this machine's, or may not be used.
        StreamError
            When the server does not come up.
        UsageError
            When it is running already.
        """
        if self._running is not None:
            raise UsageError(f"the stream server is running already, on {self.address}")
        listener = _listening_socket(self._listen)
        address = Address(self._listen.host, listener.getsockname()[1])
        doors = Doors(max_connections=self._max_connections)
        service = StreamService(
            desk=self._desk,
            book=SessionBook(clock=self._clock),
            playlist_for=self._playlist_for,
            converted=self._converted,
            covers=self._covers,
        )
        running = _Running(service, listener, doors=doors, address=address)
        running.start()
        self._running = running
        logger.debug("streams are served on %s", address)

    def stop(self) -> None:
        """End every session and connection, within a second; stopping twice does nothing."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Uvicorn(uvicorn.Server):
    """uvicorn, telling when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()


class _Running:
    """One run of the server, from its thread's start to its end."""

    def __init__(self, service: StreamService[Q], listener: socket.socket, *, doors: Doors, address: Address) -> None:
        self.address = address
        self._service = service
        self._listener = listener
        self._doors = doors
        self._ready = threading.Event()
        self._uvicorn = _Uvicorn(_uvicorn_config(service, doors), self._ready)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name=f"dnai-stream-{address.port}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            self.stop()
            raise StreamError(f"the stream server on {self.address} did not start within {START_TIMEOUT_S:.0f} s")

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cut_later)
        self._thread.join(_STOP_TIMEOUT_S)
        if self._thread.is_alive():
            logger.warning("the stream server on %s is still ending: a file read hangs", self.address)

    def _cut_later(self) -> None:
        if self._loop is not None:
            self._loop.call_later(_POLITE_END_S, self._doors.abort_all)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:  # the thread's edge: whoever waits must be told why
            logger.exception("the stream server on %s ended", self.address)
        finally:
            self._listener.close()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        sweeping = asyncio.create_task(self._sweep())
        try:
            await self._uvicorn.serve(sockets=[self._listener])
        finally:
            sweeping.cancel()
            await self._service.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._service.close_idle()


def _uvicorn_config(service: StreamService[Q], doors: Doors) -> uvicorn.Config:
    return uvicorn.Config(
        service.app,
        loop="asyncio",
        http=http_protocol(doors),
        ws=GuardedWebSocket,
        ws_max_size=MAX_INBOUND_BYTES,
        ws_ping_interval=None,  # Engine.IO has pings of its own
        ws_per_message_deflate=False,  # sound files do not become smaller
        h11_max_incomplete_event_size=MAX_INBOUND_BYTES,
        lifespan="off",
        log_config=None,  # only entry points configure handlers
        log_level="error",  # its warnings are of what strangers send: a line for each would fill the log
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )


def _listening_socket(listen: Address) -> socket.socket:
    """Return a socket that listens on `listen`, or say why there is none and what to do."""
    try:
        family, *_, place = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        is_everything = listen.host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(place[:2], family=family, backlog=_BACKLOG, dualstack_ipv6=is_everything)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"cannot listen on {listen}: {_listen_advice(error)}") from error


def _listen_advice(error: Exception) -> str:
    advice = {
        errno.EADDRINUSE: "another program has this port; choose another one, or port 0 for any that is free",
        errno.EADDRNOTAVAIL: "this machine has no such address; 0.0.0.0 stands for all that it has",
        errno.EACCES: "this user may not use that port; choose one above 1023",
    }
    if isinstance(error, socket.gaierror) or not isinstance(error, OSError):
        return f"this host name is not known ({error})"
    return advice.get(error.errno or 0, str(error))

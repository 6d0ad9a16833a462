"""One session with a provider, on the listener's side: its playlist, and pieces of its tracks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from dnai.errors import (
    PeerBrokeOffError,
    PeerRefusedError,
    PeerUnreachableError,
    ProtocolError,
    StreamError,
    UsageError,
)
from dnai.stream import payloads
from dnai.stream.answers import NotPreparedError, refusal
from dnai.stream.connection import PeerConnection
from dnai.stream.loop_thread import LoopThread
from dnai.stream.payloads import Prepared, ReadRequest, TrackRequest
from dnai.stream.window import Window
from dnai.tracks import Playlist, PlaylistEntry, most_converted_bytes

MAX_RESUMES: Final = 2
"""How often a read takes its session up again without a single new byte in between."""

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
_BYE_TIMEOUT_S = 0.3
_CLOSE_TIMEOUT_S = 1.5


T = TypeVar("T")
Reconnect = Callable[[Mapping[str, object]], Awaitable[PeerConnection]]

logger = logging.getLogger(__name__)


class PeerSession:
    """The tracks that one ticket opened; several threads may read them at once.

    Made by :meth:`dnai.stream.client.PeerClient.open`, on the client's loop. `reconnect` returns a new
    connection for what it is given to show; it takes at most `connect_timeout_s`.
    """

    def __init__(
        self,
        connection: PeerConnection,
        details: payloads.Welcome,
        playlist: Playlist,
        *,
        loop: LoopThread,
        reconnect: Reconnect,
        connect_timeout_s: float,
        piece_timeout_s: float,
        prepare_timeout_s: float,
    ) -> None:
        self.playlist = playlist
        self.address = connection.place.named
        self._connection = connection
        self._loop = loop
        self._reconnect = reconnect
        self._connect_timeout_s = connect_timeout_s
        self._piece_timeout_s = piece_timeout_s
        self._prepare_timeout_s = prepare_timeout_s
        self._prepared: dict[str, int] = {}
        self._closing = threading.Event()
        self._proof = {"v": payloads.STREAM_VERSION, "session": details.session, "secret": details.secret}
        self._resuming = asyncio.Lock()
        self._has_covers = payloads.KNOWS_COVER in details.knows
        self._closed = False

    def __repr__(self) -> str:
        return f"PeerSession({self.address}, {len(self.playlist.entries)} tracks)"

    @property
    def is_closed(self) -> bool:
        """Whether it was closed. A connection that was merely lost is taken up again by the next read."""
        return self._closed or self._loop.is_closed

    def prepare(self, track_id: str) -> int:
        """Return the size of a track in bytes; where the playlist does not tell it, wait for its conversion.

        Raises
        ------
        UsageError
            When the track is not in the playlist.
        PeerRefusedError
            When the provider cannot convert it.
        PeerBrokeOffError
            When the provider fails, does not convert it in time, breaks its promise, or this session is closed.
        """
        entry = self._entry(track_id)
        return self._size(entry) or self._prepared.setdefault(track_id, self._prepare(entry))

    def read(self, track_id: str, start: int, stop: int) -> Generator[bytes]:
        """Return the bytes of a track from `start` up to `stop`, in pieces, exactly so many.

        A few pieces are asked for ahead. A lost connection is taken up again from the last good byte.
        Closing the generator early calls off what is still on its way.

        Raises
        ------
        UsageError
            At once: when the track is not in the playlist, or not prepared, or the range not in the track.
        PeerRefusedError
            On the way: when the provider says no, because the file is gone or the session over.
        PeerBrokeOffError
            On the way: when the provider fails, breaks its promise, or this session is closed.
        """
        entry = self._entry(track_id)
        size_bytes = self._size(entry)
        if not 0 <= start <= stop <= size_bytes:
            raise UsageError(f"bytes {start} to {stop} do not lie within a track of {size_bytes} bytes")
        return self._read(entry, start, stop)

    def cover(self, track_id: str) -> bytes | None:
        """Return what the provider sends as the cover of a track, at most 64 KiB; None where there is none.

        It may be anything: it is for the caller to see whether it is a picture. A lost connection is not taken up
        again for it.

        Raises
        ------
        UsageError
            When the track is not in the playlist.
        PeerBrokeOffError
            When the provider fails, breaks its promise, or this session is closed.
        """
        entry = self._entry(track_id)
        return self._wait(self._submit(self._ask_cover(entry))) if self._has_covers else None

    def resume(self) -> None:
        """Take the session up again, where its connection was lost.

        Raises
        ------
        PeerUnreachableError, PeerRefusedError, PeerBrokeOffError
            When the provider cannot be reached, knows this session no longer, or does not answer.
        """
        timeout_s = 2 * self._connect_timeout_s
        self._loop.wait(self._submit(self._resume()), timeout_s=timeout_s, waiting_for=f"{self.address}")

    def close(self) -> None:
        """Tell the provider that the session is over, and end it; closing twice does nothing."""
        if self.is_closed:
            return
        ending = self._submit(self.end())
        try:
            self._loop.wait(ending, timeout_s=_CLOSE_TIMEOUT_S, waiting_for=f"the end of {self.address}")
        except StreamError as error:
            logger.debug("a session ended without a goodbye: %s", error)

    async def end(self) -> None:
        """Do what `close` does, for a caller on the client's loop."""
        if self._closed:
            return
        self._closed = True
        self._closing.set()
        try:
            if self._connection.is_open:
                async with asyncio.timeout(_BYE_TIMEOUT_S):
                    await self._connection.call(payloads.BYE_EVENT, None, reply_bytes=0)
        except (PeerBrokeOffError, TimeoutError):
            logger.debug("%s did not hear the goodbye", self.address)
        await self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _entry(self, track_id: str) -> PlaylistEntry:
        entry = self.playlist.entry(track_id)
        if entry is None:
            raise UsageError(f"the playlist of {self.address} has no track {track_id[:64]!r}")
        return entry

    def _size(self, entry: PlaylistEntry) -> int:
        """The track's size in bytes, 0 where it is not known yet."""
        return entry.size_bytes or self._prepared.get(entry.track_id, 0)

    def _prepare(self, entry: PlaylistEntry) -> int:
        """Ask again and again until the provider has converted the track."""
        deadline = time.monotonic() + self._prepare_timeout_s
        pause_s, patience = 0.0, MAX_RESUMES
        while not self._closing.wait(pause_s):
            try:
                size_bytes = self._wait(self._submit(self._ask_size(entry)))
            except PeerBrokeOffError as error:
                patience -= _cost(error)
                if patience < 0:
                    raise
                self._take_up_again(error)
                continue
            if size_bytes:
                return size_bytes
            if time.monotonic() > deadline:  # its other tracks would be waited for as long
                raise PeerBrokeOffError(f"{self.address} did not convert this track in {self._prepare_timeout_s:g} s")
            pause_s = min(2 * pause_s + _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        raise PeerBrokeOffError(f"the session with {self.address} was closed")

    def _prepare_again(self, entry: PlaylistEntry, error: NotPreparedError) -> None:
        """Have a track converted that was read already, and has gone meanwhile; it must be what it was.

        Its size stays known: other threads read it, too, and each of them waits here.
        """
        former = self._prepared.get(entry.track_id)
        if entry.size_bytes or former is None:
            raise error
        logger.info("%s; it is prepared again", error)
        if self._prepare(entry) != former:
            raise PeerRefusedError(f"{self.address} has converted this track to something else than before")

    def _read(self, entry: PlaylistEntry, start: int, stop: int) -> Generator[bytes]:
        position, patience = start, MAX_RESUMES
        while position < stop:
            window = Window(position, stop, ask=partial(self._ask, entry.track_id), wait=self._wait)
            try:
                for piece in window.pieces():
                    position += len(piece)
                    patience = MAX_RESUMES
                    yield piece
            except PeerBrokeOffError as error:
                patience -= _cost(error)
                if patience < 0:
                    raise
                self._take_up_again(error)
            except NotPreparedError as error:
                patience -= 1
                if patience < 0:
                    raise
                self._prepare_again(entry, error)
            finally:
                window.close()

    def _take_up_again(self, error: PeerBrokeOffError) -> None:
        if self.is_closed or self._connection.has_lied:
            raise error
        logger.info("%s; it is taken up again", error)
        try:
            if isinstance(error.__cause__, TimeoutError):
                self._submit(self._connection.close()).result(_CLOSE_TIMEOUT_S)
            self.resume()
        except (PeerUnreachableError, TimeoutError) as failure:
            raise PeerBrokeOffError(f"{error}, and could not be taken up again: {failure}") from failure

    def _ask(self, track_id: str, offset: int, length: int) -> concurrent.futures.Future[bytes]:
        """Start to fetch one piece."""
        return self._submit(self._fetch(ReadRequest(track=track_id, offset=offset, length=length)))

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        try:
            return self._loop.submit(coroutine)
        except UsageError as error:
            raise PeerBrokeOffError(f"the session with {self.address} was closed") from error

    def _wait(self, asked: concurrent.futures.Future[T]) -> T:
        """Return a piece, or a size, that was asked for, as long as it comes in time."""
        waiting_for = f"the next piece of the track from {self.address}"
        return self._loop.wait(asked, timeout_s=self._piece_timeout_s, waiting_for=waiting_for)

    async def _fetch(self, request: ReadRequest) -> bytes:
        connection = self._connection
        answer = await connection.call(payloads.READ_EVENT, payloads.plain(request), reply_bytes=request.length)
        if isinstance(answer, bytes):
            if len(answer) != request.length:
                raise connection.give_up(f"it sent {len(answer)} bytes where {request.length} were asked for")
            return answer
        raise refusal(connection, answer, wanted="piece")

    async def _ask_size(self, entry: PlaylistEntry) -> int:
        """Return the size of a track that is to be converted, 0 when that is not done yet."""
        connection = self._connection
        request = payloads.plain(TrackRequest(track=entry.track_id))
        answer = await connection.call(payloads.PREPARE_EVENT, request, reply_bytes=0)
        try:
            size_bytes = payloads.parse(answer, Prepared).size_bytes
        except ProtocolError:
            raise refusal(connection, answer, wanted="size") from None
        if size_bytes > most_converted_bytes(entry.duration_s):
            raise connection.give_up(f"it says that {entry.duration_s:.0f} s of music are {size_bytes} bytes")
        return size_bytes

    async def _ask_cover(self, entry: PlaylistEntry) -> bytes | None:
        connection = self._connection
        request = payloads.plain(TrackRequest(track=entry.track_id))
        answer = await connection.call(payloads.COVER_EVENT, request, reply_bytes=payloads.MAX_COVER_BYTES)
        if not isinstance(answer, bytes):
            reason = refusal(connection, answer, wanted="cover")
            if isinstance(reason, PeerBrokeOffError):
                raise reason
            return None
        if len(answer) > payloads.MAX_COVER_BYTES:
            raise connection.give_up(f"its cover has {len(answer)} bytes")
        return answer

    async def _resume(self) -> None:
        async with self._resuming:
            if self._closed:
                raise PeerBrokeOffError(f"the session with {self.address} was closed")
            if self._connection.is_open:
                return  # another reader was quicker
            await self._connection.close()
            connection = await self._reconnect(self._proof)
            if self._closed:
                await connection.close()
            else:
                self._connection = connection


def _cost(error: PeerBrokeOffError) -> int:
    """How many chances a failure costs: a provider that hangs costs a whole time limit, so it gets fewer."""
    return MAX_RESUMES if isinstance(error.__cause__, TimeoutError) else 1

"""The listener's side of a stream: opens sessions with providers, for ordinary threads.

One loop in a thread of its own serves all sessions. Callers hand their calls over to it and wait, so
that a web app with a thread for each request can read several ranges of a track at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Final, Self

from dnai.config import Address
from dnai.errors import PeerBrokeOffError, PeerUnreachableError, ProtocolError
from dnai.stream import payloads
from dnai.stream.addresses import AddressRule, allowed_addresses
from dnai.stream.connection import PeerConnection
from dnai.stream.loop_thread import LoopThread
from dnai.stream.metered import Place
from dnai.stream.peer_session import PeerSession
from dnai.text import clean_text
from dnai.tracks import Playlist

__all__ = ["AddressRule", "PeerClient", "PeerSession"]

CONNECT_TIMEOUT_S: Final = 2.0
PIECE_TIMEOUT_S: Final = 5.0
PREPARE_TIMEOUT_S: Final = 60.0

_PLAYLIST_BYTES = 384 * 1024
_GRACE_S = 1.0
_CLOSE_TIMEOUT_S = 1.2

logger = logging.getLogger(__name__)


class PeerClient:
    """Opens sessions with providers.

    Parameters
    ----------
    allow
        Which addresses may be connected to.
    connect_timeout_s
        How long finding, connecting and being let in may take together, in seconds.
    piece_timeout_s
        How long the playlist, or the next piece of a track, may be in coming, in seconds.
    prepare_timeout_s
        How long a provider may take to convert a track, in seconds.
    """

    def __init__(
        self,
        *,
        allow: AddressRule,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        piece_timeout_s: float = PIECE_TIMEOUT_S,
        prepare_timeout_s: float = PREPARE_TIMEOUT_S,
    ) -> None:
        self._allow = allow
        self._connect_timeout_s = connect_timeout_s
        self._piece_timeout_s = piece_timeout_s
        self._prepare_timeout_s = prepare_timeout_s
        self._sessions: set[PeerSession] = set()
        self._loop = LoopThread("dnai-peers")

    def open(self, host: str, port: int, ticket: str) -> PeerSession:
        """Return a session with the provider at ``host:port``, its playlist already there.

        Raises
        ------
        PeerUnreachableError
            When nobody answers there in time, or the address is not allowed.
        PeerRefusedError
            When the provider does not take the ticket.
        PeerBrokeOffError
            When no playlist comes, or what comes is none.
        UsageError
            When this client is closed.
        """
        place = Address(host, port)
        opening = self._loop.submit(self._open(place, ticket))
        timeout_s = self._connect_timeout_s + self._piece_timeout_s + _GRACE_S
        return self._loop.wait(opening, timeout_s=timeout_s, waiting_for=f"the playlist of {place}")

    def close(self) -> None:
        """End all sessions and the client's thread, within two seconds; closing twice does nothing."""
        self._loop.close(self._end_sessions(), timeout_s=_CLOSE_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _end_sessions(self) -> None:
        await asyncio.gather(*(session.end() for session in self._sessions))

    async def _open(self, place: Address, ticket: str) -> PeerSession:
        connection = await self._connect(place, {"v": payloads.STREAM_VERSION, "ticket": ticket})
        try:
            details, playlist = await self._welcomed(connection)
        except BaseException:
            await connection.close()
            raise
        session = PeerSession(
            connection,
            details,
            playlist,
            loop=self._loop,
            reconnect=partial(self._connect, place),
            connect_timeout_s=self._connect_timeout_s,
            piece_timeout_s=self._piece_timeout_s,
            prepare_timeout_s=self._prepare_timeout_s,
        )
        self._sessions = {known for known in self._sessions if not known.is_closed} | {session}
        return session

    async def _connect(self, place: Address, auth: Mapping[str, object]) -> PeerConnection:
        """Connect to the first of the allowed addresses of `place` that answers."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._connect_timeout_s
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                numbers = list(await allowed_addresses(place.host, place.port, self._allow))
        except TimeoutError as error:
            raise PeerUnreachableError(
                f"{place} cannot be found: no answer from the name server within {self._connect_timeout_s:g} s"
            ) from error
        while True:
            connection = PeerConnection(Place(place, numbers.pop(0)))
            try:
                await connection.open(auth, timeout_s=(deadline - clock()) / (len(numbers) + 1))
            except PeerUnreachableError:
                if not numbers:
                    raise
            else:
                return connection

    async def _welcomed(self, connection: PeerConnection) -> tuple[payloads.Welcome, Playlist]:
        """Return the playlist of a new session, and what resumes it."""
        place = connection.place.named
        try:
            async with asyncio.timeout(self._piece_timeout_s):
                answer = await connection.call(
                    payloads.PLAYLIST_EVENT, {"knows": [payloads.KNOWS_PREPARE]}, reply_bytes=_PLAYLIST_BYTES
                )
        except TimeoutError as error:
            raise PeerBrokeOffError(f"{place} sent no playlist within {self._piece_timeout_s:g} s") from error
        try:
            return payloads.parse_welcome(answer)
        except ProtocolError as error:
            logger.info("the playlist of %s is not used: %s", place, clean_text(str(error)))
            raise connection.give_up("what it sent is no playlist") from error

"""What the server says to a listener: tickets in, a playlist and pieces of its tracks out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import socketio
from socketio.exceptions import ConnectionRefusedError as RefusedConnection

from dnai.audio.converted import ConvertedTracks
from dnai.audio.covers import Covers
from dnai.errors import ProtocolError
from dnai.recommend.messages import MAX_DISTANCE
from dnai.stream import payloads
from dnai.stream.gate import CONNECTION_KEY, MAX_INBOUND_BYTES, App, Connection, gated
from dnai.stream.packets import GARBAGE_EVENT, ServerSidePacket, discreet_logger
from dnai.stream.painter import Painter
from dnai.stream.payloads import Prepared, ReadError, ReadRequest, Refusal, ResumeAuth, TicketAuth, TrackRequest
from dnai.stream.pieces import prepare, read_converted, read_piece
from dnai.stream.sessions import SessionBook, StreamSession
from dnai.stream.tickets import TicketDesk
from dnai.text import clean_text
from dnai.tracks import MAX_CONVERTED_S, Track

Q = TypeVar("Q")
Offered = Sequence[tuple[Track, float]]

_REFUSALS: Mapping[Refusal, str] = {
    Refusal.BAD_TICKET: "this ticket was used already, or was never issued here",
    Refusal.EXPIRED: "this ticket or session is too old",
    Refusal.BUSY: "too many listeners at the moment",
    Refusal.NO_TRACKS: "the tracks that were offered are gone",
    Refusal.BAD_REQUEST: "a ticket, or a session and its secret, must be shown",
    Refusal.FAILED: "something failed on the provider's machine",
}
_READ_ERRORS: Mapping[ReadError, str] = {
    ReadError.UNKNOWN_TRACK: "no such track was offered in this session",
    ReadError.BAD_RANGE: "the range ends beyond the file",
    ReadError.UNPREPARED: "this track is to be prepared before it is read, or again",
    ReadError.NOT_CONVERTED: "this track cannot be converted into what browsers play",
    ReadError.NOTHING_KNOWN: "these tracks need a newer version of DN.ai",
    ReadError.NO_COVER: "there is no cover",
    ReadError.GONE: "the file was deleted or changed since it was offered",
    ReadError.BAD_REQUEST: "this is not a track, an offset and a length",
    ReadError.SESSION_OVER: "the session is over",
    ReadError.FAILED: "something failed on the provider's machine",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Live:
    """A session and the connection that it has now."""

    session: StreamSession
    connection: Connection


class StreamService(Generic[Q]):
    """Answers the listeners of one provider; lives on the server's loop."""

    def __init__(
        self,
        *,
        desk: TicketDesk[Q],
        book: SessionBook,
        playlist_for: Callable[[Q], Offered],
        converted: ConvertedTracks | None = None,
        covers: Covers | None = None,
    ) -> None:
        self._desk = desk
        self._book = book
        self._playlist_for = playlist_for
        self._converted = converted
        self._painter = Painter(covers) if covers else None
        self._live: dict[str, _Live] = {}
        self._sio = self._make_socketio()

    @property
    def app(self) -> App:
        """The ASGI application to serve."""
        engine: App = socketio.ASGIApp(self._sio, socketio_path=payloads.SOCKETIO_PATH)
        return gated(engine)

    def _make_socketio(self) -> socketio.AsyncServer:
        sio = socketio.AsyncServer(
            async_mode="asgi",
            transports=["websocket"],
            # One call of a connection after the other: a listener that does not read is not read from.
            async_handlers=False,
            cors_allowed_origins=[],  # the gate has refused every origin before
            max_http_buffer_size=MAX_INBOUND_BYTES,
            http_compression=False,
            serializer=ServerSidePacket,
            logger=discreet_logger(f"{__name__}.socketio"),
            engineio_logger=discreet_logger(f"{__name__}.engineio"),
        )
        sio.on("connect", self._on_connect)
        sio.on("disconnect", self._on_disconnect)
        sio.on(GARBAGE_EVENT, self._on_garbage)
        sio.on(payloads.PLAYLIST_EVENT, self._guarded(self._on_playlist))
        sio.on(payloads.PREPARE_EVENT, self._guarded(self._on_prepare))
        sio.on(payloads.READ_EVENT, self._guarded(self._on_read))
        sio.on(payloads.COVER_EVENT, self._guarded(self._on_cover))
        sio.on(payloads.BYE_EVENT, self._guarded(self._on_bye))
        return sio

    async def close(self) -> None:
        """End the library's own tasks."""
        if self._painter is not None:
            self._painter.close()
        await self._sio.shutdown()

    def close_idle(self) -> None:
        """End idle sessions, and the connections of sessions that are over."""
        self._book.close_idle()
        for live in list(self._live.values()):
            if live.session not in self._book:
                live.connection.close()

    async def _on_connect(self, sid: str, environ: Mapping[str, Any], auth: object) -> None:
        connection: Connection = environ["asgi.scope"][CONNECTION_KEY]
        try:
            session = await self._admit(auth)
        except Exception:  # one listener's connection must not end the server
            logger.exception("opening a session failed")
            session = Refusal.FAILED
        if isinstance(session, Refusal):
            logger.debug("a listener was refused: %s", session.value)
            raise RefusedConnection(_REFUSALS[session], {"error": session.value})
        for former in [live for live in self._live.values() if live.session is session]:
            former.connection.close()
        connection.admit()
        self._live[sid] = _Live(session, connection)

    async def _admit(self, auth: object) -> StreamSession | Refusal:
        try:
            shown = payloads.parse_auth(auth)
        except ProtocolError:
            return Refusal.BAD_REQUEST
        if isinstance(shown, ResumeAuth):
            session = self._book.resume(shown.session, shown.secret)
            logger.debug("resumed: %s", session)
            return session
        return await self._open(shown)

    async def _open(self, shown: TicketAuth) -> StreamSession | Refusal:
        grant = self._desk.redeem(shown.ticket)
        if isinstance(grant, Refusal):
            return grant
        offered = await asyncio.to_thread(self._playlist_for, grant.query)
        session = self._book.open(grant.user_id, [item for item in offered if self._is_streamable(*item)])
        if isinstance(session, StreamSession):
            user = clean_text(session.user_id, max_chars=64)
            logger.info("session %s… opened for %s: %d tracks", session.label, user, len(session.tracks))
        return session

    async def _on_disconnect(self, sid: str, _reason: str) -> None:
        self._live.pop(sid, None)

    async def _on_garbage(self, sid: str) -> None:
        live = self._live.get(sid)
        if live is not None:
            logger.warning("session %s… sent what is no call; its connection is ended", live.session.label)
            live.connection.close()

    def _guarded(
        self, answer: Callable[[_Live, object], Awaitable[object]]
    ) -> Callable[[str, object], Awaitable[object]]:
        """Return the handler of one event: paced, for live sessions only, and with an answer whatever happens."""

        async def handler(sid: str, payload: object = None) -> object:
            live = self._live.get(sid)
            if live is None or not await live.connection.room():
                return _error(ReadError.SESSION_OVER)
            if not self._book.touch(live.session):
                live.connection.close_soon()
                return _error(ReadError.SESSION_OVER)
            try:
                return await answer(live, payload)
            except Exception:  # one call must not end the connection, nor the server
                logger.exception("a call in session %s… failed", live.session.label)
                return _error(ReadError.FAILED)

        return handler

    async def _on_playlist(self, live: _Live, payload: object) -> object:
        session = live.session
        knows = payloads.parse_playlist_request(payload)
        offered = [
            (track_id, track, distance)
            for track_id, (track, distance) in session.tracks.items()
            if payloads.is_known(track.audio_type, knows=knows)
        ]
        if not offered:
            return _error(ReadError.NOTHING_KNOWN)
        told = [payloads.KNOWS_PREPARE, *([payloads.KNOWS_COVER] if self._painter else [])]
        return payloads.welcome(session.session_id, session.secret, offered, knows=told)

    async def _on_prepare(self, live: _Live, payload: object) -> object:
        """Answer at once, done or not: while a call waits, no other of its connection is looked at."""
        track = _requested(live, payload)
        if isinstance(track, ReadError):
            return _error(track)
        if self._converted is None or track.audio_type.is_played_by_browsers:
            return payloads.plain(Prepared(track.size_bytes))
        answer = await asyncio.to_thread(prepare, self._converted, track, asker=live.session.user_id)
        return _error(answer) if isinstance(answer, ReadError) else payloads.plain(answer)

    async def _on_cover(self, live: _Live, payload: object) -> object:
        track = _requested(live, payload)
        if isinstance(track, ReadError):
            return _error(track)
        if self._painter is None:
            return _error(ReadError.NO_COVER)
        cover = await self._painter.cover(track, asker=live.session.user_id)
        if cover is None or len(cover) > payloads.MAX_COVER_BYTES:
            return _error(ReadError.NO_COVER)
        live.connection.queue(len(cover))
        return cover

    async def _on_read(self, live: _Live, payload: object) -> object:
        try:
            request = payloads.parse(payload, ReadRequest)
        except ProtocolError:
            return _error(ReadError.BAD_REQUEST)
        offered = live.session.tracks.get(request.track)
        if offered is None:
            return _error(ReadError.UNKNOWN_TRACK)
        piece = await asyncio.to_thread(self._piece, offered[0], request)
        if isinstance(piece, ReadError):
            logger.debug("session %s…: a piece was refused: %s", live.session.label, piece.value)
            return _error(piece)
        live.connection.queue(len(piece))
        return piece

    def _piece(self, track: Track, request: ReadRequest) -> bytes | ReadError:
        if self._converted is None or track.audio_type.is_played_by_browsers:
            return read_piece(track, request.offset, request.length)
        return read_converted(self._converted, track, request.offset, request.length)

    def _is_streamable(self, track: Track, distance: float) -> bool:
        """Return whether a listener would accept this track in a playlist, and could hear it."""
        if not track.audio_type.is_played_by_browsers and (
            self._converted is None or track.duration_s > MAX_CONVERTED_S
        ):
            return False
        return _is_acceptable(track, distance)

    async def _on_bye(self, live: _Live, _payload: object) -> object:
        self._book.close(live.session)
        live.connection.close_soon()
        return True


def _requested(live: _Live, payload: object) -> Track | ReadError:
    """Return the track that a call names."""
    try:
        request = payloads.parse(payload, TrackRequest)
    except ProtocolError:
        return ReadError.BAD_REQUEST
    offered = live.session.tracks.get(request.track)
    return ReadError.UNKNOWN_TRACK if offered is None else offered[0]


def _error(code: ReadError) -> dict[str, str]:
    return {"error": code.value, "message": _READ_ERRORS[code]}


def _is_acceptable(track: Track, distance: float) -> bool:
    return (
        1 <= track.size_bytes <= payloads.MAX_FILE_BYTES
        and 0 <= track.duration_s <= payloads.MAX_DURATION_S
        and 0 <= distance <= MAX_DISTANCE
    )

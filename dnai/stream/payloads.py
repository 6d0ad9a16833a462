"""What two peers say to each other over Socket.IO: typed, bounded, checked where it arrives.

Words of the wire stand here and nowhere else. Whatever does not fit raises a
:class:`~dnai.errors.ProtocolError`, which the client turns into a broken promise and the server into
an error code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from dnai.errors import ProtocolError
from dnai.recommend.messages import MAX_DISTANCE
from dnai.text import clean_text
from dnai.tracks import CONVERTED_TYPE, MAX_PLAYLIST_TRACKS, AudioType, Genre, Playlist, PlaylistEntry, Track

STREAM_VERSION: Final = 1
SOCKETIO_PATH: Final = "socket.io"
HEALTH_PATH: Final = "/health"

PIECE_BYTES: Final = 256 * 1024
"""How much of a file is read by one call at the most, in bytes."""
MAX_FILE_BYTES: Final = 4 * 1024**3
"""The largest file that is offered or played, in bytes."""
MAX_DURATION_S: Final = 7 * 24 * 3600.0

PLAYLIST_EVENT: Final = "playlist"
PREPARE_EVENT: Final = "prepare"
READ_EVENT: Final = "read"
COVER_EVENT: Final = "cover"
BYE_EVENT: Final = "bye"

UNTITLED: Final = "untitled"

KNOWS_PREPARE: Final = "prepare"
"""What a listener says that understands tracks without a size, which are to be prepared before they are read."""
KNOWS_COVER: Final = "cover"
"""What a provider says that can be asked for covers; the first version takes the call for garbage, and hangs up."""
MAX_COVER_BYTES: Final = 64 * 1024
_KNOWN_TO_ALL: Final = frozenset(
    {AudioType.MP3, AudioType.FLAC, AudioType.OGG, AudioType.OPUS, AudioType.M4A, AudioType.WAV}
)
"""The kinds of file that listeners know who do not say that; one other entry, and they refuse a whole playlist."""

Token = Annotated[str, Meta(min_length=16, max_length=64, pattern=r"^[A-Za-z0-9_-]+\Z")]
_Text = Annotated[str, Meta(max_length=1000)]
_Words = Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(max_length=32)]
_P = TypeVar("_P")


class Refusal(StrEnum):
    """Why no session is opened."""

    BAD_TICKET = "bad_ticket"
    EXPIRED = "expired"
    BUSY = "busy"
    NO_TRACKS = "no_tracks"
    BAD_REQUEST = "bad_request"
    FAILED = "failed"


class ReadError(StrEnum):
    """Why a call within a session is not answered with what was asked."""

    UNKNOWN_TRACK = "unknown_track"
    BAD_RANGE = "bad_range"
    UNPREPARED = "unprepared"
    NOT_CONVERTED = "not_converted"
    NOTHING_KNOWN = "nothing_known"
    NO_COVER = "no_cover"
    GONE = "gone"
    BAD_REQUEST = "bad_request"
    SESSION_OVER = "session_over"
    FAILED = "failed"


class TicketAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new listener shows a ticket."""

    v: int
    ticket: Token


class ResumeAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A listener whose connection broke shows what its session gave it."""

    v: int
    session: Token
    secret: Token


class PlaylistRequest(msgspec.Struct, frozen=True):
    """What a listener adds to its playlist call: words for what it knows beside the first version."""

    knows: _Words = []


class TrackRequest(msgspec.Struct, frozen=True):
    """A track that the listener wants to have prepared, or the cover of."""

    track: Token


class Prepared(msgspec.Struct, frozen=True):
    """How long the track is, in bytes; 0: that takes some time yet, ask again."""

    size_bytes: Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]


class ReadRequest(msgspec.Struct, frozen=True):
    """One piece of one track: `length` bytes from byte `offset`."""

    track: Token
    offset: Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]
    length: Annotated[int, Meta(ge=1, le=PIECE_BYTES)]


class ErrorReply(msgspec.Struct, frozen=True):
    """The answer to a call that could not be answered."""

    error: Annotated[str, Meta(max_length=32)]
    message: Annotated[str, Meta(max_length=500)] = ""


class RefusalData(msgspec.Struct, frozen=True):
    """What a refused connection is told, beside words for people."""

    error: Annotated[str, Meta(max_length=32)]


class RefusalReply(msgspec.Struct, frozen=True):
    """A refused connection as Socket.IO packs it."""

    data: RefusalData


class EntryPayload(msgspec.Struct, frozen=True):
    """One track of a playlist on the wire; of size 0 when it is to be prepared first."""

    id: Token
    title: _Text
    artist: _Text
    album: _Text
    genre: Genre
    distance: Annotated[float, Meta(ge=0, le=MAX_DISTANCE)]
    duration_s: Annotated[float, Meta(ge=0, le=MAX_DURATION_S)]
    audio_type: AudioType
    size_bytes: Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]


class Welcome(msgspec.Struct, frozen=True):
    """The answer to the playlist call: the tracks, what resumes the session, and words for what can be asked for."""

    session: Token
    secret: Token
    tracks: Annotated[list[EntryPayload], Meta(min_length=1, max_length=MAX_PLAYLIST_TRACKS)]
    knows: _Words = []


def parse_auth(auth: object) -> TicketAuth | ResumeAuth:
    """Return what a client showed when it connected, or raise `ProtocolError`."""
    is_resume = isinstance(auth, dict) and "session" in auth
    parsed: TicketAuth | ResumeAuth = parse(auth, ResumeAuth) if is_resume else parse(auth, TicketAuth)
    if parsed.v != STREAM_VERSION:
        raise ProtocolError(f"version {parsed.v} of the stream; this is version {STREAM_VERSION}")
    return parsed


def parse(payload: object, wanted: type[_P]) -> _P:
    """Return `payload`, decoded JSON, as a `wanted`, or raise `ProtocolError` without repeating its text."""
    try:
        return msgspec.convert(payload, wanted)
    except (msgspec.ValidationError, UnicodeError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"not a {wanted.__name__}: {error}") from error


def plain(payload: msgspec.Struct) -> object:
    """Return `payload` as the plain values that JSON knows."""
    values: object = msgspec.to_builtins(payload)
    return values


def parse_playlist_request(payload: object) -> frozenset[str]:
    """Return what the listener says that it knows; nothing where it says nothing, as the first version does."""
    try:
        return frozenset(parse(payload, PlaylistRequest).knows)
    except ProtocolError:
        return frozenset()


def is_known(audio_type: AudioType, *, knows: frozenset[str]) -> bool:
    """Return whether a listener understands an entry of this kind."""
    return KNOWS_PREPARE in knows or audio_type in _KNOWN_TO_ALL


def welcome(
    session_id: str, secret: str, offered: Sequence[tuple[str, Track, float]], *, knows: Sequence[str] = ()
) -> object:
    """Return the answer to the playlist call, as plain JSON values.

    `offered` has the random id, the track and its distance; no path is taken over.
    """
    tracks = [_entry_payload(track_id, track, distance) for track_id, track, distance in offered]
    return plain(Welcome(session_id, secret, tracks, knows=list(knows)))


def _entry_payload(track_id: str, track: Track, distance: float) -> EntryPayload:
    is_sent_as_is = track.audio_type.is_played_by_browsers
    return EntryPayload(
        id=track_id,
        title=clean_text(track.title),
        artist=clean_text(track.artist),
        album=clean_text(track.album),
        genre=track.genre,
        distance=float(distance),
        duration_s=float(track.duration_s),
        audio_type=track.audio_type if is_sent_as_is else CONVERTED_TYPE,
        size_bytes=track.size_bytes if is_sent_as_is else 0,
    )


def parse_welcome(payload: object) -> tuple[Welcome, Playlist]:
    """Return what a server answered to the playlist call, with every text cleaned.

    Raises
    ------
    ProtocolError
        When a field is missing, of another type, too long, out of range or not finite, or an id comes twice.
    """
    answer = parse(payload, Welcome)
    if len({entry.id for entry in answer.tracks}) != len(answer.tracks):
        raise ProtocolError("not a Welcome: two tracks have the same id")
    return answer, Playlist(tuple(_playlist_entry(entry) for entry in answer.tracks))


def _playlist_entry(entry: EntryPayload) -> PlaylistEntry:
    if not (math.isfinite(entry.distance) and math.isfinite(entry.duration_s)):
        raise ProtocolError("not a Welcome: a distance or a duration is not finite")
    if not entry.size_bytes and entry.audio_type is not CONVERTED_TYPE:
        raise ProtocolError(f"not a Welcome: a track has no size, and {entry.audio_type.value} is not converted to")
    return PlaylistEntry(
        track_id=entry.id,
        title=clean_text(entry.title) or UNTITLED,
        artist=clean_text(entry.artist),
        album=clean_text(entry.album),
        genre=entry.genre,
        distance=entry.distance,
        duration_s=entry.duration_s,
        audio_type=entry.audio_type,
        size_bytes=entry.size_bytes,
    )


def refusal_code(payload: object) -> str:
    """Return the code in the refusal of a connection, or an empty text where there is none."""
    try:
        return parse(payload, RefusalReply).data.error
    except ProtocolError:
        return ""

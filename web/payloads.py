"""What page and app say to each other over Socket.IO: typed, bounded, and free of paths and tickets."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from dnai.errors import ProtocolError
from dnai.text import clean_text
from dnai.tracks import Playlist
from web.listener import Target
from web.succession import Succession
from web.wording import DECLINE_REASONS, circle_line, why_left_out

MAX_MESSAGE_CHARS = 500

_Kind = TypeVar("_Kind", bound=msgspec.Struct)
_Id = Annotated[str, Meta(min_length=1, max_length=64)]


class Arrival(msgspec.Struct, frozen=True):
    """What the page says of itself when it connects."""

    tab: _Id
    load: _Id


class Say(msgspec.Struct, frozen=True):
    """``say``: a message of the listener."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_MESSAGE_CHARS)]


class Now(msgspec.Struct, frozen=True):
    """``now``: the track that the player has taken up."""

    stream: _Id
    track: _Id


class State(msgspec.Struct, frozen=True):
    """``state``: whether the player plays."""

    playing: bool


class More(msgspec.Struct, frozen=True):
    """``more``: the player is at the end of its playlist."""

    stream: _Id


class Failed(msgspec.Struct, frozen=True):
    """``failed``: the player could not play a track; `code` is that of the browser's ``MediaError``."""

    stream: _Id
    track: _Id
    code: Annotated[int, Meta(ge=0, le=100)]


class TrackShown(msgspec.Struct, frozen=True):
    """One track of a playlist, as the page shows it; one that is not `prepared` has to be converted before it plays."""

    id: str
    title: str
    artist: str
    album: str
    duration_s: float
    distance: float
    prepared: bool


class PlaylistShown(msgspec.Struct, frozen=True):
    """``playlist``: what is to be played, from where, and whether at once."""

    stream: str
    whose: str
    own: bool
    line: str
    start: str
    begin: bool
    tracks: list[TrackShown]


class OfferShown(msgspec.Struct, frozen=True):
    """One offer in the picture of the circle; `weighed` is what offers are ranked by, and drawn at."""

    name: str
    distance: float
    weighed: float
    tracks: int
    collection: int
    latency_s: float
    fate: str
    reason: str


class OtherShown(msgspec.Struct, frozen=True):
    """Somebody who made no offer that counts, and why."""

    name: str
    why: str


class CircleShown(msgspec.Struct, frozen=True):
    """``circle``: who offered what, the nearest first."""

    line: str
    offers: list[OfferShown]
    others: list[OtherShown]


class StatusShown(msgspec.Struct, frozen=True):
    """``status``: the line at the top; `state` is its lamp."""

    state: Literal["good", "alone", "bad"]
    text: str


class Command(msgspec.Struct, frozen=True):
    """``command``: what the player shall do."""

    do: str
    track: str = ""


def received(data: object, kind: type[_Kind]) -> _Kind:
    """Return what the page sent as `kind`.

    Raises
    ------
    ProtocolError
        When it is anything else.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"the page sent no valid {kind.__name__}: {error}") from error


def sent(message: msgspec.Struct) -> Any:  # noqa: ANN401 - plain JSON data
    """Return `message` as plain data for Socket.IO."""
    return msgspec.to_builtins(message)


def playlist_shown(
    playlist: Playlist, *, stream: str, whose: str | None, line: str, start: str | None = None, begin: bool = True
) -> PlaylistShown:
    """Return a playlist for the page; `whose` is the provider's name, None for the own collection."""
    return PlaylistShown(
        stream=stream,
        whose=clean_text(whose or ""),
        own=whose is None,
        line=line,
        start=start or playlist.entries[0].track_id,
        begin=begin,
        tracks=[
            TrackShown(
                id=entry.track_id,
                title=clean_text(entry.title) or "untitled",
                artist=clean_text(entry.artist),
                album=clean_text(entry.album),
                duration_s=entry.duration_s,
                distance=entry.distance,
                prepared=entry.size_bytes > 0,
            )
            for entry in playlist.entries
        ],
    )


def circle_shown(succession: Succession, target: Target) -> CircleShown:
    """Return a gathering, and what became of its offers, for the page."""
    result = succession.result
    reasons = {passed.provider: passed.reason for passed in succession.passed_over}
    offers = [
        OfferShown(
            name=clean_text(offer.name),
            distance=offer.mean_distance,
            weighed=offer.weighed_distance,
            tracks=offer.tracks,
            collection=offer.collection,
            latency_s=offer.latency_s,
            fate=succession.fate(offer.provider).value,
            reason=clean_text(reasons.get(offer.provider, "")),
        )
        for offer in result.offers
    ]
    others = [
        *(OtherShown(clean_text(d.name), DECLINE_REASONS.get(d.reason, "declined")) for d in result.declines),
        *(OtherShown(clean_text(o.name), f"left out: {why_left_out(o, result)}") for o in result.left_out),
        *(OtherShown(clean_text(name), "did not answer in time") for name in result.silent),
    ]
    return CircleShown(line=circle_line(result, target), offers=offers, others=others)

"""Tracks without files, and a clock that the test turns."""

from __future__ import annotations

from pathlib import Path

from dnai.recommend.messages import Decline, Offer
from dnai.tracks import AudioType, Genre, GenreOrigin, Track

SPACE = "space-a"
OTHER_SPACE = "space-b"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now


def made_track(title: str, genre: Genre = Genre.JAZZ) -> Track:
    """A track of which there is no file."""
    return Track(
        path=Path(f"/nowhere/{title}.mp3"),
        title=title,
        artist="",
        album="",
        year=None,
        genre=genre,
        genre_origin=GenreOrigin.TAG,
        model_genre=genre,
        confidence=0.5,
        duration_s=60.0,
        audio_type=AudioType.MP3,
        size_bytes=1000,
        mtime_ns=0,
    )


def provider_id(name: str) -> str:
    """An id of a provider, the same for the same name."""
    return f"{name}-0123456789abcdef"


def made_offer(name: str, distance: float = 1.0, *, space_id: str = SPACE) -> Offer:
    """An offer of the provider of that name."""
    return Offer(
        provider_id=provider_id(name),
        name=name,
        space_id=space_id,
        model_id="model-a",
        mean_distance=distance,
        tracks=3,
        host="127.0.0.1",
        port=7711,
        ticket="ticket-0123456789abcdef",
    )


def made_decline(name: str, reason: str = "no_tracks") -> Decline:
    """A refusal of the provider of that name."""
    return Decline(provider_id=provider_id(name), name=name, reason=reason)

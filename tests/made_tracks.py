"""Tracks that the tests make up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dnai.tracks import AudioType, Genre, GenreOrigin, Track

_ANY = Track(
    path=Path("/nowhere/song.mp3"),
    title="Song",
    artist="",
    album="",
    year=None,
    genre=Genre.JAZZ,
    genre_origin=GenreOrigin.TAG,
    model_genre=None,
    confidence=0.0,
    duration_s=60.0,
    audio_type=AudioType.MP3,
    size_bytes=1000,
    mtime_ns=0,
)


def made_up_track(path: Path, **known: Any) -> Track:
    """Return a track of jazz that no model has heard, but for what is `known` of it."""
    return replace(_ANY, path=path, **known)

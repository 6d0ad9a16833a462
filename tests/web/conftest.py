"""Tracks and files for the tests of the web app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dnai.tracks import AudioType, Genre, GenreOrigin, Track

MakeTrack = Callable[..., Track]


@pytest.fixture
def make_track(tmp_path: Path) -> MakeTrack:
    """Makes a track with a file of known bytes behind it."""

    def make(
        title: str = "So What",
        *,
        content: bytes = bytes(range(256)) * 40,
        audio_type: AudioType = AudioType.MP3,
        genre: Genre = Genre.JAZZ,
        artist: str = "Somebody",
    ) -> Track:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{audio_type.value}"
        path.write_bytes(content)
        status = path.stat()
        return Track(
            path=path,
            title=title,
            artist=artist,
            album="",
            year=None,
            genre=genre,
            genre_origin=GenreOrigin.TAG,
            model_genre=genre,
            confidence=0.5,
            duration_s=3.0,
            audio_type=audio_type,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
        )

    return make

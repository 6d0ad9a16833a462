"""Where the bytes of a playlist come from: the listener's own files, or a peer's session."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from dnai.errors import PeerRefusedError
from dnai.tracks import MAX_PLAYLIST_TRACKS, Playlist, PlaylistEntry, Track

PIECE_BYTES = 256 * 1024
"""How many bytes of a local file are read at once."""


class PlaylistSource(Protocol):
    """A playlist, and the bytes of its tracks; a :class:`dnai.stream.client.PeerSession` is one."""

    playlist: Playlist

    def read(self, track_id: str, start: int, stop: int) -> Iterator[bytes]:
        """Return the bytes of a track from `start` up to `stop`, in pieces, read as they are taken.

        Raises
        ------
        PeerRefusedError
            On the way, when this track cannot be had; others may.
        PeerBrokeOffError, PeerUnreachableError
            On the way, when nothing more can be had from here.
        """

    def close(self) -> None:
        """End it; what is being read ends with an error."""


class LocalSource:
    """Tracks of the listener's own catalogue."""

    def __init__(self, tracks: Sequence[tuple[Track, float]]) -> None:
        chosen = tracks[:MAX_PLAYLIST_TRACKS]
        by_id = {secrets.token_urlsafe(16): pair for pair in chosen}
        self._tracks = {track_id: track for track_id, (track, _) in by_id.items()}
        self.playlist = Playlist(
            entries=tuple(_entry(track_id, track, distance) for track_id, (track, distance) in by_id.items())
        )

    def track(self, track_id: str) -> Track | None:
        """Return the track behind an id, or None."""
        return self._tracks.get(track_id)

    def read(self, track_id: str, start: int, stop: int) -> Iterator[bytes]:
        """Return the bytes of a file from `start` up to `stop`, in pieces.

        Raises
        ------
        PeerRefusedError
            When the file is gone, or is not the one that was catalogued.
        """
        track = self._tracks.get(track_id)
        if track is None:
            raise PeerRefusedError(f"there is no track {track_id!r} in this playlist")
        with _opened_as_catalogued(track) as file:
            file.seek(start)
            left = stop - start
            while left > 0:
                piece = file.read(min(PIECE_BYTES, left))
                if not piece:
                    raise PeerRefusedError(f"the file of {track.title!r} became shorter while it was read")
                left -= len(piece)
                yield piece

    def close(self) -> None:
        """Files are opened for each read: nothing to do."""


@contextmanager
def _opened_as_catalogued(track: Track) -> Iterator[BinaryIO]:
    """Open the file of `track`, provided that it is still a regular file of the catalogued size."""
    try:
        file = open(track.path, "rb", opener=_open_at_once)  # noqa: SIM115 - closed below, whatever happens
    except OSError as error:
        raise PeerRefusedError(f"the file of {track.title!r} cannot be read any more: {error.strerror}") from error
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size != track.size_bytes:
            raise PeerRefusedError(f"the file of {track.title!r} has changed since it was catalogued: scan again")
        yield file


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting: a pipe that took its place would hold the reader up until somebody writes."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _entry(track_id: str, track: Track, distance: float) -> PlaylistEntry:
    return PlaylistEntry(
        track_id=track_id,
        title=track.title,
        artist=track.artist,
        album=track.album,
        genre=track.genre,
        distance=distance,
        duration_s=track.duration_s,
        audio_type=track.audio_type,
        size_bytes=track.size_bytes,
    )

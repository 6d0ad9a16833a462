"""Where the bytes of a playlist come from: the listener's own files, or a peer's session."""

from __future__ import annotations

import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from dnai.audio.converted import ConvertedTracks
from dnai.audio.converted_file import ConvertedFile
from dnai.audio.covers import Covers
from dnai.errors import ConversionError, PeerBrokeOffError, PeerRefusedError
from dnai.track_files import open_at_once
from dnai.tracks import CONVERTED_TYPE, MAX_PLAYLIST_TRACKS, Playlist, PlaylistEntry, Track

PIECE_BYTES = 256 * 1024
"""How many bytes of a local file are read at once."""

PREPARE_TIMEOUT_S = 60.0
_PAUSE_S = 0.1


class PlaylistSource(Protocol):
    """A playlist, and the bytes of its tracks; a :class:`dnai.stream.client.PeerSession` is one."""

    playlist: Playlist

    def prepare(self, track_id: str) -> int:
        """Return the size of a track in bytes, converted first where browsers do not play it: that takes a while.

        Raises
        ------
        PeerRefusedError
            When this track cannot be had; others may.
        PeerBrokeOffError, PeerUnreachableError
            When nothing more can be had from here.
        """

    def read(self, track_id: str, start: int, stop: int) -> Iterator[bytes]:
        """Return the bytes of a track from `start` up to `stop`, in pieces, read as they are taken.

        Raises
        ------
        PeerRefusedError
            On the way, when this track cannot be had; others may.
        PeerBrokeOffError, PeerUnreachableError
            On the way, when nothing more can be had from here.
        """

    def cover(self, track_id: str) -> bytes | None:
        """Return what is said to be the cover of a track, or None; raises `StreamError` like `read`."""

    def close(self) -> None:
        """End it; what is being read ends with an error."""


class LocalSource:
    """Tracks of the listener's own catalogue.

    Parameters
    ----------
    tracks
        With their distances.
    converted
        Where those are converted that browsers do not play; without it they are sent as they are.
    covers
        Where their covers are; without it there are none.
    """

    def __init__(
        self,
        tracks: Sequence[tuple[Track, float]],
        *,
        converted: ConvertedTracks | None = None,
        covers: Covers | None = None,
    ) -> None:
        self._covers = covers
        self._converted = converted
        self._closed = threading.Event()
        chosen = tracks[:MAX_PLAYLIST_TRACKS]
        by_id = {secrets.token_urlsafe(16): pair for pair in chosen}
        self._tracks = {track_id: track for track_id, (track, _) in by_id.items()}
        self.playlist = Playlist(
            entries=tuple(
                _entry(track_id, track, distance, is_converted=self._needs_conversion(track))
                for track_id, (track, distance) in by_id.items()
            )
        )

    def track(self, track_id: str) -> Track | None:
        """Return the track behind an id, or None."""
        return self._tracks.get(track_id)

    def prepare(self, track_id: str) -> int:
        """Return the size of a track in bytes; where browsers do not play it, wait for its conversion.

        Raises
        ------
        PeerRefusedError
            When it cannot be converted, or not in time.
        PeerBrokeOffError
            When the playlist is closed meanwhile.
        """
        track = self._known(track_id)
        return self._converted_file(track).size_bytes if self._needs_conversion(track) else track.size_bytes

    def read(self, track_id: str, start: int, stop: int) -> Iterator[bytes]:
        """Return the bytes of a file, converted where it has to be, from `start` up to `stop`, in pieces.

        Raises
        ------
        PeerRefusedError
            When the file is gone, or is not the one that was catalogued, or cannot be converted.
        PeerBrokeOffError
            When the playlist is closed while the file is being converted.
        """
        track = self._known(track_id)
        if self._needs_conversion(track):
            yield from self._read_converted(track, start, stop)
            return
        with _opened_as_catalogued(track) as file:
            file.seek(start)
            left = stop - start
            while left > 0:
                piece = file.read(min(PIECE_BYTES, left))
                if not piece:
                    raise PeerRefusedError(f"the file of {track.title!r} became shorter while it was read")
                left -= len(piece)
                yield piece

    def cover(self, track_id: str) -> bytes | None:
        """Return the cover of a track, or None."""
        return self._covers.of(self._known(track_id)) if self._covers else None

    def close(self) -> None:
        """Wait for no conversion any more."""
        self._closed.set()

    def _known(self, track_id: str) -> Track:
        track = self._tracks.get(track_id)
        if track is None:
            raise PeerRefusedError(f"there is no track {track_id!r} in this playlist")
        return track

    def _needs_conversion(self, track: Track) -> bool:
        return self._converted is not None and not track.audio_type.is_played_by_browsers

    def _converted_file(self, track: Track) -> ConvertedFile:
        """The converted track; conversions in other tabs, or for the next track, may come first."""
        if self._converted is None:
            raise PeerRefusedError(f"{track.title!r} cannot be converted here")
        deadline = time.monotonic() + PREPARE_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                self._converted.prepare(track)
            except ConversionError as error:
                raise PeerRefusedError(str(error)) from error
            file = self._converted.find(track)
            if file is not None:
                return file
            if self._closed.wait(_PAUSE_S):
                raise PeerBrokeOffError("the playlist was closed while a track was converted")
        raise PeerRefusedError(f"{track.title!r} could not be converted in {PREPARE_TIMEOUT_S:.0f} s")

    def _read_converted(self, track: Track, start: int, stop: int) -> Iterator[bytes]:
        file = self._converted_file(track)
        while start < stop:
            piece = file.read(start, min(PIECE_BYTES, stop - start))
            if piece is None:  # it has made room for others meanwhile
                file = self._converted_file(track)
                continue
            if not piece:
                raise PeerRefusedError(f"{track.title!r} became shorter while it was read")
            start += len(piece)
            yield piece


@contextmanager
def _opened_as_catalogued(track: Track) -> Iterator[BinaryIO]:
    """Open the file of `track`, provided that it is still a regular file of the catalogued size."""
    try:
        file = os.fdopen(open_at_once(track.path), "rb")
    except OSError as error:
        raise PeerRefusedError(f"the file of {track.title!r} cannot be read any more: {error.strerror}") from error
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size != track.size_bytes:
            raise PeerRefusedError(f"the file of {track.title!r} has changed since it was catalogued: scan again")
        yield file


def _entry(track_id: str, track: Track, distance: float, *, is_converted: bool) -> PlaylistEntry:
    return PlaylistEntry(
        track_id=track_id,
        title=track.title,
        artist=track.artist,
        album=track.album,
        genre=track.genre,
        distance=distance,
        duration_s=track.duration_s,
        audio_type=CONVERTED_TYPE if is_converted else track.audio_type,
        size_bytes=0 if is_converted else track.size_bytes,
    )

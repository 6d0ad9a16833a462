"""Pieces of catalogued files, converted or not, read only while the file is the one that was catalogued."""

from __future__ import annotations

import os

from dnai.audio.converted import ConvertedTracks
from dnai.errors import ConversionError
from dnai.stream.payloads import Prepared, ReadError
from dnai.track_files import is_catalogued, open_at_once
from dnai.tracks import Track


def read_piece(track: Track, offset: int, length: int) -> bytes | ReadError:
    """Return `length` bytes of the track's file from byte `offset` on, or why not.

    The file is opened anew for every piece: that costs about a tenth of a call, and a file that was
    deleted or replaced is noticed at once. No error says where the file lies.
    """
    if offset + length > track.size_bytes:
        return ReadError.BAD_RANGE
    try:
        descriptor = open_at_once(track.path)
    except OSError:
        return ReadError.GONE
    try:
        if not is_catalogued(os.fstat(descriptor), track):
            return ReadError.GONE
        return _read(descriptor, offset, length) or ReadError.GONE
    except OSError:
        return ReadError.GONE
    finally:
        os.close(descriptor)


def prepare(converted: ConvertedTracks, track: Track, *, asker: str) -> Prepared | ReadError:
    """Have a track converted; return its size when that is done, 0 before, or why it is not.

    `asker` is the user for whom it is done. The log says more than the listener is told.
    """
    try:
        return Prepared(converted.prepare(track, asker=asker) or 0)
    except ConversionError:
        return ReadError.NOT_CONVERTED


def read_converted(converted: ConvertedTracks, track: Track, offset: int, length: int) -> bytes | ReadError:
    """Return `length` bytes of the converted track from byte `offset` on, or why not."""
    file = converted.find(track)
    if file is None:
        return ReadError.UNPREPARED
    if offset + length > file.size_bytes:
        return ReadError.BAD_RANGE
    try:
        if not is_catalogued(track.path.stat(), track):
            return ReadError.GONE
        return file.read(offset, length) or ReadError.UNPREPARED
    except OSError:
        return ReadError.GONE


def _read(descriptor: int, offset: int, length: int) -> bytes | None:
    """Return exactly `length` bytes; None where the file has become shorter."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    parts: list[bytes] = []
    missing = length
    while missing:
        part = os.read(descriptor, missing)
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)

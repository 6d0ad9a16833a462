"""Pieces are the file's bytes, as long as the file is the one that was catalogued."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from dnai.stream.payloads import ReadError
from dnai.stream.pieces import read_piece
from dnai.tracks import Track


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (0, 1000), (999, 1), (500, 500)])
def test_bytes_are_the_files(make_track: Callable[..., Track], offset: int, length: int) -> None:
    """A piece is exactly that part of the file."""
    track = make_track(size=1000)
    assert read_piece(track, offset, length) == track.path.read_bytes()[offset : offset + length]


def test_range_beyond_the_file(make_track: Callable[..., Track]) -> None:
    """A range that ends one byte after the file is refused as a whole."""
    track = make_track(size=1000)
    assert read_piece(track, 999, 2) is ReadError.BAD_RANGE
    assert read_piece(track, 1000, 1) is ReadError.BAD_RANGE


def test_deleted_file(make_track: Callable[..., Track]) -> None:
    """A deleted file is gone."""
    track = make_track()
    track.path.unlink()
    assert read_piece(track, 0, 10) is ReadError.GONE


def test_changed_file(make_track: Callable[..., Track]) -> None:
    """A file of the same size that was written anew is not the one that was offered."""
    track = make_track(size=1000)
    track.path.write_bytes(os.urandom(1000))
    os.utime(track.path, ns=(track.mtime_ns + 1_000_000, track.mtime_ns + 1_000_000))
    assert read_piece(track, 0, 10) is ReadError.GONE


def test_shortened_file(make_track: Callable[..., Track]) -> None:
    """A shorter file with the old time is gone, too."""
    track = make_track(size=1000)
    os.truncate(track.path, 500)
    os.utime(track.path, ns=(track.mtime_ns, track.mtime_ns))
    assert read_piece(track, 0, 10) is ReadError.GONE


def test_a_pipe_in_the_files_place_does_not_hold_up(make_track: Callable[..., Track]) -> None:
    """What is no regular file is gone, at once."""
    track = make_track()
    track.path.unlink()
    os.mkfifo(track.path)
    assert read_piece(track, 0, 10) is ReadError.GONE


def test_a_folder_in_the_files_place(make_track: Callable[..., Track]) -> None:
    """A folder with the file's name is gone."""
    track = make_track()
    track.path.unlink()
    track.path.mkdir()
    assert read_piece(track, 0, 10) is ReadError.GONE

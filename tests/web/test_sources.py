"""Own files as a playlist."""

from __future__ import annotations

import os

import pytest

from dnai.errors import PeerRefusedError
from dnai.tracks import MAX_PLAYLIST_TRACKS
from tests.web.conftest import MakeTrack
from web.sources import PIECE_BYTES, LocalSource


def test_a_local_playlist_has_the_tracks_in_order_and_no_path(make_track: MakeTrack) -> None:
    """Titles and distances are there, ids are new for each playlist, and the file's name is nowhere."""
    track = make_track("Blue in Green")
    source, again = LocalSource([(track, 1.5)]), LocalSource([(track, 1.5)])
    entry = source.playlist.entries[0]
    assert (entry.title, entry.distance, entry.size_bytes) == ("Blue in Green", 1.5, track.size_bytes)
    assert str(track.path) not in repr(source.playlist)
    assert entry.track_id != again.playlist.entries[0].track_id


def test_a_local_playlist_is_no_longer_than_any_other(make_track: MakeTrack) -> None:
    """At most 25 tracks, as from a peer."""
    track = make_track()
    source = LocalSource([(track, float(i)) for i in range(40)])
    assert len(source.playlist.entries) == MAX_PLAYLIST_TRACKS


def test_reading_gives_exactly_the_bytes_asked_for_in_pieces(make_track: MakeTrack) -> None:
    """A range across several pieces is the file's own bytes."""
    content = bytes(i % 251 for i in range(2 * PIECE_BYTES + 100))
    track = make_track(content=content)
    source = LocalSource([(track, 0.0)])
    pieces = list(source.read(source.playlist.entries[0].track_id, 50, len(content) - 7))
    assert b"".join(pieces) == content[50:-7]
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_a_file_that_is_gone_or_changed_is_not_played(make_track: MakeTrack) -> None:
    """Deleted, made longer, replaced by a folder or a pipe: said in words at once, with no path in them."""
    for change in ("delete", "grow", "replace", "pipe"):
        track = make_track(f"Track to {change}")
        source = LocalSource([(track, 0.0)])
        track.path.unlink()
        if change == "grow":
            track.path.write_bytes(b"x" * (track.size_bytes + 1))
        if change == "replace":
            track.path.mkdir()
        if change == "pipe":
            os.mkfifo(track.path)
        with pytest.raises(PeerRefusedError, match=f"Track to {change}") as caught:
            list(source.read(source.playlist.entries[0].track_id, 0, 10))
        assert str(track.path.parent) not in str(caught.value)


def test_an_id_that_was_never_given_out_is_refused(make_track: MakeTrack) -> None:
    """Made-up ids open nothing."""
    source = LocalSource([(make_track(), 0.0)])
    with pytest.raises(PeerRefusedError, match="no track"):
        list(source.read("../../etc/passwd", 0, 10))

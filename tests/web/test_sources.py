"""Own files as a playlist."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from dnai.audio.converted import ConvertedTracks
from dnai.errors import PeerBrokeOffError, PeerRefusedError
from dnai.tracks import MAX_PLAYLIST_TRACKS, AudioType, Track
from tests.sounds import SR, music
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


@pytest.fixture
def converted(tmp_path: Path) -> Iterator[ConvertedTracks]:
    """Where own tracks are converted."""
    store = ConvertedTracks(tmp_path / "converted", max_tracks=1)
    yield store
    store.close()


def aiff_track(make_track: MakeTrack, title: str = "In aiff", *, seed: int = 0) -> Track:
    content = io.BytesIO()
    soundfile.write(content, music(duration_s=3.0, seed=seed), SR, format="AIFF")
    return make_track(title, content=content.getvalue(), audio_type=AudioType.AIFF)


def test_what_browsers_do_not_play_is_converted(make_track: MakeTrack, converted: ConvertedTracks) -> None:
    """The playlist says flac, without a size; then the size is known, and any range can be read."""
    plain = make_track(content=b"x" * 1000)
    source = LocalSource([(aiff_track(make_track), 0.0), (plain, 1.0)], converted=converted)
    first, second = source.playlist.entries
    assert (first.audio_type, first.size_bytes) == (AudioType.FLAC, 0)
    assert (second.audio_type, source.prepare(second.track_id)) == (AudioType.MP3, 1000)
    size = source.prepare(first.track_id)
    data = b"".join(source.read(first.track_id, 0, size))
    assert len(data) == size
    assert soundfile.info(io.BytesIO(data)).duration == pytest.approx(3.0)
    assert b"".join(source.read(first.track_id, 500, 600)) == data[500:600]


def test_a_converted_track_may_make_room_while_it_is_read(make_track: MakeTrack, converted: ConvertedTracks) -> None:
    """It is converted again, and read on."""
    source = LocalSource([(aiff_track(make_track, seed=seed), 0.0) for seed in (0, 1)], converted=converted)
    first, second = [entry.track_id for entry in source.playlist.entries]
    size = source.prepare(first)
    whole = b"".join(source.read(first, 0, size))
    reading = source.read(first, 0, size)
    source.prepare(second)
    assert b"".join(reading) == whole


def test_what_cannot_be_converted_is_said_in_words(make_track: MakeTrack, converted: ConvertedTracks) -> None:
    """And costs that track."""
    source = LocalSource([(make_track(content=b"nothing", audio_type=AudioType.WMA), 0.0)], converted=converted)
    with pytest.raises(PeerRefusedError, match="converted"):
        source.prepare(source.playlist.entries[0].track_id)


def test_closing_ends_the_wait_for_a_conversion(make_track: MakeTrack, tmp_path: Path) -> None:
    """When the next playlist has taken over, nobody waits for the former."""
    store = ConvertedTracks(tmp_path / "converted", at_once=0)
    source = LocalSource([(aiff_track(make_track), 0.0)], converted=store)
    closing = threading.Timer(0.2, source.close)
    closing.start()
    with pytest.raises(PeerBrokeOffError, match="closed"):
        source.prepare(source.playlist.entries[0].track_id)
    closing.join()

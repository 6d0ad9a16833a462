"""Covers on their way from their owner to a listener."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dnai.audio.covers import Covers
from dnai.errors import UsageError
from dnai.stream.client import PeerSession
from dnai.tracks import Track
from tests.unit.stream.test_preparing import first_version

MakeTrack = Callable[..., Track]
ListenTo = Callable[..., PeerSession]


def pictures(**named: bytes) -> Covers:
    """Covers by the stem of the track's name."""
    return Covers(read=lambda path: named.get(path.stem))


def test_a_listener_gets_covers(make_peer: Callable[..., Any], make_track: MakeTrack, listen_to: ListenTo) -> None:
    """Of the tracks that have one, and the music goes on beside."""
    tracks = [make_track("a.ogg"), make_track("b.ogg")]
    session = listen_to(make_peer(*tracks, covers=pictures(a=b"picture of a")))
    first, second = [entry.track_id for entry in session.playlist.entries]
    assert session.cover(first) == b"picture of a"
    assert session.cover(second) is None
    assert b"".join(session.read(first, 0, tracks[0].size_bytes)) == tracks[0].path.read_bytes()
    with pytest.raises(UsageError):
        session.cover("x" * 16)


def test_a_provider_without_covers_is_not_asked(
    make_peer: Callable[..., Any], make_track: MakeTrack, listen_to: ListenTo
) -> None:
    """Nothing goes over the line."""
    session = listen_to(make_peer(make_track()))
    assert session.cover(session.playlist.entries[0].track_id) is None


def test_a_cover_that_is_too_large_stays_with_its_owner(
    make_peer: Callable[..., Any], make_track: MakeTrack, listen_to: ListenTo
) -> None:
    """The listener would take it for a broken promise."""
    session = listen_to(make_peer(make_track("a.ogg"), covers=pictures(a=bytes(65_537))))
    assert session.cover(session.playlist.entries[0].track_id) is None


def test_a_cover_that_fails_costs_the_cover(
    make_peer: Callable[..., Any], make_track: MakeTrack, listen_to: ListenTo
) -> None:
    """Not the session."""

    def fail(path: Path) -> bytes | None:
        raise RuntimeError("something unforeseen")

    track = make_track("a.ogg")
    session = listen_to(make_peer(track, covers=Covers(read=fail)))
    track_id = session.playlist.entries[0].track_id
    assert session.cover(track_id) is None
    assert b"".join(session.read(track_id, 0, track.size_bytes)) == track.path.read_bytes()


def test_a_slow_cover_holds_up_nobody_else(
    make_peer: Callable[..., Any], make_track: MakeTrack, listen_to: ListenTo
) -> None:
    """Other listeners read on; covers are drawn in a thread of their own."""
    go = threading.Event()

    def slow(path: Path) -> bytes | None:
        go.wait(20)
        return b"late"

    track = make_track("a.ogg")
    peer = make_peer(track, covers=Covers(read=slow))
    waiting, other = listen_to(peer), listen_to(peer)
    got: list[bytes | None] = []
    asking = threading.Thread(target=lambda: got.append(waiting.cover(waiting.playlist.entries[0].track_id)))
    asking.start()
    assert b"".join(other.read(other.playlist.entries[0].track_id, 0, track.size_bytes)) == track.path.read_bytes()
    assert got == []
    go.set()
    asking.join(10)
    assert got == [b"late"]


@pytest.mark.parametrize("payload", ["7", "null", '{"track":"../../etc/passwd"}', "{}"])
def test_odd_calls_have_a_code(make_peer: Callable[..., Any], make_track: MakeTrack, payload: str) -> None:
    """And the session goes on."""
    peer = make_peer(make_track(), covers=pictures())
    calls = (f'["cover",{payload}]', '["cover",{"track":"zzzzzzzzzzzzzzzz"}]')
    bad, unknown = asyncio.run(first_version(peer.port, peer.ticket(), *calls))
    assert '"error":"bad_request"' in bad
    assert '"error":"unknown_track"' in unknown

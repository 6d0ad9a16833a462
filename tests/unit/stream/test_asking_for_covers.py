"""Covers on their way from their owner to a listener."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dnai.audio.covers import Covers
from dnai.errors import UsageError
from dnai.stream.addresses import AddressRule
from dnai.stream.client import PeerClient, PeerSession
from dnai.tracks import Track
from tests.unit.stream.test_preparing import LOOPBACK, first_version

MakeTrack = Callable[..., Track]
ListenTo = Callable[..., PeerSession]


def pictures(**named: bytes) -> Covers:
    """Covers by the stem of the track's name."""
    return Covers(read=lambda path: named.get(path.stem))


def soon(session: PeerSession, track_id: str, *, timeout_s: float = 10.0) -> bytes:
    """Ask until there is a cover."""
    deadline = time.monotonic() + timeout_s
    while (cover := session.cover(track_id)) is None:
        assert time.monotonic() < deadline, f"waited {timeout_s} s for a cover"
        time.sleep(0.01)
    return cover


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
    assert b"late" not in got
    go.set()
    asking.join(10)
    assert soon(waiting, waiting.playlist.entries[0].track_id) == b"late"


@pytest.fixture
def patient() -> Iterator[PeerClient]:
    """A listener who would wait longer for a cover than a provider lets it."""
    with PeerClient(allow=AddressRule(loopback_allowed=True), piece_timeout_s=15.0) as client:
        yield client


def test_a_cover_that_takes_long_comes_the_next_time(
    make_peer: Callable[..., Any], make_track: MakeTrack, patient: PeerClient
) -> None:
    """Nobody's music waits for more than a second for it, and the listener gets no other meanwhile."""
    go = threading.Event()

    def slow(path: Path) -> bytes | None:
        if path.stem == "slow":
            go.wait(30)
        return path.stem.encode()

    tracks = [make_track("slow.ogg"), make_track("quick.ogg")]
    peer = make_peer(*tracks, covers=Covers(read=slow))
    ann, bob = [patient.open(LOOPBACK, peer.port, peer.ticket(user)) for user in ("ann", "bob")]
    first, second = [entry.track_id for entry in ann.playlist.entries]
    began_at = time.monotonic()
    assert ann.cover(first) is None
    assert time.monotonic() - began_at < 5.0
    assert ann.cover(second) is None
    assert bob.cover(bob.playlist.entries[1].track_id) is None
    assert b"".join(ann.read(second, 0, tracks[1].size_bytes)) == tracks[1].path.read_bytes()
    assert time.monotonic() - began_at < 10.0
    go.set()
    assert soon(ann, first) == b"slow"
    assert soon(ann, second) == b"quick"


HANGING = """
import dataclasses, sys, threading
from pathlib import Path
from dnai.audio.covers import Covers
from dnai.config import Address
from dnai.stream.server import StreamServer
from dnai.stream.tickets import TicketDesk
from dnai.tracks import AudioType
from tests.unit.audio.test_converted import track_of

def hang(path):
    threading.Event().wait()

track = track_of(Path(sys.argv[1]), duration_s=2.0)
offered = [(dataclasses.replace(track, audio_type=AudioType.OGG), 0.0)]
desk = TicketDesk()
covers = Covers(read=hang)
options = {"playlist_for": lambda query: offered, "listen": Address("127.0.0.1", 0), "covers": covers}
with StreamServer(desk=desk, **options) as server:
    print(server.address.port, desk.issue("ann", "jazz"), flush=True)
    sys.stdin.readline()
print("stopped", flush=True)
"""


def test_a_picture_that_hangs_does_not_keep_the_process_alive(make_track: MakeTrack, patient: PeerClient) -> None:
    """A worker that is stopped ends, although a cover is still looked for."""
    command = [sys.executable, "-c", HANGING, str(make_track("a.ogg").path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            port, ticket = process.stdout.readline().split()
            session = patient.open(LOOPBACK, int(port), ticket)
            assert session.cover(session.playlist.entries[0].track_id) is None
            process.stdin.write("stop\n")
            process.stdin.flush()
            assert process.stdout.readline() == "stopped\n"
            assert process.wait(5) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("payload", ["7", "null", '{"track":"../../etc/passwd"}', "{}"])
def test_odd_calls_have_a_code(make_peer: Callable[..., Any], make_track: MakeTrack, payload: str) -> None:
    """And the session goes on."""
    peer = make_peer(make_track(), covers=pictures())
    calls = (f'["cover",{payload}]', '["cover",{"track":"zzzzzzzzzzzzzzzz"}]')
    bad, unknown = asyncio.run(first_version(peer.port, peer.ticket(), *calls))
    assert '"error":"bad_request"' in bad
    assert '"error":"unknown_track"' in unknown

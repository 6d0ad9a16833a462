"""Tracks that browsers do not play: converted by their owner when a listener asks."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import soundfile

from dnai.audio.converted import ConvertedTracks
from dnai.audio.covers import Covers
from dnai.errors import PeerBrokeOffError, PeerRefusedError, UsageError
from dnai.stream import payloads
from dnai.stream.client import PeerClient, PeerSession
from dnai.tracks import AudioType, Track
from tests.sounds import music

MakeTrack = Callable[..., Track]
ListenTo = Callable[..., PeerSession]
LOOPBACK = "127.0.0.1"


@pytest.fixture
def converted(tmp_path: Path) -> Iterator[ConvertedTracks]:
    """Where the provider converts its tracks."""
    store = ConvertedTracks(tmp_path / "converted")
    yield store
    store.close()


@pytest.fixture
def aiff(make_track: MakeTrack) -> Track:
    """A track of three seconds that browsers do not play."""
    return make_track("a.aiff", audio_type=AudioType.AIFF, y=music(duration_s=3.0), title="In aiff")


def test_the_listener_gets_flac(
    make_peer: Callable[..., Any], aiff: Track, listen_to: ListenTo, converted: Any
) -> None:
    """The playlist names the kind that is sent, without a size; after preparing, ranges of it are read."""
    session = listen_to(make_peer(aiff, converted=converted))
    [entry] = session.playlist.entries
    assert (entry.audio_type, entry.size_bytes) == (AudioType.FLAC, 0)
    size = session.prepare(entry.track_id)
    data = b"".join(session.read(entry.track_id, 0, size))
    assert len(data) == size
    y, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    assert abs(y - soundfile.read(aiff.path, dtype="float32")[0]).max() <= 1.01 / 32768
    assert b"".join(session.read(entry.track_id, 1000, 2000)) == data[1000:2000]
    assert session.prepare(entry.track_id) == size


def test_it_is_read_only_after_it_was_prepared(
    make_peer: Callable[..., Any], aiff: Track, listen_to: ListenTo, converted: Any
) -> None:
    """Before, no range lies within it; and no other track can be prepared."""
    session = listen_to(make_peer(aiff, converted=converted))
    with pytest.raises(UsageError, match="0 bytes"):
        session.read(session.playlist.entries[0].track_id, 0, 1)
    with pytest.raises(UsageError, match="no track"):
        session.prepare("x" * 16)


def test_a_converted_track_that_had_to_make_room_is_made_again(
    make_peer: Callable[..., Any], make_track: MakeTrack, aiff: Track, listen_to: ListenTo, tmp_path: Path
) -> None:
    """The listener goes on reading, and hears nothing of it."""
    store = ConvertedTracks(tmp_path / "small", max_tracks=1)
    other = make_track("b.aiff", audio_type=AudioType.AIFF, y=music(duration_s=3.0, seed=1))
    try:
        session = listen_to(make_peer(aiff, other, converted=store))
        first, second = [entry.track_id for entry in session.playlist.entries]
        size = session.prepare(first)
        data = b"".join(session.read(first, 0, size))
        session.prepare(second)
        assert store.find(aiff) is None
        assert b"".join(session.read(first, 0, size)) == data
    finally:
        store.close()


def test_all_who_read_a_track_that_had_to_make_room_read_on(
    make_peer: Callable[..., Any], make_track: MakeTrack, aiff: Track, listen_to: ListenTo, tmp_path: Path
) -> None:
    """Browsers ask for several ranges of one track at once; its size stays known while it is made again."""
    begun, go = threading.Semaphore(0), threading.Event()
    go.set()

    def when_told(folder: Path) -> io.BytesIO:
        begun.release()
        assert go.wait(20)
        return io.BytesIO()

    store = ConvertedTracks(tmp_path / "small", max_tracks=1, new_file=when_told)
    other = make_track("b.aiff", audio_type=AudioType.AIFF, y=music(duration_s=3.0, seed=1))
    session = listen_to(make_peer(aiff, other, converted=store))
    first, second = [entry.track_id for entry in session.playlist.entries]
    size = session.prepare(first)
    data = b"".join(session.read(first, 0, size))
    session.prepare(second)
    go.clear()
    received: list[bytes] = []
    reading = session.read(first, 0, size)
    threads = [threading.Thread(target=lambda: received.append(b"".join(reading)))]
    threads[0].start()
    for number in range(3):
        assert begun.acquire(timeout=10), f"waited 10 s for conversion {number} to begin"
    assert session.prepare(first) == size
    late = [session.read(first, start, size) for start in (0, 1000)]
    threads += [threading.Thread(target=lambda one=one: received.append(b"".join(one))) for one in late]
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(20)
    store.close()
    assert sorted(received) == sorted([data, data, data[1000:]])


def test_after_the_end_of_the_client_every_call_says_that_it_is_over(
    make_peer: Callable[..., Any], aiff: Track, client: PeerClient, converted: ConvertedTracks
) -> None:
    """As an error of the stream, which the page expects from a source: it is nobody's mistake."""
    peer = make_peer(aiff, converted=converted, covers=Covers(read=lambda path: b"picture"))
    session = client.open(LOOPBACK, peer.port, peer.ticket())
    track_id = session.playlist.entries[0].track_id
    client.close()
    for call in (session.prepare, session.cover):
        with pytest.raises(PeerBrokeOffError, match="was closed"):
            call(track_id)
    with pytest.raises(PeerBrokeOffError, match="was closed"):
        session.resume()


def test_many_listeners_at_once(
    make_peer: Callable[..., Any], aiff: Track, client: PeerClient, converted: ConvertedTracks
) -> None:
    """Each gets the same bytes."""
    peer = make_peer(aiff, converted=converted)
    received: list[bytes] = []

    def listen(user: str) -> None:
        session = client.open(LOOPBACK, peer.port, peer.ticket(user))
        track_id = session.playlist.entries[0].track_id
        received.append(b"".join(session.read(track_id, 0, session.prepare(track_id))))

    threads = [threading.Thread(target=listen, args=(f"user{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(received) == 6
    assert len(set(received)) == 1


def test_other_tracks_play_while_one_is_converted(
    make_peer: Callable[..., Any], make_track: MakeTrack, aiff: Track, listen_to: ListenTo, tmp_path: Path
) -> None:
    """The same connection is read from; the conversion holds nothing up."""
    go = threading.Event()

    def when_told(folder: Path) -> io.BytesIO:
        assert go.wait(20)
        return io.BytesIO()

    store = ConvertedTracks(tmp_path / "slow", new_file=when_told)
    plain = make_track("b.ogg")
    session = listen_to(make_peer(aiff, plain, converted=store))
    slow, quick = [entry.track_id for entry in session.playlist.entries]
    sizes: list[int] = []
    waiting = threading.Thread(target=lambda: sizes.append(session.prepare(slow)))
    waiting.start()
    assert b"".join(session.read(quick, 0, plain.size_bytes)) == plain.path.read_bytes()
    assert sizes == []
    go.set()
    waiting.join(20)
    assert sizes[0] > 0
    store.close()


def test_what_cannot_be_converted_is_refused(
    make_peer: Callable[..., Any], make_track: MakeTrack, listen_to: ListenTo, converted: Any
) -> None:
    """That track only, and without a path."""
    broken = make_track("b.wma", audio_type=AudioType.WMA)
    session = listen_to(make_peer(broken, converted=converted))
    with pytest.raises(PeerRefusedError, match="cannot convert this track") as caught:
        session.prepare(session.playlist.entries[0].track_id)
    assert "secret-folder" not in str(caught.value)


def test_a_file_that_is_gone_is_not_read_any_more(
    make_peer: Callable[..., Any], aiff: Track, listen_to: ListenTo, converted: Any
) -> None:
    """Its owner has deleted it: the converted one is not given out either."""
    session = listen_to(make_peer(aiff, converted=converted))
    track_id = session.playlist.entries[0].track_id
    size = session.prepare(track_id)
    aiff.path.unlink()
    with pytest.raises(PeerRefusedError, match="deleted or changed"):
        list(session.read(track_id, 0, size))


def test_without_a_place_to_convert_they_are_left_out(
    make_peer: Callable[..., Any], make_track: MakeTrack, aiff: Track, listen_to: ListenTo
) -> None:
    """The others are offered."""
    session = listen_to(make_peer(aiff, make_track("b.ogg", title="B")))
    assert [entry.title for entry in session.playlist.entries] == ["B"]


def test_a_session_survives_a_lost_connection_while_it_waits(
    make_peer: Callable[..., Any], aiff: Track, client: PeerClient, line_to: Callable[..., Any], tmp_path: Path
) -> None:
    """It is taken up again, and the wait goes on."""
    go = threading.Event()

    def when_told(folder: Path) -> io.BytesIO:
        assert go.wait(20)
        return io.BytesIO()

    store = ConvertedTracks(tmp_path / "slow", new_file=when_told)
    peer = make_peer(aiff, converted=store)
    line = line_to(peer)
    session = client.open(LOOPBACK, line.port, peer.ticket())
    sizes: list[int] = []
    waiting = threading.Thread(target=lambda: sizes.append(session.prepare(session.playlist.entries[0].track_id)))
    waiting.start()
    line.cut()
    go.set()
    waiting.join(20)
    assert sizes[0] > 0
    store.close()


async def first_version(port: int, ticket: str, *calls: str) -> list[str]:
    """Return the answers to calls of a listener that says nothing of what it knows."""
    url = f"http://{LOOPBACK}:{port}/socket.io/?transport=websocket&EIO=4"
    async with asyncio.timeout(8), aiohttp.ClientSession() as http, http.ws_connect(url) as ws:
        await ws.receive()
        await ws.send_str(f'40{{"v":1,"ticket":"{ticket}"}}')
        await ws.receive()
        answers = []
        for number, call in enumerate(calls):
            await ws.send_str(f"42{number}{call}")
            answers.append(await ws.receive_str())
        return answers


def test_a_listener_of_the_first_version_loses_these_tracks_only(
    make_peer: Callable[..., Any], make_track: MakeTrack, aiff: Track, converted: Any
) -> None:
    """It would refuse a whole playlist for one kind of file, or one size, that it does not know."""
    aac = make_track("c.aac", audio_type=AudioType.AAC)
    peer = make_peer(aiff, make_track("b.ogg", title="B"), aac, converted=converted)
    [answer] = asyncio.run(first_version(peer.port, peer.ticket(), '["playlist"]'))
    [welcome] = json.loads(answer.removeprefix("430"))
    assert [(track["title"], track["audio_type"]) for track in welcome["tracks"]] == [("B", "ogg")]
    assert min(track["size_bytes"] for track in welcome["tracks"]) > 0


def test_a_listener_of_the_first_version_passes_over_who_has_nothing_else(
    make_peer: Callable[..., Any], aiff: Track, converted: Any
) -> None:
    """It gets an answer that is no playlist, and goes on to the next offer."""
    peer = make_peer(aiff, converted=converted)
    [answer] = asyncio.run(first_version(peer.port, peer.ticket(), '["playlist"]'))
    assert '"error":"nothing_known"' in answer


@pytest.mark.parametrize("payload", ["7", "[]", '{"knows":7}', '{"knows":["%s"]}' % ("x" * 33), '{"knows":[1]}'])
def test_odd_words_are_no_words(make_peer: Callable[..., Any], make_track: MakeTrack, payload: str) -> None:
    """A playlist call was never refused for what came with it."""
    peer = make_peer(make_track())
    [answer] = asyncio.run(first_version(peer.port, peer.ticket(), f'["playlist",{payload}]'))
    assert '"title":"So What"' in answer


@pytest.mark.parametrize("payload", ["7", "null", '{"track":"../../etc/passwd"}', "{}"])
def test_odd_calls_have_a_code(make_peer: Callable[..., Any], aiff: Track, converted: Any, payload: str) -> None:
    """And the session goes on."""
    peer = make_peer(aiff, converted=converted)
    calls = (f'["prepare",{payload}]', '["prepare",{"track":"zzzzzzzzzzzzzzzz"}]')
    bad, unknown = asyncio.run(first_version(peer.port, peer.ticket(), *calls))
    assert '"error":"bad_request"' in bad
    assert '"error":"unknown_track"' in unknown


def test_a_size_may_be_missing_only_where_it_is_not_known_yet() -> None:
    """No other kind of file than the one that is converted to."""
    assert payloads.is_known(AudioType.AIFF, knows=frozenset({"prepare"}))
    assert not payloads.is_known(AudioType.AIFF, knows=frozenset({"something else"}))


def test_the_end_of_the_server_ends_a_wait(
    make_peer: Callable[..., Any], aiff: Track, listen_to: ListenTo, tmp_path: Path
) -> None:
    """The listener goes on to the next offer."""
    store = ConvertedTracks(tmp_path / "slow", new_file=lambda folder: io.BytesIO(), at_once=0)
    peer = make_peer(aiff, converted=store)
    session = listen_to(peer)
    stopping = threading.Timer(0.3, peer.server.stop)
    stopping.start()
    with pytest.raises(PeerBrokeOffError):
        session.prepare(session.playlist.entries[0].track_id)
    stopping.join()
    store.close()

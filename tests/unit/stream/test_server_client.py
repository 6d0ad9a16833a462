"""A real provider and a real listener on loopback."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from dnai.config import Address
from dnai.errors import ConfigurationError, PeerBrokeOffError, PeerRefusedError, PeerUnreachableError, UsageError
from dnai.stream.addresses import AddressRule
from dnai.stream.client import PeerClient, PeerSession
from dnai.stream.server import StreamServer
from dnai.stream.tickets import TicketDesk
from dnai.tracks import Track

LOOPBACK = "127.0.0.1"


def wait_until(condition: Callable[[], bool], *, waiting_for: str, timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {waiting_for}"
        time.sleep(0.01)


def everything(session: PeerSession, number: int = 0) -> bytes:
    entry = session.playlist.entries[number]
    return b"".join(session.read(entry.track_id, 0, entry.size_bytes))


def test_the_listener_gets_the_files_bytes(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], listen_to: Callable[..., PeerSession]
) -> None:
    """The playlist is in the provider's order, and each track arrives byte for byte."""
    tracks = [make_track("a.ogg", title="A"), make_track("b.ogg", title="B", size=1)]
    session = listen_to(make_peer(*tracks))
    assert [(entry.title, entry.distance) for entry in session.playlist.entries] == [("A", 0.5), ("B", 1.5)]
    for number, track in enumerate(tracks):
        assert everything(session, number) == track.path.read_bytes()


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 0), (0, 1), (65535, 65537), (700_000, 700_001), (65536, 65536 + 262_144), (12345, 654_321)]
)
def test_ranges(
    make_peer: Callable[..., Any],
    make_track: Callable[..., Track],
    listen_to: Callable[..., PeerSession],
    start: int,
    stop: int,
) -> None:
    """Any range is exactly that range."""
    track = make_track(size=700_001)
    session = listen_to(make_peer(track))
    data = b"".join(session.read(session.playlist.entries[0].track_id, start, stop))
    assert data == track.path.read_bytes()[start:stop]


def test_first_piece_is_small(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], listen_to: Callable[..., PeerSession]
) -> None:
    """The first sound does not wait for a quarter of a megabyte; no piece is larger."""
    session = listen_to(make_peer(make_track()))
    sizes = [len(piece) for piece in session.read(session.playlist.entries[0].track_id, 0, 700_001)]
    assert sizes[0] == 65536
    assert max(sizes) == 262_144


def test_wrong_reads_are_the_callers_mistake(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], listen_to: Callable[..., PeerSession]
) -> None:
    """An id or a range outside the playlist is refused before anything is asked."""
    session = listen_to(make_peer(make_track(size=100)))
    track_id = session.playlist.entries[0].track_id
    for bad in [("x" * 16, 0, 1), (track_id, 0, 101), (track_id, -1, 5), (track_id, 7, 5)]:
        with pytest.raises(UsageError):
            session.read(*bad)


def test_a_ticket_opens_one_session(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient
) -> None:
    """The second use of a ticket is refused, and said why."""
    peer = make_peer(make_track())
    ticket = peer.ticket()
    client.open(LOOPBACK, peer.port, ticket)
    with pytest.raises(PeerRefusedError, match=rf"127\.0\.0\.1:{peer.port} says no: it does not take this ticket"):
        client.open(LOOPBACK, peer.port, ticket)


@pytest.mark.parametrize("made_up", ["y" * 32, "", "short", "x" * 5000, "ticket\x00\x1b"])
def test_a_made_up_ticket(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient, made_up: str
) -> None:
    """A made-up ticket opens nothing, and the server goes on."""
    peer = make_peer(make_track())
    with pytest.raises(PeerRefusedError):
        client.open(LOOPBACK, peer.port, made_up)
    assert client.open(LOOPBACK, peer.port, peer.ticket()).playlist.entries


def test_an_expired_ticket(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient, clock: Any
) -> None:
    """A ticket that waited for more than a minute is said to be too old."""
    peer = make_peer(make_track())
    ticket = peer.ticket()
    clock.now += 61
    with pytest.raises(PeerRefusedError, match="too old"):
        client.open(LOOPBACK, peer.port, ticket)


def test_tracks_that_are_gone_since_the_offer(make_peer: Callable[..., Any], client: PeerClient) -> None:
    """A ticket for nothing is refused in words."""
    peer = make_peer()
    with pytest.raises(PeerRefusedError, match="the tracks that it offered are gone"):
        client.open(LOOPBACK, peer.port, peer.ticket())


def test_a_failing_catalogue_costs_one_session(
    make_track: Callable[..., Track], client: PeerClient, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the provider's own is logged there; the listener is told, without details."""
    desk: TicketDesk[str] = TicketDesk()
    track = make_track()

    def playlist_for(query: str) -> list[tuple[object, float]]:
        if query == "bad":
            raise RuntimeError("/home/ann/music is broken")
        return [(track, 1.0)]

    with StreamServer(desk=desk, playlist_for=playlist_for, listen=Address(LOOPBACK, 0)) as server:
        with pytest.raises(PeerRefusedError, match="something failed on its side") as caught:
            client.open(LOOPBACK, server.address.port, desk.issue("ann", "bad"))
        assert "/home" not in str(caught.value)
        assert client.open(LOOPBACK, server.address.port, desk.issue("ann", "good")).playlist.entries
    assert "opening a session failed" in caplog.text


@pytest.mark.parametrize("change", ["deleted", "changed"])
def test_a_file_deleted_or_changed_between(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], listen_to: Callable[..., PeerSession], change: str
) -> None:
    """A file that is not what was offered is refused; the session's other tracks play on."""
    lost, kept = make_track("lost.ogg"), make_track("kept.ogg")
    session = listen_to(make_peer(lost, kept))
    if change == "deleted":
        lost.path.unlink()
    else:
        lost.path.write_bytes(os.urandom(lost.size_bytes + 1))
    with pytest.raises(PeerRefusedError, match="deleted or changed") as caught:
        everything(session, 0)
    assert "lost.ogg" not in str(caught.value)
    assert "secret-folder" not in str(caught.value)
    assert everything(session, 1) == kept.path.read_bytes()


def test_a_lost_connection_is_taken_up_again(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient, line_to: Callable[..., Any]
) -> None:
    """A line that breaks in the middle of a track, twice, costs no byte."""
    track = make_track(size=3_000_000)
    peer = make_peer(track)
    line = line_to(peer)
    line.cut_after = [900_000, 900_000]
    session = client.open(LOOPBACK, line.port, peer.ticket())
    assert everything(session) == track.path.read_bytes()
    assert line.connections == 3


def test_a_connection_lost_while_paused(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient, line_to: Callable[..., Any]
) -> None:
    """After a pause in which the line was cut, the next read goes on, whoever reads."""
    track = make_track()
    peer = make_peer(track)
    line = line_to(peer)
    session = client.open(LOOPBACK, line.port, peer.ticket())
    line.cut()
    assert everything(session) == track.path.read_bytes()
    line.cut()
    session.resume()
    assert everything(session) == track.path.read_bytes()


def test_a_line_that_always_breaks(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient, line_to: Callable[..., Any]
) -> None:
    """A read that gets nowhere gives up, and says that the provider broke off."""
    peer = make_peer(make_track())
    line = line_to(peer)
    session = client.open(LOOPBACK, line.port, peer.ticket())
    line.cut_after = [2000] * 10
    line.cut()
    with pytest.raises(PeerBrokeOffError):
        everything(session)
    assert line.connections <= 4


def test_a_provider_that_goes_away(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient
) -> None:
    """When the provider's server stops for good, the read breaks off and says so."""
    peer = make_peer(make_track(size=5_000_000))
    session = client.open(LOOPBACK, peer.port, peer.ticket())
    pieces = session.read(session.playlist.entries[0].track_id, 0, 5_000_000)
    next(pieces)
    peer.server.stop()
    with pytest.raises(PeerBrokeOffError, match=rf"127\.0\.0\.1:{session.address.port} broke off"):
        list(pieces)


def test_an_idle_session_is_over(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], listen_to: Callable[..., PeerSession], clock: Any
) -> None:
    """After more than half an hour without a read the session is refused, not taken up again."""
    session = listen_to(make_peer(make_track()))
    clock.now += 1801
    with pytest.raises(PeerRefusedError, match="session is over"):
        everything(session)


async def connect_raw(port: int, auth: object, *, headers: dict[str, str] | None = None) -> list[str]:
    """Return what a server says to a bare WebSocket that shows `auth`."""
    said: list[str] = []
    url = f"http://{LOOPBACK}:{port}/socket.io/?transport=websocket&EIO=4"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as ws:
        said.append((await ws.receive_str())[:1])
        await ws.send_str("40" + aiohttp.JsonPayload(auth)._value.decode())
        said.append(await ws.receive_str())
    return said


def test_wrong_secret(make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient) -> None:
    """A session is not taken up again with a made-up secret."""
    peer = make_peer(make_track())
    session = client.open(LOOPBACK, peer.port, peer.ticket())
    good = session._proof
    [_, answer] = asyncio.run(connect_raw(peer.port, {**good, "secret": "w" * 32}))
    assert answer.startswith("44")
    assert '"error":"bad_ticket"' in answer
    [_, answer] = asyncio.run(connect_raw(peer.port, good))
    assert answer.startswith('40{"sid"')


def test_closing_tells_the_provider(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient
) -> None:
    """A closed session cannot be taken up again, and its reads break off."""
    peer = make_peer(make_track(size=4_000_000))
    session = client.open(LOOPBACK, peer.port, peer.ticket())
    reading = session.read(session.playlist.entries[0].track_id, 0, 4_000_000)
    next(reading)
    session.close()
    session.close()
    assert session.is_closed
    with pytest.raises(PeerBrokeOffError):
        list(reading)
    [_, answer] = asyncio.run(connect_raw(peer.port, session._proof))
    assert '"error":"bad_ticket"' in answer


def test_eight_readers_at_once(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], listen_to: Callable[..., PeerSession]
) -> None:
    """Several ranges of one session are read at the same time, each right."""
    track = make_track(size=2_000_000)
    data = track.path.read_bytes()
    session = listen_to(make_peer(track))
    track_id = session.playlist.entries[0].track_id

    def read(number: int) -> bool:
        start, stop = number * 100_000, 2_000_000 - number * 50_000
        return b"".join(session.read(track_id, start, stop)) == data[start:stop]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8), timeout=30))


def test_a_read_closed_early_leaves_the_session_usable(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], listen_to: Callable[..., PeerSession]
) -> None:
    """A hundred reads that are broken off after a piece leave nothing behind that hinders the next."""
    track = make_track(size=2_000_000)
    session = listen_to(make_peer(track))
    for start in range(100):
        reading = session.read(session.playlist.entries[0].track_id, start, 2_000_000)
        next(reading)
        reading.close()
    assert everything(session) == track.path.read_bytes()
    assert not session._connection._waiting


def test_two_providers(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], listen_to: Callable[..., PeerSession]
) -> None:
    """One client holds sessions with two providers."""
    tracks = [make_track("a.ogg"), make_track("b.ogg")]
    sessions = [listen_to(make_peer(track)) for track in tracks]
    assert [everything(session) for session in sessions] == [track.path.read_bytes() for track in tracks]


def test_loopback_is_refused_unless_allowed(make_peer: Callable[..., Any], make_track: Callable[..., Track]) -> None:
    """Where the broker is elsewhere, an offer that names loopback is not followed: no connection is made."""
    peer = make_peer(make_track())
    ticket = peer.ticket()
    with PeerClient(allow=AddressRule()) as careful:
        for host in (LOOPBACK, "localhost", "::1", "::ffff:127.0.0.1"):
            with pytest.raises(PeerUnreachableError, match="not allowed"):
                careful.open(host, peer.port, ticket)
    assert len(peer.desk) == 1


def test_nobody_listens_there(client: PeerClient) -> None:
    """A provider that is gone is unreachable at once, with its address."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PeerUnreachableError, match=rf"127\.0\.0\.1:{port}: nothing listens there"):
        client.open(LOOPBACK, port, "t" * 32)


def test_port_in_use() -> None:
    """A port that another program has is named, with what to do."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        address = Address(LOOPBACK, taken.getsockname()[1])
        server = StreamServer(desk=TicketDesk[str](), playlist_for=lambda _: [], listen=address)
        with pytest.raises(ConfigurationError, match=rf"cannot listen on {address}: another program has this port"):
            server.start()
    server.start()
    assert server.address == address
    server.stop()


@pytest.mark.parametrize(
    ("host", "words"), [("192.0.2.1", "no such address"), ("no-such-host.invalid", "host name is not known")]
)
def test_addresses_that_cannot_be_listened_on(host: str, words: str) -> None:
    """An address of another machine, or of none, is said to be so."""
    server = StreamServer(desk=TicketDesk[str](), playlist_for=lambda _: [], listen=Address(host, 0))
    with pytest.raises(ConfigurationError, match=words):
        server.start()


def test_listens_on_ipv6(make_track: Callable[..., Track], client: PeerClient) -> None:
    """An IPv6 address works like any other."""
    track, desk = make_track(), TicketDesk[str]()
    with StreamServer(desk=desk, playlist_for=lambda _: [(track, 1.0)], listen=Address("::1", 0)) as server:
        session = client.open("::1", server.address.port, desk.issue("ann", "jazz"))
        assert everything(session) == track.path.read_bytes()
        assert str(session.address) == f"[::1]:{server.address.port}"


def test_stop_while_pieces_are_on_their_way(make_peer: Callable[..., Any], make_track: Callable[..., Track]) -> None:
    """The server ends within a second while three clients read without end; its port is free again."""
    peer = make_peer(make_track(size=60_000_000))
    port = peer.port
    client = PeerClient(allow=AddressRule(loopback_allowed=True), piece_timeout_s=1.0)
    running = threading.Barrier(4)

    def read_on() -> None:
        session = client.open(LOOPBACK, port, peer.ticket())
        reading = session.read(session.playlist.entries[0].track_id, 0, 60_000_000)
        next(reading)
        running.wait(5)
        with pytest.raises(PeerBrokeOffError):  # noqa: PT012  # reads until it fails
            while True:
                list(reading)
                reading = session.read(session.playlist.entries[0].track_id, 0, 60_000_000)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read_on) for _ in range(3)]
        running.wait(5)
        serving = peer.server._running._thread
        peer.server.stop()
        assert not serving.is_alive()
        for reader in readers:
            reader.result(10)
    client.close()
    assert not [thread for thread in threading.enumerate() if thread.name == f"dnai-stream-{port}"]
    socket.create_server((LOOPBACK, port)).close()


def test_stop_with_a_listener_that_takes_nothing(
    make_peer: Callable[..., Any], make_track: Callable[..., Track]
) -> None:
    """A listener that asks for much and reads nothing neither fills the memory nor holds up the end."""
    peer = make_peer(make_track(size=60_000_000))
    ready, done = threading.Event(), threading.Event()

    async def ask_and_never_read() -> None:
        url = f"http://{LOOPBACK}:{peer.port}/socket.io/?transport=websocket&EIO=4"
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as ws:
            await ws.receive()
            await ws.send_str('40{"v":1,"ticket":"%s"}' % peer.ticket())  # noqa: UP031  # braces of JSON
            await ws.receive()
            await ws.send_str('420["playlist"]')
            track_id = (await ws.receive_str()).split('"id":"')[1].split('"')[0]
            ws._response.connection.transport.pause_reading()
            for number in range(2000):
                await ws.send_str(f'42{number}["read",{{"track":"{track_id}","offset":0,"length":262144}}]')
            ready.set()
            await asyncio.to_thread(done.wait, 10)

    thread = threading.Thread(target=lambda: asyncio.run(ask_and_never_read()))
    thread.start()
    assert ready.wait(10)
    time.sleep(0.2)  # lets the server get as far as it will; what is looked at below is a bound
    [live] = peer.server._running._service._live.values()
    assert live.connection._queued_bytes < 4 * 262_144
    serving = peer.server._running._thread
    peer.server.stop()
    assert not serving.is_alive()
    done.set()
    thread.join(5)


def test_client_closes_in_time_and_leaves_no_thread(
    make_peer: Callable[..., Any], make_track: Callable[..., Track]
) -> None:
    """Closing the client ends sessions that are being read, and its thread."""
    peer = make_peer(make_track(size=60_000_000))
    client = PeerClient(allow=AddressRule(loopback_allowed=True))
    session = client.open(LOOPBACK, peer.port, peer.ticket())
    reading = session.read(session.playlist.entries[0].track_id, 0, 60_000_000)
    next(reading)
    client.close()
    client.close()
    assert not client._loop._thread.is_alive()
    with pytest.raises(PeerBrokeOffError):
        list(reading)
    with pytest.raises(UsageError):
        client.open(LOOPBACK, peer.port, peer.ticket())
    session.close()
    assert not client._loop._thread.is_alive()


def test_nothing_secret_is_said(
    make_peer: Callable[..., Any],
    make_track: Callable[..., Track],
    client: PeerClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No ticket, secret, session id or path is logged, however much is logged, and one line tells of the session."""
    caplog.set_level(logging.DEBUG)
    track = make_track()
    peer = make_peer(track)
    ticket = peer.ticket("ann")
    session = client.open(LOOPBACK, peer.port, ticket)
    everything(session)
    track.path.unlink()
    with pytest.raises(PeerRefusedError):
        everything(session)
    with pytest.raises(PeerRefusedError):
        client.open(LOOPBACK, peer.port, ticket)
    proof = session._proof
    session.close()
    for secret in (ticket, proof["secret"], proof["session"], "secret-folder", track.path.name):
        assert str(secret) not in caplog.text
    ours = [record for record in caplog.records if record.name.startswith("dnai.")]
    [line] = [record.getMessage() for record in ours if record.levelno >= logging.INFO]
    assert line.endswith("opened for ann: 1 tracks")


def test_a_small_call_does_not_wait_for_an_acknowledgement_of_tcp(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], listen_to: Callable[..., PeerSession]
) -> None:
    """Both ends send small packets at once: else a small call takes the 44 ms of a delayed acknowledgement."""
    peer = make_peer(make_track())
    session = listen_to(peer)
    assert len(b"".join(session.read(session.playlist.entries[0].track_id, 0, 5))) == 5
    [transport] = peer.server._running._doors._open
    websocket = session._connection._meter.socket
    assert websocket is not None
    for end in (transport, websocket):
        assert end.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_many_sessions_of_one_user(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient
) -> None:
    """A user's ninth session ends that user's least used one, and the others play on."""
    track = make_track(size=1000)
    peer = make_peer(track)
    sessions = [client.open(LOOPBACK, peer.port, peer.ticket()) for _ in range(9)]
    with pytest.raises(PeerRefusedError):
        everything(sessions[0])
    assert all(everything(session) == track.path.read_bytes() for session in sessions[1:])


def test_ended_connections_leave_nothing_behind(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient, line_to: Callable[..., Any]
) -> None:
    """After sessions that were closed, cut or refused the server holds no connection, whichever way they ended."""
    peer = make_peer(make_track())
    line = line_to(peer)
    for port in (peer.port, line.port):
        for _ in range(3):
            everything(client.open(LOOPBACK, port, peer.ticket()))
    with pytest.raises(PeerRefusedError):
        client.open(LOOPBACK, peer.port, "x" * 32)
    line.cut()
    client.close()
    service = peer.server._running._service
    engine = service._sio.eio
    wait_until(lambda: not service._live, waiting_for="the end of every live session")
    wait_until(lambda: all(known.closed for known in engine.sockets.values()), waiting_for="every socket to end")
    assert not service._sio.environ
    assert all(transport.is_closing() for transport in peer.server._running._doors._open)

"""Whatever a provider's server does, the listener gets exactly the music promised, or an error in words."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from engineio.base_client import connected_clients
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from dnai.errors import DnaiError, PeerBrokeOffError, PeerRefusedError, PeerUnreachableError
from dnai.stream import window
from dnai.stream.addresses import AddressRule
from dnai.stream.client import PeerClient

LOOPBACK = "127.0.0.1"
TICKET = "t" * 32
ID = "a" * 16
OPEN = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":16384}'
ADMITTED = '40{"sid":"y"}'
SIZE = 1_000_000
DATA = bytes(range(256)) * (SIZE // 256 + 1)


def playlist(**changes: object) -> str:
    entry = {
        "id": ID,
        "title": "T",
        "artist": "A",
        "album": "B",
        "genre": "jazz",
        "distance": 0.5,
        "duration_s": 10.0,
        "audio_type": "mp3",
        "size_bytes": SIZE,
    }
    return json.dumps([{"session": "s" * 24, "secret": "u" * 32, "tracks": [entry | changes]}])


class Liar:
    """A stream server by hand; the test says how it answers."""

    def __init__(self) -> None:
        self.opening: list[str | bytes] = [OPEN]
        self.admission: list[str | bytes] = [ADMITTED]
        self.playlist: list[str | bytes] | None = None
        self.piece: Callable[[ServerConnection, str, dict[str, Any]], None] = self.honest
        self.size: Callable[[ServerConnection, str], None] = lambda ws, number: ws.send(
            f'43{number}[{{"size_bytes":{SIZE}}}]'
        )
        self.cover: Callable[[ServerConnection, str], None] = lambda ws, number: ws.send("nobody asked")
        self.connections = 0
        self.shown: list[str] = []
        self.wait_before_opening = False
        self._ended = threading.Event()
        self._server: Server = serve(self._answer, LOOPBACK, 0, max_size=2**20, compression=None)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @staticmethod
    def honest(ws: ServerConnection, number: str, request: dict[str, Any]) -> None:
        """Send the piece that was asked for."""
        ws.send(f'461-{number}[{{"_placeholder":true,"num":0}}]')
        ws.send(DATA[request["offset"] : request["offset"] + request["length"]])

    def close(self) -> None:
        """End the server, and whatever hangs in it."""
        self._ended.set()
        self._server.shutdown()
        self._thread.join(5)

    def hang(self, *_args: object) -> None:
        """Say nothing until the test is over."""
        self._ended.wait(20)

    def _answer(self, ws: ServerConnection) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionClosed):
            if self.wait_before_opening:
                self.hang()
            self._send(ws, self.opening)
            self.shown.append(str(ws.recv()))
            self._send(ws, self.admission)
            for message in ws:
                self._call(ws, str(message))

    def _call(self, ws: ServerConnection, message: str) -> None:
        head, _, arguments = message.partition("[")
        number = head[2:]
        if arguments.startswith('"playlist"'):
            answer = self.playlist if self.playlist is not None else [f"43NUMBER{playlist()}"]
            self._send(ws, [part.replace("NUMBER", number) if isinstance(part, str) else part for part in answer])
        elif arguments.startswith('"read"'):
            self.piece(ws, number, json.loads("[" + arguments)[1])
        elif arguments.startswith('"cover"'):
            self.cover(ws, number)
        elif arguments.startswith('"prepare"'):
            self.size(ws, number)
        elif arguments.startswith('"bye"'):
            ws.send(f"43{number}[true]")

    @staticmethod
    def _send(ws: ServerConnection, parts: list[str | bytes]) -> None:
        for part in parts:
            ws.send(part)


@pytest.fixture
def liar() -> Iterator[Liar]:
    server = Liar()
    yield server
    server.close()


@pytest.fixture
def client() -> Iterator[PeerClient]:
    """A listener with short limits, whose loop is empty again at the end."""
    with PeerClient(allow=AddressRule(loopback_allowed=True), connect_timeout_s=0.6, piece_timeout_s=0.6) as client:
        yield client
        idle = asyncio.run_coroutine_threadsafe(settled(), client._loop._loop)
        assert idle.result(5) == []
        assert connected_clients == []


async def settled() -> list[str]:
    """Return what still runs on the client's loop, when it has had two seconds to end."""
    for _ in range(200):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if not tasks:
            break
        await asyncio.sleep(0.01)
    return [str(task) for task in tasks]


def read_all(client: PeerClient, liar: Liar) -> bytes:
    with client.open(LOOPBACK, liar.port, TICKET) as session:
        return b"".join(session.read(ID, 0, SIZE))


def test_an_honest_server_by_hand_is_heard(client: PeerClient, liar: Liar) -> None:
    """The server of these tests plays when it does not lie."""
    assert read_all(client, liar) == DATA[:SIZE]
    assert json.loads(liar.shown[0][2:]) == {"v": 1, "ticket": TICKET}


@pytest.mark.parametrize("difference", [-1, 1, -65536, 100_000])
def test_more_or_less_than_asked_for(client: PeerClient, liar: Liar, difference: int) -> None:
    """A piece of another length is never handed on, and its sender is not asked again."""

    def lie(ws: ServerConnection, number: str, request: dict[str, Any]) -> None:
        ws.send(f'461-{number}[{{"_placeholder":true,"num":0}}]')
        ws.send(bytes(request["length"] + difference))

    liar.piece = lie
    with pytest.raises(PeerBrokeOffError, match=r"broke off: it sent"):
        read_all(client, liar)
    assert liar.connections == 1


def test_a_lie_in_the_middle_keeps_what_was_good(client: PeerClient, liar: Liar) -> None:
    """What came before the broken promise is the track's, and no byte of the lie follows."""

    def lie_later(ws: ServerConnection, number: str, request: dict[str, Any]) -> None:
        if request["offset"] > 400_000:
            ws.send(f'43{number}["nothing"]')
        else:
            liar.honest(ws, number, request)

    liar.piece = lie_later
    session = client.open(LOOPBACK, liar.port, TICKET)
    received = bytearray()
    with pytest.raises(PeerBrokeOffError, match="no piece of a track"):  # noqa: PT012  # the good pieces are kept
        for piece in session.read(ID, 0, SIZE):
            received += piece
    assert bytes(received) == DATA[: len(received)]
    assert len(received) >= 65536
    session.close()


@pytest.mark.parametrize("size", [600_000, 10_000_000])
def test_a_message_that_is_far_too_long(client: PeerClient, liar: Liar, size: int) -> None:
    """A message of 10 MB is not taken in, neither as a piece nor as a playlist."""

    def flood(ws: ServerConnection, number: str, _request: dict[str, Any]) -> None:
        ws.send(f'461-{number}[{{"_placeholder":true,"num":0}}]')
        ws.send(bytes(size))

    liar.piece = flood
    with pytest.raises(PeerBrokeOffError):
        read_all(client, liar)
    liar.playlist = ["43NUMBER" + json.dumps(["x" * size])]
    with pytest.raises(PeerBrokeOffError):
        read_all(client, liar)


def test_a_flood_of_messages_nobody_asked_for(client: PeerClient, liar: Liar) -> None:
    """Small messages without end are counted, and break the session off before a megabyte."""
    sent = 0

    def flood(ws: ServerConnection, _number: str, _request: dict[str, Any]) -> None:
        nonlocal sent
        for number in range(100_000):
            ws.send(f"43{number + 1000}[]")
            sent += 1

    liar.piece = flood
    with pytest.raises(PeerBrokeOffError):
        read_all(client, liar)
    assert sent < 100_000


@pytest.mark.parametrize(
    "answer",
    [
        ["43NUMBER[]"],
        ["43NUMBER[7]"],
        ["43NUMBER[{}]"],
        ['43NUMBER[{"error":"failed","message":"no"}]'],
        ["43NUMBER[1,2]"],
        ["43NUMBER{"],
        ["43NUMBER" + "[" * 50_000],
        ["43NUMBER" + playlist(distance=float("nan"))],
        ["43NUMBER" + playlist(size_bytes=10**18)],
        ["43NUMBER" + playlist(audio_type="text/html")],
        ["43NUMBER" + playlist(title=["x"])],
        ['461-NUMBER[{"_placeholder":true,"num":0}]', b"bytes"],
        ['461-NUMBER[{"_placeholder":true,"num":5}]', b"bytes"],
        ["4699999999-NUMBER[]", b"x"],
        ['42["playlist"]'],
        ['42["connect"]'],
        [b"unasked"],
        ["hello"],
        ["7"],
        ["41"],
        ["1"],
        ["45"],
    ],
)
def test_garbage_instead_of_a_playlist(client: PeerClient, liar: Liar, answer: Any) -> None:
    """What is no playlist breaks the promise, at once."""
    liar.playlist = answer
    started = time.monotonic()
    with pytest.raises(PeerBrokeOffError, match=rf"127\.0\.0\.1:{liar.port}"):
        client.open(LOOPBACK, liar.port, TICKET)
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    "opening",
    [
        ["0{}"],
        ["0[]"],
        ['0{"sid":"x","upgrades":[],"pingInterval":1e400,"pingTimeout":1}'],
        ['0{"sid":"x","upgrades":[],"pingInterval":"x","pingTimeout":1}'],
        ['0{"a":' + "[" * 10_000],
        ["0"],
        [""],
        ["4"],
        ["6"],
        ["x" * 20_000],
        [b"0{}"],
        [b""],
    ],
)
def test_garbage_instead_of_a_handshake(client: PeerClient, liar: Liar, opening: list[str | bytes]) -> None:
    """What speaks no Engine.IO is no provider."""
    liar.opening = opening
    with pytest.raises(PeerUnreachableError, match=rf"127\.0\.0\.1:{liar.port}"):
        client.open(LOOPBACK, liar.port, TICKET)


@pytest.mark.parametrize(
    ("admission", "error"),
    [
        (['44{"message":"x","data":{"error":"busy"}}'], PeerRefusedError),
        (['44{"message":"\\u001b[2J"}'], PeerRefusedError),
        (['44"no"'], PeerUnreachableError),
        (["44"], PeerUnreachableError),
        (["40[]"], PeerUnreachableError),
        (["40"], PeerUnreachableError),
        (['40/x,{"sid":"y"}'], PeerUnreachableError),
        (["41"], PeerUnreachableError),
        ([], PeerUnreachableError),
    ],
)
def test_odd_admissions(client: PeerClient, liar: Liar, admission: list[str | bytes], error: type[DnaiError]) -> None:
    """A refusal is one, with or without words; anything else is no provider."""
    liar.admission = admission
    with pytest.raises(error) as caught:
        client.open(LOOPBACK, liar.port, TICKET)
    assert "\x1b" not in str(caught.value)


def test_a_server_that_never_opens(client: PeerClient, liar: Liar) -> None:
    """A server that accepts and says nothing costs the connect limit, no more."""
    liar.wait_before_opening = True
    started = time.monotonic()
    with pytest.raises(PeerUnreachableError, match=r"no answer within 0\.6 s"):
        client.open(LOOPBACK, liar.port, TICKET)
    assert time.monotonic() - started < 2.0


def test_a_server_that_hangs_before_the_playlist(client: PeerClient, liar: Liar) -> None:
    """A playlist that does not come costs its limit."""
    liar.playlist = []
    started = time.monotonic()
    with pytest.raises(PeerBrokeOffError, match=r"no playlist within 0\.6 s"):
        client.open(LOOPBACK, liar.port, TICKET)
    assert time.monotonic() - started < 2.5


def test_a_server_that_hangs_in_a_track(client: PeerClient, liar: Liar) -> None:
    """A piece that does not come is asked for once more over a new connection, then the provider is given up."""
    liar.piece = liar.hang
    session = client.open(LOOPBACK, liar.port, TICKET)
    started = time.monotonic()
    with pytest.raises(PeerBrokeOffError, match=r"did not come within 0\.6 s"):
        list(session.read(ID, 0, SIZE))
    assert 1.2 <= time.monotonic() - started < 5.0
    assert liar.connections == 2
    session.close()


def test_a_server_that_hung_once(client: PeerClient, liar: Liar) -> None:
    """A connection that went dead is replaced, and the track goes on."""
    hung = threading.Event()

    def hang_once(ws: ServerConnection, number: str, request: dict[str, Any]) -> None:
        if request["offset"] > 300_000 and not hung.is_set():
            hung.set()
            liar._ended.wait(2.0)
        else:
            liar.honest(ws, number, request)

    liar.piece = hang_once
    assert read_all(client, liar) == DATA[:SIZE]
    assert liar.connections == 2
    assert json.loads(liar.shown[1][2:]) == {"v": 1, "session": "s" * 24, "secret": "u" * 32}


def test_a_slow_line_gets_small_pieces(client: PeerClient, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow line only small pieces are asked for, which arrive in time; on a fast one they grow."""
    lengths: list[int] = []

    def slowly(ws: ServerConnection, number: str, request: dict[str, Any]) -> None:
        lengths.append(request["length"])
        liar._ended.wait(0.04)
        liar.honest(ws, number, request)

    assert read_all(client, liar) == DATA[:SIZE]
    liar.piece = slowly
    monkeypatch.setattr(window, "SLOW_PIECE_S", 0.02)
    assert read_all(client, liar) == DATA[:SIZE]
    assert max(lengths) == 64 * 1024
    monkeypatch.setattr(window, "SLOW_PIECE_S", 5.0)
    assert read_all(client, liar) == DATA[:SIZE]
    assert max(lengths) == 256 * 1024


@pytest.mark.parametrize(
    ("code", "words"),
    [("gone", "deleted or changed"), ("unknown_track", "never offered"), ("\x1b[2Jhaha", "gives no reason")],
)
def test_refused_pieces(client: PeerClient, liar: Liar, code: str, words: str) -> None:
    """A refusal is said in our own words, whatever the server's are."""
    liar.piece = lambda ws, number, _: ws.send(f"43{number}" + json.dumps([{"error": code, "message": "\x1b evil"}]))
    session = client.open(LOOPBACK, liar.port, TICKET)
    with pytest.raises(PeerRefusedError, match=words) as caught:
        list(session.read(ID, 0, SIZE))
    assert "evil" not in str(caught.value)
    session.close()


class BareServer:
    """A TCP server that gives one answer to whoever connects, and counts who does."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(2)
                    request = connection.recv(65536)
                    self.requests.append(request)
                    connection.sendall(self._answer(request))
                    connection.recv(1)


@pytest.fixture
def bare() -> Iterator[Callable[[Callable[[bytes], bytes]], BareServer]]:
    servers: list[BareServer] = []

    def start(answer: Callable[[bytes], bytes]) -> BareServer:
        servers.append(BareServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(client: PeerClient, bare: Callable[..., BareServer], status: str) -> None:
    """A server that sends the listener elsewhere sends nobody anywhere, be it to another port or back to itself."""
    target = bare(lambda _: b"HTTP/1.1 204 No Content\r\n\r\n")
    for port in (target.port, None):
        place = f"http://{LOOPBACK}:{port}/admin" if port else "/other"
        redirect = f"HTTP/1.1 {status}\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
        server = bare(lambda _, redirect=redirect: redirect)
        with pytest.raises(PeerUnreachableError, match=f"HTTP {status[:3]} instead of opening a stream"):
            client.open(LOOPBACK, server.port, TICKET)
        assert len(server.requests) == 1
    assert target.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Pad: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"\x00" * 5000,
        b"",
    ],
)
def test_what_is_no_stream_server(client: PeerClient, bare: Callable[..., BareServer], answer: Any) -> None:
    """A web server, another program, or noise on that port is unreachable, in words, without ticket or trace."""
    server = bare(lambda _: answer)
    with pytest.raises(PeerUnreachableError, match=rf"127\.0\.0\.1:{server.port}") as caught:
        client.open(LOOPBACK, server.port, TICKET)
    assert TICKET not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_no_cookie_no_origin_no_proxy(
    client: PeerClient, bare: Callable[..., BareServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request carries nothing of the listener, the ticket included, and goes past any proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    cookie = b"HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    server = bare(lambda _: cookie)
    for _ in range(2):
        with pytest.raises(PeerUnreachableError):
            client.open(LOOPBACK, server.port, TICKET)
    assert len(server.requests) == 2
    for request in server.requests:
        assert request.startswith(b"GET /socket.io/?")
        lowered = request.lower()
        assert not [name for name in (b"cookie", b"origin", b"authorization", TICKET.encode()) if name in lowered]


def test_compressed_frames_are_not_unpacked(client: PeerClient, bare: Callable[..., BareServer]) -> None:
    """A frame that claims to be compressed, as a bomb would be, ends the connection."""

    def answer(request: bytes) -> bytes:
        key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += b"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        return head + b"\xc1\x05hello"

    server = bare(answer)
    with pytest.raises(PeerUnreachableError):
        client.open(LOOPBACK, server.port, TICKET)


def test_many_dead_providers_at_once(client: PeerClient, bare: Callable[..., BareServer]) -> None:
    """Twenty providers that never answer are given up together, each within its limit."""
    server = bare(lambda _: b"")
    outcomes: list[type[BaseException]] = []

    def attempt() -> None:
        try:
            client.open(LOOPBACK, server.port, TICKET)
        except DnaiError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert time.monotonic() - started < 4.0
    assert outcomes == [PeerUnreachableError] * 20


UNPREPARED = [f"43NUMBER{playlist(size_bytes=0, audio_type='flac')}"]


def prepare_and_read(client: PeerClient, liar: Liar) -> bytes:
    with client.open(LOOPBACK, liar.port, TICKET) as session:
        return b"".join(session.read(ID, 0, session.prepare(ID)))


def test_an_honest_conversion_by_hand_is_heard(client: PeerClient, liar: Liar) -> None:
    """The size comes with the answer to the call."""
    liar.playlist = UNPREPARED
    assert prepare_and_read(client, liar) == DATA[:SIZE]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"size_bytes":3859201}', "10 s of music are 3859201 bytes"),
        ('{"size_bytes":-1}', "no size of a track"),
        ('{"size_bytes":1e300}', "no size of a track"),
        ('{"size_bytes":"5"}', "no size of a track"),
        ("null", "no size of a track"),
        ("[]", "no size of a track"),
        ('"' + "x" * 1500 + '"', "no size of a track"),
        ('"' + "x" * 5_000 + '"', "no size of a track|more than it was asked for"),
        ('"' + "x" * 450_000 + '"', "more than it was asked for"),
    ],
)
def test_a_size_that_cannot_be_ends_it(client: PeerClient, liar: Liar, answer: str, reason: str) -> None:
    """It is bounded by the length that the playlist told; whoever lies is not asked again."""
    liar.playlist = UNPREPARED
    liar.size = lambda ws, number: ws.send(f"43{number}[{answer}]")
    with pytest.raises(PeerBrokeOffError, match=reason):
        prepare_and_read(client, liar)
    assert liar.connections == 1


def test_a_conversion_that_never_ends_is_given_up(liar: Liar) -> None:
    """The provider keeps on saying that it takes a while; it is asked a few times a second, and no more.

    It counts as broken off, so that the next one plays, instead of a silence for each of its tracks.
    """
    asked: list[float] = []

    def never(ws: ServerConnection, number: str) -> None:
        asked.append(time.monotonic())
        ws.send(f'43{number}[{{"size_bytes":0}}]')

    liar.playlist = UNPREPARED
    liar.size = never
    with (
        PeerClient(allow=AddressRule(loopback_allowed=True), prepare_timeout_s=1.5) as client,
        pytest.raises(PeerBrokeOffError, match=r"did not convert this track in 1\.5 s"),
    ):
        prepare_and_read(client, liar)
    assert 3 <= len(asked) <= 12


def test_a_provider_that_says_nothing_to_a_conversion_is_given_up(client: PeerClient, liar: Liar) -> None:
    """As with a piece that does not come."""
    liar.playlist = UNPREPARED
    liar.size = liar.hang
    with pytest.raises(PeerBrokeOffError, match="did not come within"):
        prepare_and_read(client, liar)


@pytest.mark.parametrize("is_another", [False, True])
def test_what_is_prepared_again_must_be_what_it_was(client: PeerClient, liar: Liar, is_another: bool) -> None:
    """A provider may throw a converted track away; made anew it has the same bytes, and the song goes on."""
    sizes = iter([SIZE, SIZE - 1 if is_another else SIZE])
    thrown_away: list[int] = []

    def forgetful(ws: ServerConnection, number: str, request: dict[str, Any]) -> None:
        if request["offset"] > 300_000 and not thrown_away:
            thrown_away.append(request["offset"])
            ws.send(f'43{number}[{{"error":"unprepared"}}]')
        else:
            liar.honest(ws, number, request)

    liar.playlist = UNPREPARED
    liar.size = lambda ws, number: ws.send(f'43{number}[{{"size_bytes":{next(sizes)}}}]')
    liar.piece = forgetful
    if is_another:
        with pytest.raises(PeerRefusedError, match="something else than before"):
            prepare_and_read(client, liar)
    else:
        assert prepare_and_read(client, liar) == DATA[:SIZE]


def test_a_provider_that_throws_away_all_the_time_is_given_up(client: PeerClient, liar: Liar) -> None:
    """Not asked for ever."""
    liar.playlist = UNPREPARED
    liar.piece = lambda ws, number, request: ws.send(f'43{number}[{{"error":"unprepared"}}]')
    with pytest.raises(PeerRefusedError, match="has not prepared"):
        prepare_and_read(client, liar)


def test_a_track_of_a_known_size_is_not_prepared(client: PeerClient, liar: Liar) -> None:
    """A provider of the first version would not know the call."""
    liar.size = lambda ws, number: ws.send("nonsense")
    with client.open(LOOPBACK, liar.port, TICKET) as session:
        assert session.prepare(ID) == SIZE


def test_closing_the_session_ends_a_wait(liar: Liar) -> None:
    """From another thread, at once."""
    liar.playlist = UNPREPARED
    liar.size = lambda ws, number: ws.send(f'43{number}[{{"size_bytes":0}}]')
    with PeerClient(allow=AddressRule(loopback_allowed=True)) as client:
        session = client.open(LOOPBACK, liar.port, TICKET)
        closing = threading.Timer(0.3, session.close)
        closing.start()
        began = time.monotonic()
        with pytest.raises(PeerBrokeOffError):
            session.prepare(ID)
        assert time.monotonic() - began < 5
        closing.join()


WITH_COVERS = [f'43NUMBER{playlist()[:-2]},"knows":["cover","something newer"]}}]']


def picture(size: int) -> Callable[[ServerConnection, str], None]:
    def send(ws: ServerConnection, number: str) -> None:
        ws.send(f'461-{number}[{{"_placeholder":true,"num":0}}]')
        ws.send(bytes(size))

    return send


def test_a_provider_of_the_first_version_is_not_asked_for_covers(client: PeerClient, liar: Liar) -> None:
    """It would take the call for garbage, and hang up in the middle of the song."""
    with client.open(LOOPBACK, liar.port, TICKET) as session:
        assert session.cover(ID) is None
        assert b"".join(session.read(ID, 0, SIZE)) == DATA[:SIZE]


@pytest.mark.parametrize("size", [0, 1, 65_536])
def test_a_cover_is_handed_on_as_it_is(client: PeerClient, liar: Liar, size: int) -> None:
    """Whether it is a picture is seen where it is used."""
    liar.playlist, liar.cover = WITH_COVERS, picture(size)
    with client.open(LOOPBACK, liar.port, TICKET) as session:
        assert session.cover(ID) == bytes(size)


def test_too_large_a_cover_ends_it(client: PeerClient, liar: Liar) -> None:
    """More than was promised."""
    liar.playlist, liar.cover = WITH_COVERS, picture(65_537)
    session = client.open(LOOPBACK, liar.port, TICKET)
    with pytest.raises(PeerBrokeOffError, match="65537 bytes"):
        session.cover(ID)


@pytest.mark.parametrize("answer", ["null", "7", '"text"', '{"size_bytes":1}'])
def test_a_cover_that_is_no_answer_ends_it(client: PeerClient, liar: Liar, answer: str) -> None:
    """As with a piece."""
    liar.playlist, liar.cover = WITH_COVERS, lambda ws, number: ws.send(f"43{number}[{answer}]")
    session = client.open(LOOPBACK, liar.port, TICKET)
    with pytest.raises(PeerBrokeOffError, match="no cover of a track"):
        session.cover(ID)


@pytest.mark.parametrize("code", ["no_cover", "gone", "a reason that is newer"])
def test_no_cover_is_no_trouble(client: PeerClient, liar: Liar, code: str) -> None:
    """The song goes on."""
    liar.playlist, liar.cover = WITH_COVERS, lambda ws, number: ws.send(f'43{number}[{{"error":"{code}"}}]')
    with client.open(LOOPBACK, liar.port, TICKET) as session:
        assert session.cover(ID) is None
        assert b"".join(session.read(ID, 0, SIZE)) == DATA[:SIZE]

"""Who is let in at all, and what a connected stranger can do: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnai.stream import gate
from dnai.stream.client import PeerClient
from dnai.tracks import Track

LOOPBACK = "127.0.0.1"


def ask(port: int, request: str) -> str:
    """Return the first line of the server's answer to a bare HTTP request."""
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        return connection.recv(4096).decode(errors="replace").partition("\r\n")[0]


@pytest.fixture
def peer(make_peer: Callable[..., object], make_track: Callable[..., object]) -> object:
    return make_peer(make_track())


def test_health_answers_and_tells_nothing(peer: Any) -> None:
    """Whether the server is well can be asked, with an empty answer and no header that names software."""
    with socket.create_connection((LOOPBACK, peer.port), timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 204")
    assert answer.endswith("\r\n\r\n")
    assert "server" not in answer.lower()
    assert "uvicorn" not in answer.lower()


@pytest.mark.parametrize(
    "path", ["/", "/socket.io/", "/socket.io/?EIO=4&transport=polling", "/health/../socket.io", "/favicon.ico", "/%00"]
)
def test_nothing_else_over_http(peer: Any, path: str) -> None:
    """There is no polling, no page and no file."""
    assert " 404" in ask(peer.port, f"GET {path} HTTP/1.1\nHost: x\n\n")
    assert " 404" in ask(peer.port, f"POST {path} HTTP/1.1\nHost: x\nContent-Length: 0\n\n")


def test_what_strangers_send_fills_no_log(peer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A stranger has no ticket to lose, so a line for each of their requests would have no bound."""
    caplog.set_level(logging.INFO)
    assert " 400" in ask(peer.port, "no\x1b[31m HTTP at all\n\n")
    assert " 404" in ask(peer.port, "GET / HTTP/1.1\nHost: x\nUpgrade: h2c\nConnection: upgrade\n\n")
    assert caplog.records == []
    logging.getLogger("uvicorn.error").error("what is wrong with the server itself is still said")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1"])
def test_pages_are_refused(peer: Any, origin: str) -> None:
    """A page in a browser names its origin, and gets neither health nor a WebSocket, whatever it is."""
    assert " 403" in ask(peer.port, f"GET /health HTTP/1.1\nHost: x\nOrigin: {origin}\n\n")
    upgrade = (
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nUpgrade: websocket\nConnection: Upgrade\n"
        f"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\nOrigin: {origin}\n\n"
    )
    assert " 403" in ask(peer.port, upgrade)
    assert " 101" in ask(peer.port, upgrade.replace(f"Origin: {origin}\n", ""))
    assert " 403" in ask(peer.port, upgrade.replace(f"Origin: {origin}\n", "").replace("/socket.io/?", "/other/?"))


async def say(port: int, *messages: str | bytes) -> list[aiohttp.WSMessage]:
    """Return everything that the server says to a WebSocket that says `messages`, until it ends."""
    said: list[aiohttp.WSMessage] = []
    url = f"http://{LOOPBACK}:{port}/socket.io/?transport=websocket&EIO=4"
    async with asyncio.timeout(8), aiohttp.ClientSession() as http, http.ws_connect(url) as ws:
        for message in messages:
            await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
        async for message in ws:
            said.append(message)
    return said


@pytest.mark.parametrize(
    "messages",
    [
        ["hello"],
        [""],
        [b"\x00\x01"],
        ["42[1]"],
        ['420["playlist"]'],
        ['45100-["read"]'],
        ["4" + "[" * 10_000],
        ["x" * 17_000],
        ["40{}", "40{}"],
        ['40/other,{"v":1}', "40{}"],
        ["2probe"],
        ["5"],
        ["99999"],
    ],
)
def test_strangers_get_nothing(peer: Any, messages: list[Any]) -> None:
    """Without a ticket no word but the handshake's is answered, and the connection ends at once."""
    started = time.monotonic()
    said = asyncio.run(say(peer.port, *messages))
    assert time.monotonic() - started < 3
    assert not [message for message in said if str(message.data)[:2] not in {"0{", "44"}]


def test_a_stranger_who_says_nothing_is_sent_away(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A WebSocket that shows no ticket, and a connection that asks nothing, end after a time limit."""
    monkeypatch.setattr(gate, "GREETING_TIMEOUT_S", 0.3)
    assert len(asyncio.run(say(peer.port))) == 1
    with socket.create_connection((LOOPBACK, peer.port), timeout=5) as silent:
        assert silent.recv(1) == b""
    with socket.create_connection((LOOPBACK, peer.port), timeout=5) as slow:
        slow.sendall(b"GET /health HT")
        assert slow.recv(1) == b""


def test_connections_are_bounded(
    make_peer: Callable[..., Any], make_track: Callable[..., Track], client: PeerClient
) -> None:
    """Above the bound a connection is cut at once; when one ends there is room again."""
    peer = make_peer(make_track(), max_connections=3)
    held = [socket.create_connection((LOOPBACK, peer.port), timeout=5) for _ in range(3)]
    late = socket.create_connection((LOOPBACK, peer.port), timeout=5)
    with late, contextlib.suppress(ConnectionResetError):  # cut with a reset: as good
        assert late.recv(1) == b""
    held.pop().close()
    deadline = time.monotonic() + 5
    while True:
        try:
            assert " 204" in ask(peer.port, "GET /health HTTP/1.1\nHost: x\n\n")
            break
        except (ConnectionResetError, AssertionError):
            assert time.monotonic() < deadline, "waited 5 s for room after a connection ended"
            time.sleep(0.02)
    for connection in held:
        connection.close()


class Listener:
    """A listener with a good ticket and bad manners."""

    def __init__(self, port: int, ticket: str) -> None:
        self.url = f"http://{LOOPBACK}:{port}/socket.io/?transport=websocket&EIO=4"
        self.ticket = ticket

    async def say(self, *messages: str) -> list[str]:
        """Return the answers to `messages` up to the end, or to the acknowledgement of number 999."""
        said: list[str] = []
        async with asyncio.timeout(8), aiohttp.ClientSession() as http, http.ws_connect(self.url) as ws:
            await ws.receive()
            await ws.send_str(f'40{{"v":1,"ticket":"{self.ticket}"}}')
            await ws.receive()
            with contextlib.suppress(ConnectionError):  # the server may have had enough before the last message
                for message in (*messages, '42999["playlist"]'):
                    await ws.send_str(message)
            async for answer in ws:
                said.append(str(answer.data))
                if said[-1].startswith("43999"):
                    break
        return said


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"track":"zzzzzzzzzzzzzzzz","offset":0,"length":1}', "unknown_track"),
        ('{"track":"../../etc/passwd","offset":0,"length":1}', "bad_request"),
        ('{"track":"zzzzzzzzzzzzzzzz","offset":0,"length":262145}', "bad_request"),
        ('{"track":"zzzzzzzzzzzzzzzz","offset":-1,"length":1}', "bad_request"),
        ('{"track":"zzzzzzzzzzzzzzzz","offset":0,"length":0}', "bad_request"),
        ("7", "bad_request"),
        ("null", "bad_request"),
        ("[[[]]]", "bad_request"),
    ],
)
def test_bad_reads_have_a_code(peer: Any, arguments: str, code: str) -> None:
    """A call with bad arguments is answered with a code, and the session goes on."""
    said = asyncio.run(Listener(peer.port, peer.ticket()).say(f'425["read",{arguments}]'))
    assert f'"error":"{code}"' in said[0]
    assert said[-1].startswith("43999")


def test_read_beyond_the_file_has_a_code(peer: Any) -> None:
    """A range that ends beyond the file is answered with its own code; a good one with bytes."""

    async def read() -> list[str]:
        listener = Listener(peer.port, peer.ticket())
        async with asyncio.timeout(8), aiohttp.ClientSession() as http, http.ws_connect(listener.url) as ws:
            await ws.receive()
            await ws.send_str(f'40{{"v":1,"ticket":"{listener.ticket}"}}')
            await ws.receive()
            await ws.send_str('421["playlist"]')
            track_id = (await ws.receive_str()).split('"id":"')[1].split('"')[0]
            await ws.send_str(f'422["read",{{"track":"{track_id}","offset":700000,"length":2}}]')
            beyond = await ws.receive_str()
            await ws.send_str(f'423["read",{{"track":"{track_id}","offset":700000,"length":1}}]')
            await ws.receive_str()
            return [beyond, str(len(await ws.receive_bytes()))]

    beyond, length = asyncio.run(read())
    assert '"error":"bad_range"' in beyond
    assert length == "1"


@pytest.mark.parametrize(
    "garbage",
    ['42["connect",{}]', '42["garbage"]', '42["disconnect"]', "42[1]", "42{", "45", '451-["read"]', "43", "4"],
)
def test_garbage_in_a_session_ends_its_connection(peer: Any, garbage: str) -> None:
    """What no listener says ends that connection, and nothing else."""
    said = asyncio.run(Listener(peer.port, peer.ticket()).say(garbage))
    assert not [message for message in said if message.startswith("43999")]
    assert asyncio.run(Listener(peer.port, peer.ticket()).say())[0].startswith("43999")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=40) | st.sampled_from(["40", "41", '42["read"', "1", "3"]), max_size=4))
def test_the_server_outlives_any_text(peer: Any, messages: list[Any]) -> None:
    """Whatever a listener with a good ticket says, the next listener is served."""
    desk_ticket = peer.ticket()
    safe = [message for message in messages if "\ud800" not in message]
    asyncio.run(Listener(peer.port, desk_ticket).say(*safe))
    assert asyncio.run(Listener(peer.port, peer.ticket()).say())[0].startswith("43999")


def test_a_flood_of_pings_is_cut(peer: Any) -> None:
    """A stranger who sends pings and reads no answer is cut off before they pile up."""
    with socket.create_connection((LOOPBACK, peer.port), timeout=5) as flood:
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flood.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert b" 101 " in flood.recv(15)
        ping = b"\x89\xfd\x00\x00\x00\x00" + bytes(125)
        with pytest.raises((ConnectionError, TimeoutError)):  # noqa: PT012  # one of many sends must fail
            for _ in range(400):
                flood.sendall(ping * 1000)
    assert threading.active_count() < 60

"""Names, origins and what the gate lets through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from dnai.config import Address
from dnai.errors import ConfigurationError
from web.security import Gate, HostList, check_listen, is_own_origin

LOOPBACK = HostList(Address("127.0.0.1", 7700), names=["music.example"])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:7700",
        "localhost:7700",
        "LOCALHOST",
        "localhost.:7700",
        "[::1]:7700",
        "music.example",
        "Music.Example:80",
    ],
)
def test_our_own_names_are_answered(host: str) -> None:
    """Loopback names and the names in web_hosts are ours, with any port."""
    assert LOOPBACK.allows(host, local_address="127.0.0.1")


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:7700", "127.0.0.1.evil.example", "localhost@evil.example", "evil.example/x",
     "localhost:port", "[::1", "localhost#", "localhost?x", "10.1.2.3:7700", "0x7f.1", "music.example.evil.example"],
)  # fmt: skip
def test_other_names_are_not_answered(host: str) -> None:
    """A rebound name, and whatever only looks like ours, is refused."""
    assert not LOOPBACK.allows(host, local_address="127.0.0.1")


@given(st.text(max_size=80))
def test_no_host_header_breaks_the_list(host: str) -> None:
    """Any text at all gets an answer."""
    assert LOOPBACK.allows(host, local_address=None) in {True, False}


def test_listening_everywhere_answers_to_the_address_that_was_called() -> None:
    """On 0.0.0.0 the machine's own address is ours, another's is not."""
    hosts = HostList(Address("0.0.0.0", 7700))  # noqa: S104 - that it listens everywhere is what is tested
    assert hosts.allows("192.168.1.20:7700", local_address="192.168.1.20")
    assert not hosts.allows("192.168.1.21:7700", local_address="192.168.1.20")
    assert not hosts.allows("evil.example", local_address="192.168.1.20")


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://127.0.0.1:7700", True),
        ("https://127.0.0.1:7700", True),
        (None, False),
        ("null", False),
        ("http://127.0.0.1:7701", False),
        ("http://localhost:7700", False),
        ("http://evil.example", False),
    ],
)
def test_only_the_pages_own_origin_is_own(origin: str | None, own: bool) -> None:
    """Another port, another name, no origin and an opaque one are all foreign."""
    assert is_own_origin(origin, "127.0.0.1:7700") is own


def test_other_machines_are_only_served_with_a_password() -> None:
    """Without a password anything but loopback is refused, and the message says what to do."""
    with pytest.raises(ConfigurationError, match="DNAI_WEB_PASSWORD"):
        check_listen(Address("0.0.0.0", 7700), has_password=False)  # noqa: S104
    check_listen(Address("0.0.0.0", 7700), has_password=True)  # noqa: S104
    check_listen(Address("127.0.0.1", 7700), has_password=False)


def behind_the_gate(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"inside"]


def client(*, may_enter: bool = True) -> Client:
    return Client(Gate(behind_the_gate, hosts=LOOPBACK, may_enter=lambda _environ: may_enter))


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/", {"Host": "evil.example"}, 421),
        ("GET", "/socket.io/", {"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        ("GET", "/socket.io/", {}, 403),
        ("GET", "/socket.io/", {"Origin": "http://evil.example"}, 403),
        ("GET", "/socket.io/", {"Origin": "http://localhost:7700"}, 200),
        ("POST", "/login", {}, 403),
        ("POST", "/login", {"Origin": "null"}, 403),
        ("POST", "/login", {"Origin": "http://localhost:7700"}, 200),
        ("DELETE", "/", {"Origin": "http://evil.example"}, 403),
        ("OPTIONS", "/", {"Origin": "http://evil.example"}, 403),
    ],
)
def test_the_gate_lets_in_own_pages_only(method: str, path: str, headers: dict[str, str], status: int) -> None:
    """Foreign names never, foreign origins not for Socket.IO and unsafe methods."""
    answer = client().open(path, method=method, headers={"Host": "localhost:7700", **headers})
    assert answer.status_code == status
    if status != 200:
        assert b"inside" not in answer.data
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def test_socketio_is_closed_to_who_has_not_logged_in() -> None:
    """The handshake itself is refused, before Socket.IO sees it."""
    answer = client(may_enter=False).get("/socket.io/", headers={"Host": "localhost", "Origin": "http://localhost"})
    assert answer.status_code == 401


def test_a_refused_name_is_shown_harmlessly() -> None:
    """Control characters in a Host header reach neither the answer nor the log as they are."""
    answer = client().get("/", headers={"Host": "evil\x1b[31m.example"})
    assert answer.status_code == 421
    assert b"\x1b" not in answer.data

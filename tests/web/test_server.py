"""``dnai web`` as it really runs: addresses, refusals, sockets, and its end."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.web_process import WebApp
from web.login import GUESSES
from web.payloads import MAX_MESSAGE_CHARS
from web.server import REQUEST_S

StartWeb = Callable[..., WebApp]
NEW = object()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one web app for all tests that leave it as it was."""
    app = WebApp(tmp_path_factory.mktemp("shared"))
    yield app.await_ready()
    assert app.stop() == 0
    # Socket.IO reports broken packets with a traceback of its own; nothing of ours may.
    assert not re.search(r"ERROR +web", app.log)


@pytest.fixture
def start_web(tmp_path: Path) -> Iterator[StartWeb]:
    """Starts web apps over an empty data directory, and ends them after the test."""
    folder = tmp_path / "listener"
    folder.mkdir()
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> WebApp:
            app = WebApp(folder, *options)
            stack.callback(app.stop)
            return app

        yield start


class Line:
    """A page's line to the app, spoken by hand: Engine.IO and Socket.IO over a WebSocket."""

    def __init__(self, url: str, *, auth: Any = NEW, **headers: str) -> None:
        self.tab = secrets.token_hex(16)
        if auth is NEW:
            auth = {"tab": self.tab, "load": secrets.token_hex(16)}
        self._stack = contextlib.ExitStack()
        self._socket: ClientConnection = self._stack.enter_context(
            connect(
                f"ws://{urlsplit(url).netloc}/socket.io/?EIO=4&transport=websocket",
                additional_headers={"Origin": url, **headers},
                proxy=None,
            )
        )
        assert str(self._socket.recv(timeout=5)).startswith("0{")
        self._socket.send("40" + json.dumps(auth))

    def emit(self, event: str, *data: Any) -> None:
        """Send an event."""
        self._socket.send("42" + json.dumps([event, *data]))

    def send(self, text: str) -> None:
        """Send whatever."""
        self._socket.send(text)

    def await_event(self, event: str, *, timeout_s: float = 10.0) -> Any:
        """Return the data of the next event of this name."""
        end = time.monotonic() + timeout_s
        while True:
            packet = str(self._socket.recv(timeout=max(0.01, end - time.monotonic())))
            if packet == "2":
                self._socket.send("3")
            if packet.startswith("42"):
                name, *data = json.loads(packet[2:])
                if name == event:
                    return data[0] if data else None

    def next_packet(self, *, timeout_s: float = 5.0) -> str:
        """Return the next packet as it came."""
        return str(self._socket.recv(timeout=timeout_s))

    def close(self) -> None:
        """Hang up."""
        self._stack.close()


Dial = Callable[..., Line]


@pytest.fixture
def dial() -> Iterator[Dial]:
    """Opens lines, and hangs them up after the test."""
    with contextlib.ExitStack() as stack:

        def call(url: str, *, auth: Any = NEW, **headers: str) -> Line:
            line = Line(url, auth=auth, **headers)
            stack.callback(line.close)
            return line

        yield call


def test_it_serves_what_it_says_and_leaves_no_file_behind(start_web: StartWeb, tmp_path: Path) -> None:
    """The printed address answers with the page, with all headers, and only the chat's memory is written."""
    url = start_web().await_ready()
    answer = httpx.get(url)
    assert answer.status_code == 200
    assert "<title>DN.ai</title>" in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "<script>" not in answer.text
    assert not re.search(r"\son\w+=|\sstyle=", answer.text)
    assert {path.name.split(".")[0] for path in (tmp_path / "listener").iterdir()} == {"chat"}


@pytest.mark.parametrize(
    "path", ["/static/js/main.js", "/static/vendor/socket.io.min.js", "/static/page.css", "/static/icon.svg"]
)
def test_what_the_page_needs_comes_from_the_app(shared: str, path: str) -> None:
    """Scripts, styles and pictures are the app's own, with their right types."""
    answer = httpx.get(shared + path)
    assert answer.status_code == 200
    kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[path.rsplit(".", 1)[1]]
    assert answer.headers["Content-Type"].startswith(kind)


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/js/", "/audio/x/y", "/nothing"]
)
def test_nothing_else_is_served(shared: str, path: str) -> None:
    """Paths outside the static folder, and streams that are not there, do not exist."""
    assert httpx.get(shared + path).status_code == 404


def test_a_port_in_use_is_said(start_web: StartWeb, tmp_path: Path) -> None:
    """The second app on a port ends at once with a line that says what to do."""
    place = start_web().await_ready().removeprefix("http://")
    second = subprocess.run(
        [sys.executable, "-m", "dnai.cli", "web", "--listen", place, "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 2
    assert "in use" in second.stderr
    assert "--listen" in second.stderr
    assert "Traceback" not in second.stderr


def test_other_machines_need_a_password(tmp_path: Path) -> None:
    """Listening on every address without a password is refused before anything is served."""
    refused = subprocess.run(
        [sys.executable, "-m", "dnai.cli", "web", "--listen", "0.0.0.0:0", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "password" in refused.stderr


def test_a_broken_model_is_said_in_one_line(tmp_path: Path) -> None:
    """What fails while the app is put together ends it with a message, not with a traceback."""
    failed = subprocess.run(
        [
            sys.executable,
            "-m",
            "dnai.cli",
            "web",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            str(tmp_path),
            "--models",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert failed.returncode == 1
    assert "is not a model folder" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "10.0.0.1", ""])
def test_a_rebound_name_gets_nothing(shared: str, host: str) -> None:
    """A page that resolves its own name to loopback reads nothing, on HTTP and on Socket.IO."""
    for path in ("/", "/static/js/main.js", "/socket.io/?EIO=4&transport=websocket"):
        answer = httpx.get(shared + path, headers={"Host": host, "Origin": f"http://{host}"})
        assert answer.status_code in {400, 421}
        assert "DN.ai</title>" not in answer.text


def test_only_the_own_page_may_open_a_socket(dial: Dial, shared: str) -> None:
    """Another origin, and none at all, are refused in the handshake."""
    for origin in ("http://evil.example", "null", shared.replace("127.0.0.1", "localhost")):
        with pytest.raises(InvalidStatus, match="403"):
            dial(shared, Origin=origin)
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://{urlsplit(shared).netloc}/socket.io/?EIO=4&transport=websocket", proxy=None)


def test_polling_is_not_offered(shared: str) -> None:
    """Only WebSockets are taken: a simple request from a foreign form reaches nothing."""
    answer = httpx.post(f"{shared}/socket.io/?EIO=4&transport=polling", headers={"Origin": shared}, content="40")
    assert answer.status_code == 400


def test_the_app_ends_in_two_seconds_with_pages_and_streams_open(dial: Dial, start_web: StartWeb) -> None:
    """SIGTERM ends it also while WebSockets, idle and half-sent connections are open."""
    app = start_web()
    url = app.await_ready()
    place = urlsplit(url)
    for _ in range(3):
        dial(url)
    with contextlib.ExitStack() as stack:
        for request in (b"", b"GET / HTTP/1.1\r\nHost: local", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            idle = stack.enter_context(socket.create_connection((place.hostname or "", place.port or 0)))
            idle.sendall(request)
        began = time.monotonic()
        assert app.stop() == 0
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    "part",
    [
        "GET / HTTP/1.1\r\nHost: 127",
        "POST /login HTTP/1.1\r\nHost: {place}\r\nOrigin: http://{place}\r\nContent-Length: 50\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\npass",
    ],
)
def test_a_request_that_does_not_come_is_cut(guarded: str, part: str) -> None:
    """Strangers who send half a request cannot hold the threads that pages need; a page that waits is not cut."""
    place = urlsplit(guarded)
    address = (place.hostname or "", place.port or 0)
    with socket.create_connection(address, timeout=20) as half, httpx.Client() as kept:
        assert kept.get(f"{guarded}/health").status_code == 200
        half.sendall(part.format(place=place.netloc).encode())
        while half.recv(4096):
            pass
        assert kept.get(f"{guarded}/health").status_code == 200


def test_a_page_that_says_nothing_is_not_cut(dial: Dial, shared: str) -> None:
    """The time limit is for requests: a WebSocket that was opened may be silent for longer."""
    line = dial(shared)
    line.await_event("welcome")
    time.sleep(REQUEST_S + 2)  # what is shown is that nothing happens meanwhile
    line.emit("say", {"text": "help"})
    assert line.await_event("line")["kind"] == "bot"


def test_a_page_is_greeted_and_answered(dial: Dial, shared: str) -> None:
    """A new tab gets its id, the greeting and the state of things, and an answer to what it says."""
    line = dial(shared)
    welcome = line.await_event("welcome")
    assert welcome["tab"] == line.tab
    assert welcome["history"][0]["kind"] == "bot"
    assert line.await_event("status")["state"] == "bad"
    line.emit("say", {"text": "help"})
    assert line.await_event("line")["kind"] == "bot"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"text": ""},
        {"text": "x" * (MAX_MESSAGE_CHARS + 1)},
        {"text": 5},
        {"text": None},
        "play",
        None,
        [1],
        {"text": ["play"]},
    ],
)
def test_what_is_no_message_is_refused_in_words(dial: Dial, shared: str, data: Any) -> None:
    """Empty, too long and malformed messages are answered with their limit, and the next one is read."""
    line = dial(shared)
    line.emit("say", data)
    assert str(MAX_MESSAGE_CHARS) in line.await_event("line")["text"]
    line.emit("say", {"text": "help"})
    assert line.await_event("line")["kind"] == "bot"


@pytest.mark.parametrize(
    "packet",
    [
        '42["now"]', '42["now",{"stream":1,"track":2}]', '42["more",{"stream":"' + "x" * 100 + '"}]',
        '42["failed",null]', '42["state",{"playing":"yes"}]', '42["nothing",{}]', '42["connect",{}]',
        "42[]", '42{"a":1}', "42[", "9", "451-[]", "4",
    ],
)  # fmt: skip
def test_malformed_events_cost_nothing(dial: Dial, shared: str, packet: str) -> None:
    """Whatever a page sends besides, the app goes on serving this page or, at the worst, only the next connection."""
    line = dial(shared)
    line.await_event("welcome")
    line.send(packet)
    other = dial(shared)
    other.emit("say", {"text": "help"})
    assert other.await_event("line")["kind"] == "bot"


@pytest.mark.parametrize(
    "auth", [None, {}, {"tab": "x", "load": "y"}, {"tab": 1, "load": 2}, [], {"tab": "../../etc", "load": "0" * 32}]
)
def test_a_connection_without_a_proper_tab_is_turned_away(dial: Dial, shared: str, auth: Any) -> None:
    """Only what our own page sends opens a conversation."""
    line = dial(shared, auth=auth)
    assert line.next_packet().startswith("44")


def test_a_flood_of_messages_is_slowed_down(dial: Dial, shared: str) -> None:
    """After some messages at once the chat asks for a moment, and then goes on."""
    line = dial(shared)
    for _ in range(20):
        line.emit("say", {"text": "help"})
    kinds = [line.await_event("line")["kind"] for _ in range(20)]
    assert {"bot", "trouble"} == set(kinds)


def test_an_event_of_a_megabyte_ends_only_its_own_connection(dial: Dial, shared: str) -> None:
    """What is larger than any real event is not read, and the app goes on."""
    line = dial(shared)
    line.await_event("welcome")
    line.send('42["say",{"text":"' + "x" * 1_000_000 + '"}]')
    other = dial(shared)
    assert other.await_event("welcome")["tab"] == other.tab


@pytest.fixture
def guarded(start_web: StartWeb, tmp_path: Path) -> str:
    """A page with the password "open sesame"."""
    (tmp_path / "password").write_text("open sesame\n")
    return start_web("--password-file", str(tmp_path / "password")).await_ready()


def log_in(client: httpx.Client, url: str, password: str, **headers: str) -> httpx.Response:
    return client.post(f"{url}/login", data={"password": password}, headers={"Origin": url, **headers})


def test_without_the_password_there_is_nothing(dial: Dial, guarded: str) -> None:
    """Page, audio and socket are all behind the login; only its own form and style are not."""
    assert httpx.get(guarded).headers["Location"] == "/login"
    assert httpx.get(f"{guarded}/audio/x/y").status_code == 401
    with pytest.raises(InvalidStatus, match="401"):
        dial(guarded)
    assert httpx.get(f"{guarded}/login").status_code == 200
    assert httpx.get(f"{guarded}/static/page.css").status_code == 200


def test_the_password_opens_page_and_socket(dial: Dial, guarded: str) -> None:
    """The cookie is for HTTP only and for this site only; with it the socket opens, after logging out not."""
    with httpx.Client() as client:
        answer = log_in(client, guarded, "open sesame")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert "SameSite=Strict" in answer.headers["Set-Cookie"]
        assert client.get(guarded).status_code == 200
        line = dial(guarded, Cookie=f"dnai={client.cookies['dnai']}")
        assert line.await_event("welcome")["tab"] == line.tab
        client.post(f"{guarded}/logout", headers={"Origin": guarded})
        assert client.get(guarded).status_code == 302


def test_a_forged_cookie_opens_nothing(guarded: str) -> None:
    """A cookie that this app has not signed counts as none."""
    assert (
        httpx.get(
            guarded, headers={"Cookie": "dnai=eyJlbnRlcmVkIjp0cnVlfQ.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb"}
        ).status_code
        == 302
    )


def test_a_foreign_form_cannot_log_in(guarded: str) -> None:
    """The right password from another page's form is refused."""
    with httpx.Client() as client:
        assert log_in(client, guarded, "open sesame", Origin="http://evil.example").status_code == 403
        assert client.post(f"{guarded}/login", data={"password": "open sesame"}).status_code == 403


def test_guessing_is_slowed_down(guarded: str) -> None:
    """After five wrong passwords even the right one has to wait, and it is said how long."""
    with httpx.Client() as client:
        for _ in range(GUESSES):
            assert log_in(client, guarded, "wrong").status_code == 401
        answer = log_in(client, guarded, "open sesame")
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert "Try again in" in answer.text

"""``dnai ask`` and ``dnai worker`` when something is wrong: a line that says what, an exit code, and no traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dnai.cli.main import main
from dnai.config import PROJECT_DIR, Settings
from dnai.genre.model import GenreModel
from dnai.tracks import Genre
from tests.demo_process import clean_environment

if TYPE_CHECKING:
    from tests.broker.conftest import MakeProvider, Parts
    from tests.conftest import Circle

HOSTILE = "\x1b[31mEve\x1b]0;owned\x07\n<b>\u202emoc"


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Dnai = Callable[..., Ended]


@pytest.fixture
def dnai(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Dnai:
    """Runs `dnai` with arguments, in this process and over an empty data directory."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DNAI_{name.upper()}", raising=False)
    monkeypatch.setenv("DNAI_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["dnai", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return run


def test_without_a_broker_it_is_said_how_to_set_one(dnai: Dnai) -> None:
    """The caller's mistake: exit code 2, with the three ways to put it right."""
    ended = dnai("ask", "play some jazz")
    assert ended.code == 2
    assert "--broker" in ended.err
    assert "DNAI_BROKER" in ended.err


def test_a_broker_that_nobody_answers_at_is_named(dnai: Dnai) -> None:
    """The address that does not answer, without the password."""
    ended = dnai("ask", "play some jazz", "--broker", "amqp://anna:secret-word@127.0.0.1:9/c")
    assert ended.code == 1
    assert "nobody answers at 127.0.0.1:9" in ended.err
    assert "secret-word" not in ended.err


def test_a_wrong_password_is_said(dnai: Dnai, circle: Circle) -> None:
    """Whose, where, and what to do."""
    ended = dnai("ask", "play some jazz", "--broker", circle.broker.url("anna", "wrong-word", circle.vhost))
    assert ended.code == 1
    assert "does not let 'anna' in" in ended.err
    assert "wrong-word" not in ended.err


def test_an_empty_circle_is_said(dnai: Dnai, circle: Circle) -> None:
    """Nobody there is a result, not a failure."""
    ended = dnai("ask", "play some jazz", "--broker", circle.url("anna"), "--deadline-s", "20")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "nobody else is in the circle now")


def test_who_has_nothing_and_who_cannot_be_compared_is_named(
    dnai: Dnai, circle: Circle, parts: Parts, make_provider: MakeProvider
) -> None:
    """No track of that genre anywhere: everybody who declined, and why."""
    space_id = GenreModel(PROJECT_DIR / "models" / "librosa26").space_id
    parts.worker(circle.url("bob"), make_provider("Bob", {Genre.ROCK: 0.0}, space_id=space_id))
    parts.worker(circle.url("carl"), make_provider("Carl", {Genre.JAZZ: 0.0}))
    ended = dnai("ask", "play some jazz", "--broker", circle.url("anna"))
    assert ended.code == 0
    assert "nobody offers jazz" in ended.out
    assert "declined: Bob (bob): no tracks" in ended.out
    assert "declined: Carl (carl): unknown space" in ended.out


def test_an_unknown_title_is_said(dnai: Dnai) -> None:
    """It is looked for in the own collection, before anybody is asked."""
    ended = dnai("ask", "something like a song that nobody ever wrote", "--mine")
    assert ended.code == 2
    assert "something like TITLE" in ended.err


def test_a_name_cannot_write_into_the_terminal(
    dnai: Dnai, circle: Circle, parts: Parts, make_provider: MakeProvider
) -> None:
    """The name of a provider is its owner's text; who offers and cannot be reached is passed over by name."""
    space_id = GenreModel(PROJECT_DIR / "models" / "librosa26").space_id
    provider = make_provider(HOSTILE, {Genre.JAZZ: 0.0}, space_id=space_id, port=9)
    parts.worker(circle.url("eve"), provider)
    ended = dnai("ask", "play some jazz", "--broker", circle.url("anna"))
    assert ended.code == 0
    assert "[31mEve]0;owned <b>moc (eve)" in ended.out
    assert "passed over: [31mEve]0;owned <b>moc: no music can be had from 127.0.0.1:9" in ended.out
    assert not set(ended.out) & {"\x1b", "\x07", "\u202e"}


Work = Callable[..., Ended]


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Runs ``dnai worker``, which is expected to end by itself."""

    def run(folder: Path, *options: str) -> Ended:
        command = [sys.executable, "-P", "-m", "dnai.cli", "worker", str(folder)]
        command += ["--data-dir", str(tmp_path / "data"), *options]
        environment = clean_environment()
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
        assert "Traceback" not in done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def test_a_worker_without_its_folder_says_so(work: Work, tmp_path: Path) -> None:
    """Before anything is started."""
    ended = work(tmp_path / "gone", "--broker", "amqp://anna:x@127.0.0.1:9/c")
    assert ended.code == 2
    assert f"the music folder {tmp_path / 'gone'} does not exist" in ended.err


def test_a_worker_whose_port_is_in_use_says_so(work: Work, tmp_path: Path) -> None:
    """What is in use, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = work(tmp_path, "--broker", "amqp://anna:x@127.0.0.1:9/c", "--listen", place)
    assert ended.code == 2
    assert f"cannot listen on {place}: another program has this port" in ended.err


def test_a_worker_that_is_not_let_in_says_so(work: Work, circle: Circle, tmp_path: Path) -> None:
    """Unlike a broker that is away, a wrong password does not mend itself."""
    url = circle.broker.url("anna", "wrong-word", circle.vhost)
    ended = work(tmp_path, "--broker", url, "--listen", "127.0.0.1:0")
    assert ended.code == 1
    assert "does not let 'anna' in" in ended.err
    assert "worker ready" not in ended.out

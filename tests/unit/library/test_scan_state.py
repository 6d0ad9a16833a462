"""The state of a scan, as others read it: only of a scan that runs, or has just ended."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.library.scan_lock import Holder, lock_path, scan_holder, scan_lock
from dnai.library.scan_state import (
    ENDED_SHOWN_S,
    MAX_NAME_CHARS,
    ScanOutcome,
    ScanPhase,
    ScanState,
    ScanStateFile,
    ScanStateReader,
    state_path,
)

HALF = ScanState(ScanPhase.NEW, done=6, total=12, current="So What.flac", minutes_per_s=6.1, left_s=30.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a catalogue would be."""
    return tmp_path / "catalogue.sqlite3"


def publish(path: Path, state: ScanState = HALF) -> ScanState:
    """Write a state as the scan that holds the lock now; return it."""
    state = replace(state, holder=scan_holder(path))
    ScanStateFile(path).write(state)
    return state


def test_a_running_scan_is_read_as_it_was_written(path: Path) -> None:
    """By a reader that was there before it, one that comes later, and again with each change."""
    before = ScanStateReader(path)
    assert before.current() is None
    with scan_lock(path, waiting=print):
        state = publish(path)
        assert before.current() == state
        assert ScanStateReader(path).current() == state
        later = publish(path, replace(HALF, done=7, current="Blue in Green.flac"))
        assert before.current() == later
    assert before.current() is None


def test_where_there_is_nothing_there_is_no_scan(tmp_path: Path) -> None:
    """Neither without a state, nor without a data directory; and no file is made by looking."""
    assert ScanStateReader(tmp_path / "catalogue.sqlite3").current() is None
    assert ScanStateReader(tmp_path / "nowhere" / "catalogue.sqlite3").current() is None
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_scan_left_behind_is_no_scan(path: Path) -> None:
    """Neither after its end, nor while the next one, which has said nothing yet, holds the lock."""
    program = (
        "import os, signal, sys\nfrom dataclasses import replace\nfrom pathlib import Path\n"
        "from dnai.library.scan_lock import scan_holder, scan_lock\n"
        "from dnai.library.scan_state import ScanPhase, ScanState, ScanStateFile, ScanStateReader\n"
        "path = Path(sys.argv[1])\n"
        "with scan_lock(path, waiting=print):\n"
        "    state = ScanState(ScanPhase.NEW, holder=scan_holder(path), done=1, total=9)\n"
        "    ScanStateFile(path).write(state)\n"
        "    print(ScanStateReader(path).current() == state, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", program, str(path)], timeout=60, check=False, capture_output=True, text=True
    )
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "True\n")
    assert state_path(path).is_file()
    reader = ScanStateReader(path)
    assert reader.current() is None
    with scan_lock(path, waiting=lambda holder: pytest.fail(f"waited for {holder}")):
        assert reader.current() is None
        assert ScanStateReader(path).current() is None
        assert reader.current() is None
        state = publish(path)
        assert reader.current() == state


def test_an_end_is_told_for_a_while(path: Path) -> None:
    """Nobody need hold the lock for it; and a clock that was put back does not make it stay."""
    now = [1_800_000_000.0]
    reader = ScanStateReader(path, clock=lambda: now[0])
    ended = ScanState(ScanPhase.ENDED, outcome=ScanOutcome(new=12, unusable=2), ended_at=now[0])
    ScanStateFile(path).write(ended)
    assert reader.current() == ended
    now[0] += ENDED_SHOWN_S - 1
    assert reader.current() == ended
    now[0] += 1
    assert reader.current() is None
    now[0] -= 1000
    assert reader.current() is None


def test_the_file_is_only_read_when_it_has_changed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a state that stands is a look at its date."""
    reader, opened, real = ScanStateReader(path), list[str](), os.open

    def noting(name: str | Path, flags: int, mode: int = 0o777) -> int:
        opened.append(str(name))
        return real(name, flags, mode)

    with scan_lock(path, waiting=print):
        state = publish(path)
        monkeypatch.setattr(os, "open", noting)
        assert [reader.current() for _ in range(5)] == [state] * 5
    assert opened.count(str(state_path(path))) == 1


def test_after_a_killed_scan_the_lock_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that looking never makes a scan that begins believe another one has the lock."""
    with scan_lock(path, waiting=print):
        publish(path)
    reader, opened, real = ScanStateReader(path), list[str](), os.open

    def noting(name: str | Path, flags: int, mode: int = 0o777) -> int:
        opened.append(str(name))
        return real(name, flags, mode)

    monkeypatch.setattr(os, "open", noting)
    assert [reader.current() for _ in range(5)] == [None] * 5
    assert opened.count(str(lock_path(path))) == 1


def test_withdrawing_takes_away_ones_own_place_and_nothing_else(path: Path) -> None:
    """Not another scan's, and not how a scan ended."""
    file, mine, other = ScanStateFile(path), Holder(1, "2026-01-01"), Holder(2, "2026-01-02")
    file.write(replace(HALF, holder=mine))
    file.withdraw(other)
    assert state_path(path).is_file()
    file.withdraw(mine)
    assert not state_path(path).exists()
    file.withdraw(mine)
    file.write(ScanState(ScanPhase.ENDED, holder=mine))
    file.withdraw(mine)
    assert state_path(path).is_file()


@pytest.mark.parametrize(
    "name",
    ["a\x1b[2J\n\u202eb.mp3", os.fsdecode(b"caf\xe9.wav"), "\ud800", "x" * 5000, "\U0001f3b5" * 255, "<b>&\"'"],
)
def test_any_file_name_can_be_told(path: Path, name: str) -> None:
    """Without control and direction characters and broken bytes, and not at any length."""
    with scan_lock(path, waiting=print):
        publish(path, replace(HALF, current=name))
        state = ScanStateReader(path).current()
    assert state is not None
    assert len(state.current) <= MAX_NAME_CHARS
    assert state.current.isprintable()
    state.current.encode()


RUNNING = '"holder":{{"pid":{pid},"since":"{since}"}}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 300,
        b"[]",
        b'{"phase":"new"',
        b'{"phase":"dancing"}',
        b'{"phase":"new","done":-1,HOLDER}',
        b'{"phase":"new","done":7,"total":6,HOLDER}',
        b'{"phase":"new","total":1e400,HOLDER}',
        b'{"phase":"new","left_s":NaN,HOLDER}',
        b'{"phase":"new","left_s":-1,HOLDER}',
        b'{"phase":"new","done":99999999999999999999,"total":99999999999999999999,HOLDER}',
        b'{"phase":"new","current":7,HOLDER}',
        b'{"phase":"new","current":"\xff",HOLDER}',
        b'{"phase":"new","outcome":{"new":"many"},HOLDER}',
        b'{"phase":"new","current":"' + b"x" * 10_000 + b'",HOLDER}',
        b"[" * 4000,
    ],
)
def test_a_damaged_state_is_no_scan(path: Path, content: bytes) -> None:
    """It is passed over, and the next good one is read."""
    reader = ScanStateReader(path)
    with scan_lock(path, waiting=print):
        holder = scan_holder(path)
        assert holder is not None
        own = RUNNING.format(pid=holder.pid, since=holder.since).encode()
        state_path(path).write_bytes(content.replace(b"HOLDER", own))
        assert reader.current() is None
        assert reader.current() is None
        state = publish(path)
        assert reader.current() == state


def test_a_hostile_name_in_the_file_itself_is_cleaned(path: Path) -> None:
    """Whoever wrote it."""
    with scan_lock(path, waiting=print):
        holder = scan_holder(path)
        assert holder is not None
        own = RUNNING.format(pid=holder.pid, since=holder.since)
        state_path(path).write_text('{"phase":"new","current":"\\u001b[31m\\u202egnp",' + own + "}", encoding="ascii")
        state = ScanStateReader(path).current()
    assert state is not None
    assert state.current == "[31mgnp"


@given(content=st.binary(max_size=400))
def test_no_bytes_make_the_reader_fail(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever stands in the file."""
    path = tmp_path_factory.getbasetemp() / "any-bytes.sqlite3"
    state_path(path).write_bytes(content)
    assert ScanStateReader(path).current() is None


def test_what_is_no_plain_file_is_not_read(path: Path, tmp_path: Path) -> None:
    """A fifo that nobody writes to, a folder, and a link to somewhere else."""
    with scan_lock(path, waiting=print):
        state = publish(path)
        elsewhere = state_path(path).rename(tmp_path / "elsewhere")
        reader = ScanStateReader(path)
        os.mkfifo(state_path(path))
        assert reader.current() is None
        state_path(path).unlink()
        state_path(path).mkdir()
        assert reader.current() is None
        state_path(path).rmdir()
        state_path(path).symlink_to(elsewhere)
        assert reader.current() is None
        state_path(path).unlink()
        elsewhere.rename(state_path(path))
        assert reader.current() == state


def test_a_place_that_cannot_be_written_is_said_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And stops nothing; when it can be written again, it is."""
    file = ScanStateFile(path)
    new = path.with_name(f"{path.name}.scan-state.new")
    new.mkdir()
    with caplog.at_level(logging.WARNING):
        for done in range(5):
            file.write(replace(HALF, done=done))
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["the page cannot show this scan"]
    new.rmdir()
    file.write(HALF)
    assert state_path(path).is_file()
    assert not new.exists()


def test_a_disk_without_room_is_said_once(path: Path) -> None:
    """A state that was not written whole takes nobody's place."""
    program = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from dnai.library.scan_state import ScanPhase, ScanState, ScanStateFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "file = ScanStateFile(Path(sys.argv[1]))\n"
        "file.write(ScanState(ScanPhase.ENDED, ended_at=5.0))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "for done in range(5):\n    file.write(ScanState(ScanPhase.NEW, done=done, total=9))\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    ended = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("cannot be written: File too large") == 1
    kept = ScanStateReader(path, clock=lambda: 6.0).current()
    assert kept is not None
    assert kept.phase is ScanPhase.ENDED

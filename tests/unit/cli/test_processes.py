"""Programs that run beside this one: they get ready, fail, and end with their owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dnai.cli.processes import ProcessEndedError, Processes

SLEEPER = [sys.executable, "-uc", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]
WITH_CHILD = [
    sys.executable,
    "-uc",
    "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print('child', c.pid, flush=True); time.sleep(60)",
]


def is_alive(pid: int) -> bool:
    """Whether a process of this id runs (a zombie does not)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def await_end(pid: int, *, timeout_s: float = 10.0) -> None:
    """Return when the process has ended."""
    end = time.monotonic() + timeout_s
    while is_alive(pid):
        assert time.monotonic() < end, f"process {pid} still runs after {timeout_s} s"
        time.sleep(0.02)


def test_all_end_when_the_block_is_left(tmp_path: Path) -> None:
    """A program that listens ends, and one that does not listen is killed."""
    with Processes(tmp_path) as processes:
        started = [processes.start("a", SLEEPER), processes.start("b", DEAF)]
        for process in started:
            process.await_line("up", timeout_s=10)
    assert [process.popen.returncode for process in started] == [-signal.SIGTERM, -signal.SIGKILL]


def test_children_of_children_end_too(tmp_path: Path) -> None:
    """What a program started itself does not stay behind."""
    with Processes(tmp_path) as processes:
        child = int(processes.start("a", WITH_CHILD).await_line("child", timeout_s=10).split()[1])
        assert is_alive(child)
    await_end(child)


def test_program_that_ends_by_itself_is_told_with_its_log(tmp_path: Path) -> None:
    """Waiting for a line of a program that fails says which one, how it ended, and what it said last."""
    with Processes(tmp_path) as processes:
        process = processes.start("worker-anna", [sys.executable, "-c", "import sys; sys.exit('no room')"])
        with pytest.raises(
            ProcessEndedError, match=r"worker-anna ended \(exit code 1\).*worker-anna\.log.*\n.*no room"
        ):
            process.await_line("ready", timeout_s=10)
        first = processes.first_ended()
        assert first is not None
        assert "worker-anna" in str(first)


def test_waiting_for_a_line_is_bounded(tmp_path: Path) -> None:
    """A program that never gets ready is an error, not a wait without end."""
    with Processes(tmp_path) as processes:
        process = processes.start("a", SLEEPER)
        with pytest.raises(ProcessEndedError, match="did not print 'ready' within 0 s"):
            process.await_line("ready", timeout_s=0.2)


def test_program_that_is_missing_is_told(tmp_path: Path) -> None:
    """A program that is not installed is named."""
    with Processes(tmp_path) as processes, pytest.raises(ProcessEndedError, match=r"a cannot be started: /no/such"):
        processes.start("a", ["/no/such"])


def test_finished_well_or_not(tmp_path: Path) -> None:
    """A program that is meant to end has finished with exit code 0; another code is an error."""
    with Processes(tmp_path) as processes:
        good, bad = processes.start("good", ["true"]), processes.start("bad", ["false"])
        good.popen.wait(10)
        bad.popen.wait(10)
        assert processes.has_finished(good)
        with pytest.raises(ProcessEndedError, match="bad ended"):
            processes.has_finished(bad)


def test_programs_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    """Killed with SIGKILL the owner can do nothing any more; the watchdog ends what it had started."""
    code = (
        "import sys, time; from pathlib import Path; from dnai.cli.processes import Processes\n"
        f"with Processes(Path({str(tmp_path)!r})) as p:\n"
        f"    print(p.start('a', {SLEEPER!r}).popen.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        os.kill(owner.pid, signal.SIGKILL)
    finally:
        owner.kill()
        owner.communicate()
    await_end(pid)

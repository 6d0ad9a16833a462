"""``dnai demo`` as a process: what it prints, what runs below it, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY = re.compile(r"DN\.ai is ready: (http://127\.0\.0\.1:\d+)")
PROPOSAL = re.compile(r"  try: (.+)")
ANSWERS = re.compile(r"       \((.+) answers with (\d+) tracks.*\)")
LAST_LINE = "Ctrl-C ends all of it."


class DemoProcess:
    """A running demo, in a process group of its own; it is ended whatever happens."""

    def __init__(self, *arguments: str, demo_dir: Path) -> None:
        self.demo_dir = demo_dir
        self._errors = demo_dir.parent / f"{demo_dir.name}.stderr"
        command = [sys.executable, "-P", "-m", "dnai.cli", "demo", "--demo-dir", str(demo_dir), *arguments]
        self.started_at = time.time()
        with self._errors.open("wb") as errors, _hanging_up_heard():
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self.printed: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> DemoProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.end(signal.SIGTERM)

    @property
    def told(self) -> str:
        """What it has written to stderr so far."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    @property
    def url(self) -> str:
        """The page's address."""
        found = READY.fullmatch(self.printed[0])
        assert found, self.printed
        return found.group(1)

    @property
    def proposals(self) -> dict[str, str]:
        """The requests that it proposes, and the name of who it says will answer."""
        requests = [found.group(1) for line in self.printed if (found := PROPOSAL.fullmatch(line))]
        names = [found.group(1) for line in self.printed if (found := ANSWERS.fullmatch(line))]
        return dict(zip(requests, names, strict=True))

    def await_ready(self, *, timeout_s: float) -> None:
        """Return when it has printed everything."""
        end = time.monotonic() + timeout_s
        while not any(line.endswith(LAST_LINE) for line in self.printed):
            assert self.process.poll() is None, f"the demo ended with {self.process.returncode}: {self.told}"
            assert time.monotonic() < end, f"the demo was not ready in {timeout_s} s: {self.told}"
            time.sleep(0.05)

    def descendants(self) -> dict[int, str]:
        """Return the processes below it, by id, with their command lines."""
        found: dict[int, str] = {}
        waiting = [self.process.pid]
        while waiting:
            for pid in _children(waiting.pop()):
                found[pid] = command_line(pid)
                waiting.append(pid)
        return found

    def end(self, signal_number: signal.Signals, *, timeout_s: float = 30.0) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join(5)
            if self.process.stdout is not None:
                self.process.stdout.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))


@contextmanager
def _hanging_up_heard() -> Iterator[None]:
    """Start what is started here as a terminal would: under ``nohup`` tests are deaf to SIGHUP, and so is a demo."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text(encoding="ascii").split()]
        except OSError:
            continue  # the thread or the process has ended meanwhile
    return found


def command_line(pid: int) -> str:
    """Return how a process was started; empty when it has ended (a zombie has, too)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def await_gone(pids: dict[int, str], *, timeout_s: float) -> None:
    """Return when none of these processes runs any more."""
    end = time.monotonic() + timeout_s
    while left := {pid: line for pid, line in pids.items() if line and command_line(pid) == line}:
        assert time.monotonic() < end, f"still running after {timeout_s} s: {left}"
        time.sleep(0.05)


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of DN.ai."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DNAI_")}

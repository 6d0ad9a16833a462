"""Programs that run beside this one, each in a process group of its own, and all end with it.

Each writes into a log file of its own. They end in good order when their owner does, and a watchdog
ends them when it was killed and could not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from dnai.broker.watchdog import Watchdog
from dnai.errors import DnaiError

STOP_TIMEOUT_S = 5.0
_POLL_S = 0.05
_LOG_TAIL_LINES = 12


class ProcessEndedError(DnaiError):
    """A program that should go on running has ended, or did not get ready."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running program, what it is called in messages, and its log."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes]

    def lines(self) -> list[str]:
        """Return what it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    def ended(self) -> ProcessEndedError | None:
        """Return an error that says how it ended and where its log is, or None while it runs."""
        code = self.popen.poll()
        return None if code is None else self._error(f"ended ({_describe_exit(code)})")

    def _error(self, what: str) -> ProcessEndedError:
        tail = "\n".join(f"    {line}" for line in self.lines()[-_LOG_TAIL_LINES:])
        return ProcessEndedError(
            f"{self.name} {what}; its log is {self.log}" + (f", which ends:\n{tail}" if tail else "")
        )

    def await_line(self, prefix: str, *, timeout_s: float) -> str:
        """Return its first line that begins with `prefix`.

        Raises
        ------
        ProcessEndedError
            When it ends before, or `timeout_s` is over.
        """
        end = time.monotonic() + timeout_s
        while True:
            ended = self.ended()
            line = next((line for line in self.lines() if line.startswith(prefix)), None)
            if line is not None:
                return line
            if ended is not None:
                raise ended
            if time.monotonic() > end:
                raise self._error(f"did not print {prefix!r} within {timeout_s:.0f} s")
            time.sleep(_POLL_S)


class Processes:
    """A context manager that starts programs, and ends all of them when it is left."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._running: list[Process] = []
        self._watchdog: Watchdog | None = None
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="start")

    def __enter__(self) -> Processes:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._watchdog = Watchdog()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None

    def start(self, name: str, command: Sequence[str]) -> Process:
        """Start a program; what it prints goes into ``<name>.log``.

        Raises
        ------
        ProcessEndedError
            When it cannot be started at all.
        """
        # In a thread, where no signal can come between a program's start and our knowing of it.
        return self._starter.submit(self._start, name, command).result()

    def _start(self, name: str, command: Sequence[str]) -> Process:
        log = self._log_dir / f"{name}.log"
        with log.open("wb") as output:
            try:
                popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C in the terminal reaches us alone, and we end the others in good order.
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessEndedError(f"{name} cannot be started: {command[0]}: {error.strerror}") from error
        process = Process(name=name, log=log, popen=popen)
        self._running.append(process)
        if self._watchdog is not None:
            self._watchdog.watch(popen.pid)
        return process

    def has_finished(self, process: Process) -> bool:
        """Return whether a program that is meant to end has ended well.

        Raises
        ------
        ProcessEndedError
            When it ended with another exit code than 0.
        """
        ended = process.ended()
        if ended is None:
            return False
        if process.popen.returncode != 0:
            raise ended
        self._running.remove(process)
        return True

    def first_ended(self) -> ProcessEndedError | None:
        """Return the error of the first program that has ended by itself, or None while all run."""
        return next((error for process in self._running if (error := process.ended()) is not None), None)

    def stop(self) -> None:
        """End all of them, the last started first; what does not listen is killed."""
        self._starter.shutdown()
        for process in reversed(self._running):
            if process.popen.poll() is None:
                process.popen.terminate()
        end = time.monotonic() + STOP_TIMEOUT_S
        for process in reversed(self._running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(timeout=max(0.0, end - time.monotonic()))
            # Whatever is left of its group: itself if it did not listen, children it left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.popen.pid, signal.SIGKILL)
            process.popen.wait()
        self._running.clear()


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"by signal {signal.Signals(-code).name}"

"""Analyses files in child processes, so that what hangs, crashes or eats memory costs one file.

`concurrent.futures` cannot end one task, and loses all of them when one crashes. Here each child has a
pipe of its own and is handed one file at a time; whoever overstays is killed and replaced.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType

from dnai.audio.features import warm_up
from dnai.errors import ModelError
from dnai.genre.extraction import open_extractor
from dnai.library.analysis import OpenExtractor
from dnai.library.analyst import READY, Setup, serve
from dnai.library.jobs import Job, Outcome, Started, Trouble

_context = get_context("spawn")
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_START_LIMIT_S = 600.0  # a slow disk, a large model, a busy machine
_LOOK_S = 0.5
_END_S = 5.0
_SENT_FROM_OUTSIDE = frozenset({signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost.

    The default time is many times what the slowest machines need: an hour of music takes a minute or two
    on a small board, and a file that says it is endless has an hour. The memory, which comes on top of what
    a child takes before its first file, is many times what streaming needs.
    """

    base_s: float = 300.0
    bytes_per_s: float = 100_000.0
    most_s: float = 3600.0
    memory_bytes: int = 1 << 30

    def seconds(self, size_bytes: int) -> float:
        """Return how long a file of this size may take."""
        return min(self.base_s + size_bytes / self.bytes_per_s, self.most_s)


class Pool:
    """Child processes that analyse files; they are started when there is something to do.

    To be used by one thread, which must live as long as the pool: the children end with it.

    Parameters
    ----------
    model_dirs
        The folders of the models that listen.
    processes
        How many children there are at the most; never more than there are files.
    open_extractor, prepare
        Functions of a module: each child calls `prepare` once, and opens an extractor for each model.
    preparing
        Called when the first child is started, which may take a while.
    """

    def __init__(
        self,
        model_dirs: Sequence[Path],
        *,
        processes: int,
        preparing: Callable[[], None],
        limits: Limits | None = None,
        open_extractor: OpenExtractor = open_extractor,
        prepare: Callable[[], None] = warm_up,
    ) -> None:
        self._processes = processes
        self._limits = limits or Limits()
        self._preparing = preparing
        self._setup = Setup(tuple(model_dirs), open_extractor, prepare, self._limits.memory_bytes)
        self._children: list[_Child] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the children."""
        return tuple(child.pid for child in self._children)

    def close(self) -> None:
        """Kill the children: what they have in hand is lost, and nothing else."""
        for child in self._children:
            child.kill()
        for child in self._children:
            child.reap()
        self._children.clear()

    def analyse(self, jobs: Sequence[Job], *, started: Started) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with its outcome, in the order in which they end; raises `ModelError`."""
        waiting = deque(jobs)
        while waiting or any(child.job for child in self._children):
            self._employ(len(waiting))
            for child in self._children:
                if waiting and child.is_idle:
                    started(waiting[0])
                    child.take(waiting.popleft(), self._limits)
            yield from self._gather()

    def _employ(self, waiting: int) -> None:
        """See to it that there are enough children for the jobs that wait."""
        busy = sum(child.job is not None for child in self._children)
        while len(self._children) < min(self._processes, busy + waiting):
            if not self._children:
                self._preparing()
            self._children.append(_Child(self._setup))

    def _gather(self) -> Iterator[tuple[Job, Outcome]]:
        """Wait a moment for children that have something to say, and end those whose time is up."""
        spoke = wait([child.connection for child in self._children], timeout=self._patience_s())
        for child in [child for child in self._children if child.connection in spoke]:
            job = child.job
            outcome = child.receive()
            if outcome is not None and child.has_ended:
                self._children.remove(child)
            if job is not None and outcome is not None:
                yield job, outcome
        now = time.monotonic()
        for child in [child for child in self._children if child.deadline <= now]:
            self._children.remove(child)
            yield child.give_up()

    def _patience_s(self) -> float:
        """How long to wait: until the first deadline, and not for ever, as a signal may come just before."""
        first = min((child.deadline for child in self._children), default=0.0)
        return max(0.0, min(_LOOK_S, first - time.monotonic()))


class _Child:
    """One child process, and what it has in hand."""

    def __init__(self, setup: Setup) -> None:
        self.connection, theirs = _context.Pipe()
        self._process = _context.Process(target=serve, args=(theirs, setup, os.getpid()), daemon=True)
        with _single_threaded(), _interrupts_held_back():
            self._process.start()
        theirs.close()
        self.job: Job | None = None
        self.deadline = time.monotonic() + _START_LIMIT_S
        self.has_ended = False
        self._limit_s = _START_LIMIT_S
        self._is_ready = False

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def is_idle(self) -> bool:
        return self._is_ready and self.job is None

    def take(self, job: Job, limits: Limits) -> None:
        """Hand it a file; that it has died meanwhile shows when its answer is read."""
        self.job = job
        self._limit_s = limits.seconds(job.stamp.size_bytes)
        self.deadline = time.monotonic() + self._limit_s
        with suppress(BrokenPipeError, ConnectionError):
            self.connection.send(job)

    def receive(self) -> Outcome | None:
        """Return the outcome of the job in hand, or None when it has only said that it is ready."""
        try:
            message = self.connection.recv()
        except Exception:  # noqa: BLE001  # it has died, also where it garbled the last that it said
            return self._note_end()
        if not self._is_ready:
            self._note_start(message)
            return None
        self.job, self.deadline = None, float("inf")
        outcome: Outcome = message
        return outcome

    def give_up(self) -> tuple[Job, Outcome]:
        """Kill it, since its time is up; return what it was busy with."""
        self.kill()
        self.reap()
        if self.job is None:
            raise ModelError(f"the analysis was not ready after {_START_LIMIT_S:.0f} s; start it again")
        return self.job, Trouble(f"took longer than {self._limit_s:g} s, and was given up")

    def kill(self) -> None:
        self._process.kill()

    def reap(self) -> None:
        self._process.join(_END_S)
        self.connection.close()

    def _note_start(self, message: object) -> None:
        if message != READY:
            self.kill()
            raise ModelError(str(message))
        self._is_ready, self.deadline = True, float("inf")

    def _note_end(self) -> Trouble:
        self.has_ended = True
        self._process.join(_LOOK_S)
        self.kill()
        self.reap()
        code = self._process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        if not self._is_ready:
            raise ModelError(f"the process that analyses music ended {how} before it was ready: its own lines say why")
        return Trouble(f"its analysis ended {how}", passing=-code in _SENT_FROM_OUTSIDE)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Numeric libraries of a child that is started here use one thread: there are as many children as cores."""
    before = {name: os.environ.get(name) for name in _THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A child that is started here does not hear Ctrl-C, which is for its parent to act on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

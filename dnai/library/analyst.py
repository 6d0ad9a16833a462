"""The child's side of the pool: opens its ears, and then analyses one file after the other."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

from dnai.errors import DnaiError
from dnai.genre.model import GenreModel
from dnai.library.analysis import OpenExtractor, open_ears
from dnai.library.jobs import perform

READY = "ready"
"""What a child says when it can take a file; anything else that it says first is why it cannot."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Setup:
    """What a child needs before its first file."""

    model_dirs: tuple[Path, ...]
    open_extractor: OpenExtractor
    prepare: Callable[[], None]
    memory_bytes: int


def serve(connection: Connection, setup: Setup, parent_pid: int) -> None:
    """Answer each `Job` on the connection with its outcome, until the other end is closed or gone."""
    _end_with_parent(parent_pid)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, and needs no copy of the memory
    try:
        setup.prepare()
        ears = open_ears([GenreModel(folder) for folder in setup.model_dirs], setup.open_extractor)
    except DnaiError as error:
        connection.send(str(error))
        return
    _limit_memory(setup.memory_bytes)
    connection.send(READY)
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(perform(job, ears))


def _end_with_parent(parent_pid: int) -> None:
    """End when the parent is gone, however it went; in Linux also while a decoder lets no other thread run."""
    parent = parent_process()
    if parent is None or os.getppid() != parent_pid:
        os._exit(1)
    sentinel = parent.sentinel

    def end() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=end, name="parent watch", daemon=True).start()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:
            os._exit(1)


def _limit_memory(more_bytes: int) -> None:
    """Allow the process so much more than it has now; where that is not known there is no limit."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return
    limit = pages * resource.getpagesize() + more_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard in {-1, resource.RLIM_INFINITY} or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))

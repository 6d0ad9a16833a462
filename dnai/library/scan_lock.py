"""One scan of a catalogue at a time: a lock file beside it, which a killed scan cannot leave locked."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dnai.errors import CatalogueError

_MAX_BYTES = 100


@dataclass(frozen=True, slots=True)
class Holder:
    """Which process scans a catalogue, and since when."""

    pid: int
    since: str


def describe_holder(holder: Holder | None) -> str:
    """Return in words that a scan is waited for, and whose it is, as far as that is known."""
    who = f"process {holder.pid}, since {holder.since}" if holder else "another process"
    return f"waiting for the scan of this catalogue that runs already ({who})"


def lock_path(catalogue_path: Path) -> Path:
    """Return where the lock of a catalogue stands."""
    return catalogue_path.with_name(f"{catalogue_path.name}.scan-lock")


@contextmanager
def scan_lock(catalogue_path: Path, *, waiting: Callable[[Holder | None], None]) -> Iterator[None]:
    """Hold the lock of a catalogue; while another scan has it, wait.

    Parameters
    ----------
    waiting
        Called before a wait, with who has it, as far as that can be read.

    Raises
    ------
    CatalogueError
        When the lock file cannot be made.
    """
    path = lock_path(catalogue_path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CatalogueError(f"the lock of the catalogue, {path}, cannot be made: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting(_read(descriptor))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write(descriptor)
        yield
    finally:
        os.close(descriptor)


def scan_holder(catalogue_path: Path) -> Holder | None:
    """Return who scans the catalogue at this moment.

    None when nobody does, and while that is not known: the lock was taken this instant, or cannot be read.
    """
    try:
        descriptor = os.open(lock_path(catalogue_path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    except OSError:
        return None
    else:
        return None
    finally:
        os.close(descriptor)


def _write(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    os.pwrite(descriptor, f"{os.getpid()} {since}\n".encode("ascii"), 0)


def _read(descriptor: int) -> Holder | None:
    """Who holds it; None while that is being written."""
    pid, _, since = os.pread(descriptor, _MAX_BYTES, 0).decode("ascii", "replace").strip().partition(" ")
    return Holder(int(pid), since) if pid.isascii() and pid.isdigit() and since else None

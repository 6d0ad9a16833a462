"""Notices that something changes below the music folders, also when a disk goes away and comes back."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from dnai.text import clean_text
from dnai.tracks import AUDIO_SUFFIXES

QUIET_S = 0.5
"""A folder, or a file, is looked at when nothing was written to it for so long."""

_MOST_S = 10.0  # while something is written all the time, what is complete already is looked at
_STEP_S = 0.1
_LOOK_S = 1.0
_FILE_EVENTS = frozenset({"created", "modified", "moved", "deleted", "closed"})
_FOLDER_EVENTS = frozenset({"created", "moved", "deleted"})
_logger = logging.getLogger(__name__)


class Watch(FileSystemEventHandler):
    """Watches folders while it is open as a context manager.

    Where the system cannot tell of changes (too many folders, some network drives, links to folders), they
    are found when `wait` times out.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._observers: dict[Path, BaseObserver | None] = dict.fromkeys(roots)
        self._identities: dict[Path, tuple[int, int] | None] = dict.fromkeys(roots)
        self._lock = threading.Lock()
        self._first_at: float | None = None
        self._last_at = 0.0

    def __enter__(self) -> Watch:
        self._follow_disks()
        with self._lock:
            self._first_at = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for root in self._observers:
            self._detach(root)

    def wait(self, timeout_s: float, *, is_over: Callable[[], bool] = lambda: False) -> bool:
        """Return True when something has changed and it is quiet again, False when `timeout_s` or `is_over` says so."""
        end = time.monotonic() + timeout_s
        look_at = 0.0
        while not is_over():
            now = time.monotonic()
            if now >= look_at:
                self._follow_disks()
                look_at = now + _LOOK_S
            if self._take_changes(now):
                return True
            if now >= end:
                return False
            time.sleep(min(_STEP_S, max(0.0, end - now)))
        return False

    def dispatch(self, event: FileSystemEvent) -> None:
        """Note a change of a sound file or a folder; reading one is none."""
        if event.is_directory:
            matters = event.event_type in _FOLDER_EVENTS
        else:
            names = (os.fsdecode(event.src_path), os.fsdecode(event.dest_path))
            matters = event.event_type in _FILE_EVENTS and any(
                Path(name).suffix.lower() in AUDIO_SUFFIXES for name in names
            )
        if matters:
            self._note()

    def _note(self) -> None:
        with self._lock:
            self._last_at = time.monotonic()
            if self._first_at is None:
                self._first_at = self._last_at

    def _take_changes(self, now: float) -> bool:
        with self._lock:
            if self._first_at is None or (now - self._last_at < QUIET_S and now - self._first_at < _MOST_S):
                return False
            self._first_at = None
            return True

    def _follow_disks(self) -> None:
        """Watch each folder that is there, anew where another one stands in its place: a disk came or went."""
        for root, before in self._identities.items():
            identity = _identity(root)
            if identity == before:
                continue
            self._identities[root] = identity
            self._detach(root)
            if identity is not None:
                self._attach(root)
            self._note()

    def _attach(self, root: Path) -> None:
        observer = Observer()
        observer.daemon = True
        observer.schedule(self, str(root), recursive=True)
        try:
            observer.start()
        except OSError as error:
            _logger.warning(
                "changes below %s are found by looking again only: %s", clean_text(str(root)), error.strerror
            )
            return
        self._observers[root] = observer

    def _detach(self, root: Path) -> None:
        observer = self._observers[root]
        self._observers[root] = None
        if observer is not None:
            observer.stop()
            observer.join()


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

"""How far a scan is, in a small file beside the catalogue, so that the web page of the same data directory shows it.

The file is a courtesy: a scan that cannot write it goes on, and a reader that cannot make sense of it
sees no scan. What a killed scan leaves behind is told from the real thing by the scan lock: only the state
of whoever holds the lock counts.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from dnai.library.scan_lock import Holder, scan_holder
from dnai.text import clean_text

ENDED_SHOWN_S = 20.0
"""How long after its end a scan is still told of."""

MAX_NAME_CHARS = 80
_MAX_BYTES = 4096
_logger = logging.getLogger(__name__)

_Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
_Amount = Annotated[float, Meta(ge=0, le=1e12)]
_Text = Annotated[str, Meta(max_length=1000)]


class ScanPhase(StrEnum):
    """What a scan is doing."""

    PREPARING = "preparing"
    NEW = "new"
    UPDATE = "update"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ScanOutcome:
    """What came of a scan, in files."""

    new: _Count = 0
    unusable: _Count = 0
    updated: _Count = 0
    recognised: _Count = 0
    dropped: _Count = 0


@dataclass(frozen=True, slots=True)
class ScanState:
    """Where a scan is: `done` of `total` files of a phase, and the name of the one in hand.

    `minutes_per_s` is the speed, in minutes of music a second, and `left_s` what it still takes; None
    while that is not known. `holder` is the scan's own entry in the lock. `ended_at` is the time of day
    in seconds since 1970.
    """

    phase: ScanPhase
    holder: Holder | None = None
    done: _Count = 0
    total: _Count = 0
    current: _Text = ""
    minutes_per_s: _Amount | None = None
    left_s: _Amount | None = None
    outcome: ScanOutcome = ScanOutcome()
    ended_at: _Amount = 0.0


def state_path(catalogue_path: Path) -> Path:
    """Return where the state of a catalogue's scan stands."""
    return catalogue_path.with_name(f"{catalogue_path.name}.scan-state")


class ScanStateFile:
    """The state as the scan writes it; trouble with it is logged once and stops nothing."""

    def __init__(self, catalogue_path: Path) -> None:
        self._path = state_path(catalogue_path)
        self._has_complained = False

    def write(self, state: ScanState) -> None:
        """Put `state` in the place of what stood there, in one step."""
        new = self._path.with_name(f"{self._path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        content = msgspec.json.encode(replace(state, current=clean_text(state.current, max_chars=MAX_NAME_CHARS)))
        try:
            descriptor = os.open(new, flags, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            new.replace(self._path)
        except OSError as error:
            self._complain(error)

    def withdraw(self, holder: Holder | None) -> None:
        """Take away what this scan, and no other, said of where it is; what was said of an end stays."""
        state = _read(self._path)
        if state is None or state.phase is ScanPhase.ENDED or state.holder != holder:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            _logger.warning("the page cannot show this scan: %s cannot be written: %s", self._path, error.strerror)


class ScanStateReader:
    """Tells where the scan of a catalogue is; to be used by one thread.

    Parameters
    ----------
    catalogue_path
        The catalogue; neither it nor its folder need be there.
    clock
        The time of day, in seconds since 1970.
    """

    def __init__(self, catalogue_path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._catalogue_path = catalogue_path
        self._path = state_path(catalogue_path)
        self._clock = clock
        self._seen: tuple[int, ...] | None = None
        self._state: ScanState | None = None

    def current(self) -> ScanState | None:
        """Return where the scan is, or how it ended a moment ago; None when there is nothing to tell.

        The file is only read when it has changed, and the lock only looked at while a scan seems to run.
        """
        signature = _signature(self._path)
        if signature != self._seen:
            self._seen, self._state = signature, _read(self._path)
        state = self._state
        if state is None:
            return None
        if state.phase is ScanPhase.ENDED:
            return state if 0 <= self._clock() - state.ended_at < ENDED_SHOWN_S else None
        holder = scan_holder(self._catalogue_path)
        if holder is None:  # killed: whoever scans next writes a state of its own
            self._state = None
        return state if holder is not None and holder == state.holder else None


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size, status.st_ctime_ns


def _read(path: Path) -> ScanState | None:
    """Return what the file says, or None where there is none, or none that makes sense."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(_MAX_BYTES + 1)
        state = msgspec.json.decode(content, type=ScanState) if len(content) <= _MAX_BYTES else None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        _logger.info("%s does not say how far a scan is: %s", path, clean_text(str(error)))
        return None
    if state is None or state.done > state.total:
        return None
    return replace(state, current=clean_text(state.current, max_chars=MAX_NAME_CHARS))

"""A scan as it is published beside the catalogue, for the web page of the same data directory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dnai.cli.scan_progress import Pace
from dnai.library.scan_lock import Holder, scan_holder
from dnai.library.scan_state import ScanOutcome, ScanPhase, ScanState, ScanStateFile
from dnai.library.scanner import ScanProgress, ScanStep, ScanSummary

WRITE_INTERVAL_S = 0.3
Later = Callable[[float, Callable[[], None]], None]
_PHASES = {ScanStep.NEW: ScanPhase.NEW, ScanStep.UPDATE: ScanPhase.UPDATE}


@contextmanager
def publishing(catalogue_path: Path) -> Iterator[Publication]:
    """Publish one scan; when it ends before its time, what was said of it is taken away."""
    publication = Publication(catalogue_path)
    try:
        yield publication
    finally:
        publication.withdraw()


def _in_a_thread(delay_s: float, job: Callable[[], None]) -> None:
    timer = threading.Timer(delay_s, job)
    timer.daemon = True
    timer.start()


class Publication:
    """What others are told of one scan: a few times a second at the most, and always the latest.

    Parameters
    ----------
    catalogue_path
        The catalogue that is scanned.
    clock
        Steady seconds.
    time_of_day
        Seconds since 1970.
    later
        Calls something after some seconds.
    """

    def __init__(
        self,
        catalogue_path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], float] = time.time,
        later: Later = _in_a_thread,
    ) -> None:
        self._catalogue_path = catalogue_path
        self._file = ScanStateFile(catalogue_path)
        self._clock = clock
        self._time_of_day = time_of_day
        self._later = later
        self._pace = Pace(clock)
        self._lock = threading.Lock()
        self._holder: Holder | None = None
        self._waiting: ScanState | None = None
        self._written_at = -WRITE_INTERVAL_S

    def prepare(self) -> None:
        """Say that the analysis is being prepared."""
        self._tell(ScanState(ScanPhase.PREPARING))

    def show(self, progress: ScanProgress) -> None:
        """Say how far it is; nothing is said of a step in which there is nothing to do."""
        self._pace.note(progress)
        if not progress.total:
            return
        state = ScanState(
            _PHASES[progress.step],
            done=progress.done,
            total=progress.total,
            current=progress.current,
            minutes_per_s=self._pace.speed(progress),
            left_s=self._pace.left_s(progress),
        )
        self._tell(state)

    def finish(self, summary: ScanSummary) -> None:
        """Say what came of it, if anything did."""
        outcome = ScanOutcome(
            new=summary.analysed,
            unusable=summary.failed,
            updated=summary.updated,
            recognised=summary.recognised,
            dropped=summary.dropped,
        )
        with self._lock:
            self._waiting = None
            if outcome != ScanOutcome():
                self._file.write(ScanState(ScanPhase.ENDED, outcome=outcome, ended_at=self._time_of_day()))

    def withdraw(self) -> None:
        """Take away where the scan was; what came of it stays."""
        with self._lock:
            self._waiting = None
            self._file.withdraw(self._holder)

    def _tell(self, state: ScanState) -> None:
        """Write the state, or let it wait until it is time, in the place of one that waits already."""
        with self._lock:
            is_first, self._waiting = self._waiting is None, state
            rest_s = self._written_at + WRITE_INTERVAL_S - self._clock()
            if rest_s <= 0:
                self._write()
            elif is_first:
                self._later(rest_s, self._catch_up)

    def _catch_up(self) -> None:
        with self._lock:
            self._write()

    def _write(self) -> None:
        """Write under the name by which the lock knows this scan: its state counts only while it holds the lock."""
        if self._waiting is None:
            return
        if self._holder is None:
            self._holder = scan_holder(self._catalogue_path)
        self._file.write(replace(self._waiting, holder=self._holder))
        self._waiting, self._written_at = None, self._clock()

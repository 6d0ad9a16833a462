"""The demo's scans: one ``dnai scan`` for each member's folder, some at a time, and how far they are together."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dnai.cli.demo_circle import Seat
from dnai.cli.processes import Process, Processes
from dnai.library.scanner import find_sound_files

_POLL_S = 0.25
_PROGRESS = re.compile(r"scanning: (\d+) of (\d+) tracks")


@dataclass(frozen=True, slots=True)
class ScanState:
    """How far one folder is: `done` of its `files`, of which `analysed` were new or changed.

    `has_news` when the scan has found new or changed files.
    """

    name: str
    files: int
    done: int
    analysed: int
    has_news: bool = False


def scan_all(seats: Sequence[Seat], processes: Processes, *, show: Callable[[str], None]) -> None:
    """Scan every seat's folder into its catalogue; `show` is told again and again how far it is, in words.

    Raises
    ------
    ProcessEndedError
        When a scan fails; the message ends with what it said.
    """
    waiting = [(seat, seat.folder) for seat in seats if seat.folder is not None]
    states = {
        seat.user: ScanState(seat.name, files=sum(1 for _ in find_sound_files(folder)), done=0, analysed=0)
        for seat, folder in waiting
    }
    running: dict[str, Process] = {}
    estimate = Estimate()
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            seat, folder = waiting.pop(0)
            running[seat.user] = processes.start(f"scan-{seat.user}", _command(seat, folder))
        for user, process in list(running.items()):
            finished = processes.has_finished(process)
            states[user] = parse_state(states[user], process.lines(), finished=finished)
            if finished:
                del running[user]
        show(describe(tuple(states.values()), estimate, now=time.monotonic()))
        if running:
            time.sleep(_POLL_S)


class Estimate:
    """How long it still takes, from the pace since the first files were done: before them comes the warming up."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def seconds_left(self, *, analysed: int, remaining: int, now: float) -> float | None:
        """Return the seconds that `remaining` more files will take, or None while too few are done to tell."""
        if analysed == 0:
            return None
        if self._first is None:
            self._first = (analysed, now)
        first, since = self._first
        return (now - since) / (analysed - first) * remaining if analysed > first else None


def describe(states: Sequence[ScanState], estimate: Estimate, *, now: float) -> str:
    """Return how far the scans are together, in words, with how long it still takes as far as that can be said."""
    files, done = sum(state.files for state in states), sum(state.done for state in states)
    analysed = sum(state.analysed for state in states)
    left_s = estimate.seconds_left(analysed=analysed, remaining=files - done, now=now)
    each = ", ".join(f"{state.name} {state.done}/{state.files}" for state in states)
    if not any(state.has_news for state in states):
        return f"looking for new music: {done} of {files} tracks are known"
    if done >= files:
        left = ""
    elif left_s is not None:
        left = f", about {tqdm.format_interval(round(left_s))} left"
    else:
        left = "" if analysed else ", warming up (the first time half a minute)"
    return f"analysing music: {done} of {files} tracks ({each}){left}"


def _command(seat: Seat, folder: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "dnai.cli", "scan", str(folder), "--data-dir", str(seat.data_dir)]


def parse_state(state: ScanState, lines: Sequence[str], *, finished: bool) -> ScanState:
    """Return the state after what a scan has printed: of the files it found new or changed, how many it has done."""
    found = [match for match in map(_PROGRESS.search, lines) if match]
    analysed, fresh = (int(found[-1][1]), int(found[-1][2])) if found else (0, state.files)
    analysed = fresh if finished and found else analysed
    done = state.files if finished else max(0, state.files - fresh) + analysed
    return ScanState(state.name, state.files, min(done, state.files), analysed, has_news=bool(found))

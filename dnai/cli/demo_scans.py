"""The demo's scans: one ``dnai scan`` for each member's folder, some at a time, and how far they are together."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from dnai.cli.demo_circle import Seat
from dnai.cli.processes import Process, Processes
from dnai.library.scanner import find_sound_files

_POLL_S = 0.25
_PROGRESS = re.compile(r"scanning: (\d+) of (\d+) tracks")


@dataclass(frozen=True, slots=True)
class ScanState:
    """How far one folder is: `done` of its `files`, of which `analysed` were new or changed."""

    name: str
    files: int
    done: int
    analysed: int


def scan_all(
    seats: Sequence[Seat],
    processes: Processes,
    *,
    show: Callable[[Sequence[ScanState], float], None],
) -> None:
    """Scan every seat's folder into its catalogue; `show` is told the states and the seconds since the start.

    Raises
    ------
    ProcessEndedError
        When a scan fails; the message ends with what it said.
    """
    sizes = {seat.user: sum(1 for _ in find_sound_files(seat.folder)) for seat in seats if seat.folder is not None}
    waiting = [seat for seat in seats if seat.folder is not None]
    running: dict[str, Process] = {}
    states = {seat.user: ScanState(seat.name, sizes[seat.user], 0, 0) for seat in waiting}
    started_at = time.monotonic()
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            seat = waiting.pop(0)
            running[seat.user] = processes.start(f"scan-{seat.user}", _command(seat))
        for user, process in list(running.items()):
            finished = processes.has_finished(process)
            states[user] = _state(states[user], process.lines(), finished=finished)
            if finished:
                del running[user]
        show(tuple(states.values()), time.monotonic() - started_at)
        if running:
            time.sleep(_POLL_S)


def describe(states: Sequence[ScanState], elapsed_s: float) -> str:
    """Return how far the scans are together, in words, with how long it still takes as far as that can be said."""
    files, done = sum(state.files for state in states), sum(state.done for state in states)
    analysed = sum(state.analysed for state in states)
    each = ", ".join(f"{state.name} {state.done}/{state.files}" for state in states)
    if done >= files:
        left = ""
    elif analysed:
        left = f", about {tqdm.format_interval(round(elapsed_s / analysed * (files - done)))} left"
    else:
        left = ", warming up (the first time half a minute)"
    return f"analysing music: {done} of {files} tracks ({each}){left}"


def _command(seat: Seat) -> list[str]:
    return [sys.executable, "-P", "-m", "dnai.cli", "scan", str(seat.folder), "--data-dir", str(seat.data_dir)]


def _state(state: ScanState, lines: Sequence[str], *, finished: bool) -> ScanState:
    """What the scan has said of itself: of the files that it found new or changed, how many it has done."""
    found = [match for match in map(_PROGRESS.search, lines) if match]
    analysed, fresh = (int(found[-1][1]), int(found[-1][2])) if found else (0, state.files)
    analysed = fresh if finished and found else analysed
    done = state.files if finished else max(0, state.files - fresh) + analysed
    return ScanState(state.name, state.files, min(done, state.files), analysed)

"""The demo's scans: one ``dnai scan`` for each member's folder, some at a time, and how far they are together."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dnai.cli.demo_circle import Seat, catalogue_path
from dnai.cli.processes import Process, Processes
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.folders import find_sound_files
from dnai.library.rows import FileStamp

_POLL_S = 0.25
_PROGRESS = re.compile(r"(scanning|bringing up to date): (\d+) of (\d+) tracks")


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


def scan_all(
    seats: Sequence[Seat], processes: Processes, *, models: Sequence[GenreModel], show: Callable[[str], None]
) -> None:
    """Scan what is new in the seats' folders; `show` is told again and again how far it is, in words.

    A provider all of whose files every model has heard is left to the scan that its worker begins with.

    Raises
    ------
    ProcessEndedError
        When a scan fails; the message ends with what it said.
    """
    found = [(seat, seat.folder, dict(find_sound_files(seat.folder))) for seat in seats if seat.folder is not None]
    waiting = [(seat, folder) for seat, folder, files in found if not is_catalogued(seat, folder, files, models)]
    states = {seat.user: ScanState(seat.name, files=len(files), done=0, analysed=0) for seat, _, files in found}
    for user in states.keys() - {seat.user for seat, _ in waiting}:
        states[user] = parse_state(states[user], (), finished=True)
    show(describe(tuple(states.values()), Estimate(), now=time.monotonic()))
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


def is_catalogued(seat: Seat, folder: Path, files: Mapping[Path, FileStamp], models: Sequence[GenreModel]) -> bool:
    """Return whether the seat's catalogue has exactly these files of the folder, as they are now and by all models."""
    if not catalogue_path(seat).is_file():
        return False
    wanted = {model.feature_id for model in models}
    with Catalogue(catalogue_path(seat)) as catalogue:
        known = catalogue.known_files(under=folder)
        failures = catalogue.failures(under=folder)
    if any(wanted - file.feature_ids for file in known.values()):
        return False
    stamps = {path: file.stamp for path, file in known.items()}
    return {**stamps, **{failure.path: failure.stamp for failure in failures}} == files


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
        left = "" if analysed else ", warming up"
    return f"analysing music: {done} of {files} tracks ({each}){left}"


def _command(seat: Seat, folder: Path) -> list[str]:
    # There are as many scans at once as there are cores.
    options = ["--data-dir", str(seat.data_dir), "--scan-processes", "1"]
    return [sys.executable, "-P", "-m", "dnai.cli", "scan", str(folder), *options]


def parse_state(state: ScanState, lines: Sequence[str], *, finished: bool) -> ScanState:
    """Return the state after what a scan has printed: of the files that it has to analyse, how many it has done."""
    found = {match[1]: (int(match[2]), int(match[3])) for match in map(_PROGRESS.search, lines) if match}
    steps = found.values()
    analysed, fresh = (sum(done for done, _ in steps), sum(all_ for _, all_ in steps)) if found else (0, state.files)
    analysed = fresh if finished and found else analysed
    done = state.files if finished else max(0, state.files - fresh) + analysed
    return ScanState(state.name, state.files, min(done, state.files), analysed, has_news=bool(found))

"""Two processes that scan, beside one.

The same 24 songs in both: stretches of real ones, each of another content, as flac. What is measured is a scan from
its first file to its last; the start of the children, which is the same however much music there is, is
shown apart. The baseline is one process, in the same run, in turn. Meanwhile it is looked up how many
threads of each child take time of the processor, and what the parent takes.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from benchmarks.analysis import find_songs
from dnai.config import MODELS_DIR
from dnai.library.catalogue import Catalogue
from dnai.library.models import load_models
from dnai.library.pool import Pool
from dnai.library.scanner import ScanProgress, scan_folders

SONGS = 24
SONG_S = 120
ROUNDS = 3
MODELS = ("musicnn200", "librosa26")
_BUSY_SHARE = 0.02
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan took, in seconds: until its first file, and from then on.

    `busy_threads` are those of one child that took more than 2 % of its time, at the most; `parent_share`
    is what the parent took of one core meanwhile. `processor_s` is what the children took of all cores:
    also where others use the machine, it says whether two take more than one for the same songs.
    """

    start_s: float
    work_s: float
    busy_threads: int
    parent_share: float
    processor_s: float


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="dnai-bench-") as folder:
        home = Path(folder)
        write_songs(home / "music")
        print(f"a scan of {SONGS} songs, {SONGS * SONG_S // 60} minutes, by {' and '.join(MODELS)}; median of {ROUNDS}")
        print(
            f"{'processes':>10} {'start s':>8} {'work s':>7} {'least':>7} {'cores s':>8} {'speed':>7}   "
            "range, busy threads a child, parent's share of a core"
        )
        scans: dict[int, list[Scan]] = {1: [], 2: []}
        for i in range(ROUNDS):
            for processes, done in scans.items():
                done.append(scan(home / "music", home / f"{processes} {i}.sqlite3", processes=processes))
        for processes, done in scans.items():
            _print_row(processes, done, scans[1])


def write_songs(music: Path) -> None:
    """Write stretches of the songs of `find_songs`, each from another place."""
    music.mkdir()
    songs = find_songs()
    for i in range(SONGS):
        with soundfile.SoundFile(songs[i % len(songs)]) as file:
            frames = min(SONG_S * file.samplerate, file.frames)
            file.seek((file.frames - frames) * (i // len(songs)) * len(songs) // SONGS)
            with soundfile.SoundFile(music / f"{i:02d}.flac", "w", file.samplerate, channels=file.channels) as copy:
                # Each of another length, so that no two are alike.
                copy.write(file.read(frames - i * 1000, dtype="float32"))


def scan(music: Path, catalogue_path: Path, *, processes: int) -> Scan:
    """Scan into a fresh catalogue."""
    folders = [MODELS_DIR / name for name in MODELS]
    watcher = _Watcher(Pool(folders, processes=processes, preparing=lambda: None))
    with Catalogue(catalogue_path) as catalogue:
        summary = scan_folders([music], catalogue, load_models(folders), analysts=watcher.pool, report=watcher.look)
    assert summary.analysed == SONGS, summary
    return watcher.scan()


class _Watcher:
    """Looks at the clock and at the children whenever the scan says how far it is."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._made_at = time.perf_counter()
        self._times: list[tuple[float, float]] = []
        self._first: dict[int, list[int]] = {}
        self._last: dict[int, list[int]] = {}

    def look(self, _progress: ScanProgress) -> None:
        """Note the time, and the ticks of each thread of each child."""
        self._times.append((time.perf_counter(), time.process_time()))
        for pid in self.pool.pids:
            ticks = _thread_ticks(pid)
            self._first.setdefault(pid, ticks)
            self._last[pid] = ticks

    def scan(self) -> Scan:
        """Return what was seen."""
        (first_at, first_cpu_s), (last_at, last_cpu_s) = self._times[0], self._times[-1]
        work_s = last_at - first_at
        took = [_since(self._first[pid], self._last[pid]) for pid in self._last]
        busy = max(sum(ticks > _BUSY_SHARE * work_s * _TICKS_PER_S for ticks in threads) for threads in took)
        processor_s = sum(map(sum, took)) / _TICKS_PER_S
        return Scan(first_at - self._made_at, work_s, busy, (last_cpu_s - first_cpu_s) / work_s, processor_s)


def _thread_ticks(pid: int) -> list[int]:
    """What each thread of a process has taken of the processor, the oldest first."""
    tasks = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name))
    fields = [(task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split() for task in tasks]
    return [int(field[11]) + int(field[12]) for field in fields]


def _since(first: Sequence[int], last: Sequence[int]) -> list[int]:
    """What each thread has taken since; those that are new have taken all that they have."""
    return [ticks - before for ticks, before in zip(last, [*first, *[0] * len(last)], strict=False)]


def _print_row(processes: int, scans: Sequence[Scan], one: Sequence[Scan]) -> None:
    ratios = sorted(alone.work_s / each.work_s for alone, each in zip(one, scans, strict=True))
    print(
        f"{processes:>10} {statistics.median(each.start_s for each in scans):>8.1f} "
        f"{statistics.median(each.work_s for each in scans):>7.1f} {min(each.work_s for each in scans):>7.1f} "
        f"{min(each.processor_s for each in scans):>8.1f} {statistics.median(ratios):>7.2f}   "
        f"{ratios[0]:.2f} to {ratios[-1]:.2f}, {max(each.busy_threads for each in scans)}, "
        f"{statistics.median(each.parent_share for each in scans):.1%}",
        flush=True,
    )


if __name__ == "__main__":
    main()

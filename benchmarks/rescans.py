"""A rescan of 10,000 unchanged files, and one with a file more.

``dnai scan`` as a process of its own, from the start of the interpreter to its end. The files are small ones of which
the catalogue says that they have been heard, so that none is read again. The baseline is `os.walk` and `os.stat` of the
same folder, in this process; for the file more, ``dnai scan`` of a folder with nothing else, into a fresh catalogue.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from dnai.config import MODELS_DIR
from dnai.genre.model import GenreAnswer, GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.content import content_id
from dnai.library.jobs import Job, Outcome, Started
from dnai.library.models import load_models
from dnai.library.rows import CataloguedFile, CataloguedTrack, Hearing
from dnai.library.scanner import scan_folder
from dnai.tracks import AudioType, Genre

ALBUMS, SONGS = 100, 100
MODELS = ("musicnn200", "librosa26")
ROUNDS = 7
SONG_S = 30
_SR = 22_050


class _Deaf:
    """Hears zeros in every file, without opening it."""

    def __init__(self, models: Sequence[GenreModel]) -> None:
        answer = GenreAnswer(Genre.JAZZ, 0.5, is_sure=True)
        self._hearings = tuple(
            Hearing(model.feature_id, model.space_id, model.model_id, np.zeros(model.dimension), answer)
            for model in models
        )

    def __enter__(self) -> _Deaf:
        return self

    def __exit__(self, *_ended: object) -> None:
        pass

    def analyse(self, jobs: Sequence[Job], *, started: Started) -> Iterator[tuple[Job, Outcome]]:
        """Yield a track for each."""
        for job in jobs:
            started(job)
            stamp, path = job.stamp, job.path
            file = CataloguedFile(
                path, stamp.size_bytes, stamp.mtime_ns, path.stem, "Artist", "Album", 1990, None, 200.0, AudioType.WAV
            )
            yield job, CataloguedTrack(file._replace(content_id=content_id(path)), self._hearings)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="dnai-bench-") as folder:
        home, alone = Path(folder), Path(folder) / "alone"
        music = write_files(home / "music")
        models = load_models([MODELS_DIR / name for name in MODELS])
        with Catalogue(home / "data" / "catalogue.sqlite3") as catalogue:
            scan_folder(music, catalogue, models, report=lambda _progress: None, analysts=_Deaf(models))
        print(f"dnai scan of {ALBUMS * SONGS:,} files that are known, as a process; seconds, median of {ROUNDS}")
        print(f"{'':>16} {'DN.ai':>7} {'least':>7} {'baseline':>9} {'ratio':>7}")
        walks = [_seconds(lambda: walk(music)) for _ in range(ROUNDS)]
        _print_row("unchanged", [_scan(music, home / "data", analysed=0) for _ in range(ROUNDS)], walks)
        ours, plain = [], []
        for i in range(ROUNDS):
            song = write_song(music / f"new {i}.wav", seed=i)
            shutil.rmtree(alone, ignore_errors=True)
            alone.mkdir()
            shutil.copy2(song, alone / song.name)
            ours.append(_scan(music, home / "data", analysed=1))
            plain.append(_scan(alone, home / f"data {i}", analysed=1))
        _print_row("one file more", ours, plain)


def write_files(music: Path) -> Path:
    """Write small files, each of another content, and return their folder."""
    for album in range(ALBUMS):
        folder = music / f"Artist {album // 5}" / f"Album {album}"
        folder.mkdir(parents=True)
        for song in range(SONGS):
            (folder / f"{song:02d} Song {song}.wav").write_bytes(b"%d of %d" % (song, album))
    return music


def write_song(path: Path, *, seed: int) -> Path:
    """Write half a minute of noise; return its path."""
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.3, 0.3, SONG_S * _SR), _SR)
    return path


def walk(music: Path) -> int:
    """Return how many bytes there are, by nothing but the standard library."""
    return sum(
        os.stat(os.path.join(folder, name)).st_size  # noqa: PTH116, PTH118  # as one would write it for speed
        for folder, _, names in os.walk(music)
        for name in names
    )


def _scan(music: Path, data_dir: Path, *, analysed: int) -> float:
    """The seconds of a whole process; it must analyse so many files."""
    command = [sys.executable, "-m", "dnai.cli", "scan", str(music), "--data-dir", str(data_dir), "--json"]
    command += ["--models", ",".join(MODELS), "--scan-processes", "1"]
    started_at = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    took_s = time.perf_counter() - started_at
    assert f'"analysed":{analysed},' in done.stdout.splitlines()[-1], done.stdout[-500:]
    return took_s


def _seconds(work: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def _print_row(what: str, ours: Sequence[float], plain: Sequence[float]) -> None:
    middle, baseline = statistics.median(ours), statistics.median(plain)
    print(f"{what:>16} {middle:>7.2f} {min(ours):>7.2f} {baseline:>9.3f} {middle / baseline:>7.2f}", flush=True)


if __name__ == "__main__":
    main()

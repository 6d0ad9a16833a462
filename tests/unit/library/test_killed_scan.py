"""A scan that is killed loses the file in hand, and nothing else."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.pool import Pool
from dnai.library.scanner import ScanSummary, scan_folder
from tests.unit.library.conftest import add_song

SONGS = 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two dozen songs, one of them broken."""
    for i in range(SONGS - 1):
        add_song(tmp_path / "music", f"{i:02d}.wav", seed=i)
    (tmp_path / "music" / "99.mp3").write_bytes(b"no music")
    return tmp_path / "music"


def content(catalogue: Catalogue) -> list[object]:
    tracks = [
        (one.file, [(heard.model_id, heard.answer, heard.features.tolist()) for heard in one.hearings])
        for one in catalogue.tracks()
    ]
    return [*tracks, *catalogue.failures()]


def scan_alike(folder: Path, catalogue: Catalogue, model: GenreModel) -> ScanSummary:
    """Scan in a process whose numeric libraries have one thread, as `dnai scan` does: or the last bits differ."""
    pool = Pool([model.folder], processes=1, preparing=lambda: None)
    return scan_folder(folder, catalogue, [model], analysts=pool, report=lambda _progress: None)


def kill_a_scan(folder: Path, data: Path, *, rows: int, pause_s: float) -> None:
    """Start ``dnai scan``, and kill it a moment after it has written so many rows."""
    command = [sys.executable, "-m", "dnai.cli", "scan", str(folder), "--data-dir", str(data), "--models", "librosa26"]
    with Catalogue(data / "catalogue.sqlite3") as watching:
        scan = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 120
            while len(content(watching)) < rows and scan.poll() is None:
                assert time.monotonic() < end, f"waited 120 s for {rows} rows of the scan"
                time.sleep(0.002)
            time.sleep(pause_s)
        finally:
            scan.kill()
        assert scan.wait(10) in {-signal.SIGKILL, 0}


def test_what_was_written_before_a_kill_is_there_and_the_next_scan_completes_it(
    folder: Path, tmp_path: Path, catalogue: Catalogue, model: GenreModel
) -> None:
    """Killed at two moments, it opens each time with what it had; in the end it is as if never disturbed."""
    data, chance = tmp_path / "killed", random.Random(3)
    before: list[object] = []
    for rows in (1, 12):
        kill_a_scan(folder, data, rows=rows, pause_s=chance.uniform(0, 0.05))
        with Catalogue(data / "catalogue.sqlite3") as killed:
            now = content(killed)
        assert len(now) >= rows
        assert [row for row in before if row not in now] == []
        before = now
    scan_alike(folder, catalogue, model)
    with Catalogue(data / "catalogue.sqlite3") as killed:
        summary = scan_alike(folder, killed, model)
        assert summary.unchanged == len(before)
        assert content(killed) == content(catalogue)
        assert len(content(killed)) == SONGS

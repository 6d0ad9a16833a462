"""Ten thousand files, and a scanner that is killed again and again."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dnai.config import PROJECT_DIR
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.scanner import ScanSummary, scan_folders
from tests.unit.library.test_moved_files import FakeAnalysts

KILLS = int(os.environ.get("TEST_SCAN_KILLS", "50"))
FILES = 120
PATIENCE_S = 60.0

_SCANNER = """
import sys
from pathlib import Path
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.pool import Pool
from dnai.library.scanner import scan_folder
from tests.models import SHIPPED
from tests.unit.library import hostile

pool = Pool([SHIPPED], processes=2, preparing=lambda: None, prepare=hostile.misbehave_slowly)
with Catalogue(Path(sys.argv[2])) as catalogue:
    report = lambda progress: print(progress.done, flush=True)
    scan_folder(Path(sys.argv[1]), catalogue, [GenreModel(SHIPPED)], analysts=pool, report=report)
"""


def content(path: Path) -> list[object]:
    """All that a catalogue holds but the ids of its rows."""
    with Catalogue(path) as catalogue:
        tracks = [
            (one.file, [(heard.model_id, heard.answer, heard.features.tolist()) for heard in one.hearings])
            for one in catalogue.tracks()
        ]
        return [*tracks, *catalogue.failures()]


def start(folder: Path, catalogue_path: Path) -> subprocess.Popen[bytes]:
    """Start a scan whose analysis takes a moment for each file; it writes a line for each that is begun or done."""
    return subprocess.Popen(
        [sys.executable, "-c", _SCANNER, str(folder), str(catalogue_path)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def finish(scan: subprocess.Popen[bytes]) -> int:
    """Let a scan come to its end; return its exit code."""
    scan.communicate(timeout=120)
    return scan.returncode


def kill_after(scan: subprocess.Popen[bytes], *, lines: int, pause_s: float) -> None:
    """Kill a scan a moment after it has written so many lines, or when it is at its end."""
    assert scan.stdout is not None
    try:
        for _ in range(lines):
            ready, _, _ = select.select([scan.stdout], [], [], PATIENCE_S)
            assert ready, f"waited {PATIENCE_S} s for the scan to go on"
            if not scan.stdout.readline():
                break
        time.sleep(pause_s)
    finally:
        scan.kill()
        scan.stdout.close()
        assert scan.wait(10) in {0, -signal.SIGKILL}


def test_a_scanner_that_is_killed_again_and_again_gets_there(tmp_path: Path) -> None:
    """At random moments; nothing that was written is lost, and in the end it is as if never disturbed."""
    folder = tmp_path / "music"
    folder.mkdir()
    for i in range(FILES):
        (folder / f"{'broken' if i % 10 == 9 else 'song'}-{i:03d}.mp3").write_bytes(b"%d" % i * (i + 1))
    undisturbed, killed = tmp_path / "undisturbed.sqlite3", tmp_path / "killed.sqlite3"
    assert finish(start(folder, undisturbed)) == 0
    chance, counts = random.Random(4), list[int]()
    before: list[object] = []
    for _ in range(KILLS):
        kill_after(start(folder, killed), lines=chance.randrange(7), pause_s=chance.uniform(0, 0.05))
        now = content(killed)
        assert [row for row in before if row not in now] == []
        before = now
        counts.append(len(now))
    # Most have met a scan at work.
    assert len(set(counts)) > KILLS // 3
    assert finish(start(folder, killed)) == 0
    assert content(killed) == content(undisturbed)
    assert len(content(killed)) == FILES


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Ten thousand small files in a hundred folders."""
    for album in range(100):
        folder = tmp_path / "music" / f"album {album:02d}"
        folder.mkdir(parents=True)
        for track in range(100):
            (folder / f"{track:02d}.mp3").write_bytes(b"%d %d" % (album, track))
    return tmp_path / "music"


def test_of_ten_thousand_unchanged_files_none_is_read_again(
    many: Path, catalogue: Catalogue, model: GenreModel
) -> None:
    """One that is new costs that one; a folder that is renamed costs no analysis."""
    analysts = FakeAnalysts()

    def scan() -> ScanSummary:
        return scan_folders([many], catalogue, [model], analysts=analysts, report=lambda _progress: None)

    assert scan().analysed == 10_000
    assert scan() == ScanSummary(0, 0, unchanged=10_000, dropped=0)
    (many / "album 07").rename(many / "renamed")
    (many / "new.mp3").write_bytes(b"something else entirely")
    summary = scan()
    assert (summary.analysed, summary.recognised, summary.dropped) == (1, 100, 0)
    assert analysts.analysed == ["new.mp3"]

"""Ten thousand files, and a scanner that is killed again and again."""

from __future__ import annotations

import os
import random
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

KILLS = int(os.environ.get("TEST_SCAN_KILLS", "12"))

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
    scan_folder(Path(sys.argv[1]), catalogue, [GenreModel(SHIPPED)], analysts=pool, report=lambda progress: None)
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
    """Start a scan whose analysis takes a moment for each file."""
    return subprocess.Popen(
        [sys.executable, "-c", _SCANNER, str(folder), str(catalogue_path)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        stderr=subprocess.DEVNULL,
    )


def test_a_scanner_that_is_killed_again_and_again_gets_there(tmp_path: Path) -> None:
    """At random moments; nothing that was written is lost, and in the end it is as if never disturbed."""
    folder = tmp_path / "music"
    folder.mkdir()
    for i in range(100):
        (folder / f"{'broken' if i % 10 == 9 else 'song'}-{i:03d}.mp3").write_bytes(b"%d" % i * (i + 1))
    undisturbed, killed = tmp_path / "undisturbed.sqlite3", tmp_path / "killed.sqlite3"
    assert start(folder, undisturbed).wait(120) == 0
    chance, before = random.Random(4), list[object]()
    for _ in range(KILLS):
        scan = start(folder, killed)
        time.sleep(chance.uniform(0.05, 2.0))
        scan.kill()
        assert scan.wait(10) in {0, -signal.SIGKILL}
        now = content(killed)
        assert [row for row in before if row not in now] == []
        before = now
    assert start(folder, killed).wait(120) == 0
    assert content(killed) == content(undisturbed)
    assert len(content(killed)) == 100


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

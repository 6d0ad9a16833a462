"""``dnai forget``: what it drops, what it keeps, and what it says when there is nothing to do."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from dnai.library.catalogue import Catalogue
from dnai.library.scan_lock import scan_lock
from tests.unit.cli.conftest import Dnai
from tests.unit.library.conftest import add_song


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory that `dnai` uses."""
    return tmp_path / "data"


@pytest.fixture
def folders(dnai: Dnai, tmp_path: Path) -> tuple[Path, Path]:
    """Two scanned folders, each with two songs, the first also with a file that is none."""
    made = tmp_path / "first", tmp_path / "second"
    for number, folder in enumerate(made):
        folder.mkdir()
        for i in range(2):
            add_song(folder, f"{i}.flac", seed=2 * number + i)
    (made[0] / "broken.mp3").write_bytes(b"no sound")
    assert dnai("scan", *made).code == 0
    return made


def known(data: Path) -> list[str]:
    """The files of the catalogue's tracks, absent ones too."""
    with Catalogue(data / "catalogue.sqlite3") as catalogue:
        files = catalogue.known_files()
    return sorted(f"{path.parent.name}/{path.name}" for path in files)


def test_a_folder_is_forgotten_with_its_failures(dnai: Dnai, folders: tuple[Path, Path], data: Path) -> None:
    """The other folder stays, and so do the files; a scan brings them back."""
    ended = dnai("forget", folders[0])
    assert (ended.code, ended.out) == (0, "forgotten: 2 tracks, 1 files that failed\n")
    assert known(data) == ["second/0.flac", "second/1.flac"]
    assert (folders[0] / "0.flac").is_file()
    assert "2 analysed" in dnai("scan", folders[0]).out
    assert len(known(data)) == 4


def test_only_absent_music_is_forgotten_when_asked(dnai: Dnai, folders: tuple[Path, Path], data: Path) -> None:
    """A disk that will not come back."""
    folders[1].rename(folders[1].with_name("unplugged"))
    assert "2 on a disk that is away" in dnai("scan", *folders).out
    assert len(known(data)) == 4
    assert dnai("forget", "--absent").out == "forgotten: 2 tracks\n"
    assert known(data) == ["first/0.flac", "first/1.flac"]


@pytest.mark.usefixtures("folders")
def test_without_a_folder_nothing_is_forgotten(dnai: Dnai, data: Path) -> None:
    """A slip of the finger must not cost the whole catalogue."""
    ended = dnai("forget")
    assert (ended.code, "name the folders" in ended.err) == (2, True)
    assert len(known(data)) == 4


@pytest.mark.usefixtures("folders")
def test_a_folder_that_is_not_known_is_said(dnai: Dnai, tmp_path: Path, data: Path) -> None:
    """Rather than to forget nothing in silence."""
    ended = dnai("forget", tmp_path / "elsewhere")
    assert (ended.code, "knows nothing of" in ended.err) == (2, True)
    assert len(known(data)) == 4


def test_without_a_catalogue_none_is_made(dnai: Dnai, tmp_path: Path, data: Path) -> None:
    """There is nothing to forget."""
    ended = dnai("forget", tmp_path)
    assert (ended.code, "there is no catalogue" in ended.err, data.exists()) == (2, True, False)


def test_a_scan_that_runs_is_waited_for(folders: tuple[Path, Path], data: Path) -> None:
    """As a second scan would, and it says for whom."""
    command = [sys.executable, "-m", "dnai.cli", "forget", str(folders[0]), "--data-dir", str(data)]
    with ExitStack() as held:
        held.enter_context(scan_lock(data / "catalogue.sqlite3", waiting=lambda _: pytest.fail("somebody has it")))
        forgetting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert forgetting.stderr is not None
            assert f"waiting for the scan of this catalogue that runs already (process {os.getpid()}" in (
                forgetting.stderr.readline()
            )
            assert len(known(data)) == 4
            held.close()
            out, _ = forgetting.communicate(timeout=30)
        finally:
            forgetting.kill()
            forgetting.communicate()
    assert (forgetting.returncode, out) == (0, "forgotten: 2 tracks, 1 files that failed\n")

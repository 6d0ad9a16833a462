"""Changes below the music folders are noticed, at once and once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dnai.config import Settings
from dnai.library.catalogue import Catalogue
from dnai.library.watching import QUIET_S, Watch
from tests.conftest import Eventually
from tests.unit.library.conftest import add_song

BOUND_S = 20.0  # that a change is noticed; how soon is for `QUIET_S` to say, not for a busy machine


def noticed(watch: Watch) -> bool:
    """Whether a change is noticed."""
    return watch.wait(BOUND_S)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a song and a folder below."""
    folder = tmp_path / "disk" / "music"
    (folder / "below").mkdir(parents=True)
    (folder / "a.mp3").write_bytes(b"x")
    return folder


def test_new_changed_moved_and_deleted_files_are_noticed(root: Path) -> None:
    """Each within two seconds, in folders below and in new ones too."""
    with Watch([root]) as watch:
        assert not watch.wait(0.3)
        (root / "new.mp3").write_bytes(b"x")
        assert noticed(watch)
        (root / "a.mp3").write_bytes(b"xy")
        assert noticed(watch)
        (root / "a.mp3").rename(root / "below" / "b.mp3")
        assert noticed(watch)
        (root / "below" / "b.mp3").unlink()
        assert noticed(watch)
        (root / "album").mkdir()
        assert noticed(watch)
        (root / "album" / "c.ogg").write_bytes(b"x")
        assert noticed(watch)
        assert not watch.wait(1.0)


def test_reading_and_other_files_are_no_change(root: Path) -> None:
    """Or a scan would be followed by a scan."""
    with Watch([root]) as watch:
        (root / "a.mp3").read_bytes()
        (root / "cover.jpg").write_bytes(b"x")
        list((root / "below").iterdir())
        assert not watch.wait(1.0)


def test_thousands_of_changes_are_noticed_once(root: Path) -> None:
    """When it is quiet again."""
    with Watch([root]) as watch:
        for i in range(3000):
            (root / f"{i}.mp3").write_bytes(b"x")
        assert noticed(watch)
        assert not watch.wait(1.0)


def test_a_disk_that_goes_and_comes_back_is_followed(root: Path, tmp_path: Path) -> None:
    """Both are noticed, and so is what changes on it afterwards."""
    with Watch([root]) as watch:
        root.parent.rename(tmp_path / "away")
        assert watch.wait(BOUND_S)
        (tmp_path / "away").rename(root.parent)
        assert watch.wait(BOUND_S)
        (root / "new.mp3").write_bytes(b"x")
        assert noticed(watch)


def test_a_wait_ends_when_it_is_time_or_over(root: Path) -> None:
    """So that everything is looked through now and then."""
    over = threading.Event()
    with Watch([root]) as watch:
        assert not watch.wait(0.2)
        over.set()
        assert not watch.wait(600, is_over=over.is_set)
    assert QUIET_S < 2.0


def test_a_watching_scan_follows_its_folder_and_ends_with_its_reader(tmp_path: Path, eventually: Eventually) -> None:
    """New and moved songs come, deleted ones go; when whoever reads the events is killed, so is the watch."""
    folder, settings = tmp_path / "music", Settings(data_dir=tmp_path / "data")
    add_song(folder, "a.wav")
    command = [sys.executable, "-m", "dnai.cli", "scan", str(folder), "--data-dir", str(settings.data_dir)]
    command += ["--models", "librosa26", "--watch", "--json"]
    scan = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        eventually(settings.catalogue_path.is_file, "the catalogue", timeout_s=60)
        with Catalogue(settings.catalogue_path) as catalogue:

            def names() -> list[str]:
                return [one.file.path.name for one in catalogue.tracks()]

            eventually(lambda: names() == ["a.wav"], "the first song", timeout_s=60)
            add_song(folder, "b.wav", seed=1)
            eventually(lambda: names() == ["a.wav", "b.wav"], "the new song", timeout_s=60)
            (folder / "b.wav").rename(folder / "c.wav")
            eventually(lambda: names() == ["a.wav", "c.wav"], "the new name", timeout_s=10)
            (folder / "a.wav").unlink()
            eventually(lambda: names() == ["c.wav"], "the end of a song", timeout_s=10)
        assert scan.stdout is not None
        scan.stdout.close()
        eventually(lambda: scan.poll() is not None, "the end of the watch", timeout_s=10)
    finally:
        scan.kill()
        scan.wait()

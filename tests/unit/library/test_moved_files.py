"""Files that move, are copied, or are on a disk that is unplugged: recognised, and not analysed again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dnai.errors import UsageError
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.collection import read_collection
from dnai.library.content import content_id
from dnai.library.folders import MANY_FILES
from dnai.library.jobs import Job, Outcome, Started
from dnai.library.rows import CataloguedTrack
from dnai.library.scanner import ScanSummary, scan_folders
from tests.unit.library.hostile import fake_track


class FakeAnalysts:
    """Finds a track in every file at once, and counts them."""

    def __init__(self) -> None:
        self.analysed: list[str] = []

    def __enter__(self) -> FakeAnalysts:
        self.analysed.clear()
        return self

    def __exit__(self, *_ended: object) -> None:
        pass

    def analyse(self, jobs: list[Job], *, started: Started) -> list[tuple[Job, Outcome]]:
        """Return a track for each."""
        outcomes = []
        for job in jobs:
            started(job)
            self.analysed.append(job.path.name)
            track = fake_track(job.path, job.stamp, sorted(job.feature_ids))
            file = track.file._replace(content_id=content_id(job.path))
            outcomes.append((job, CataloguedTrack(file, track.hearings)))
        return outcomes


class Scanned:
    """A folder with twelve files, scanned once, and how to scan it again."""

    def __init__(self, root: Path, catalogue: Catalogue, model: GenreModel) -> None:
        self.root, self.catalogue, self.model = root, catalogue, model
        self.analysts = FakeAnalysts()
        for i in range(12):
            self.write(f"{i:02d}.mp3", i)
        assert self.scan().analysed == 12
        self.ids = self.rows()

    def write(self, name: str, number: int) -> Path:
        """Write a file whose content follows from a number."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%03d" % number * 1000)
        return path

    def scan(self, *folders: Path) -> ScanSummary:
        """Scan these folders, or the root."""
        return scan_folders(
            folders or [self.root], self.catalogue, [self.model], analysts=self.analysts, report=lambda _progress: None
        )

    def rows(self) -> dict[str, int]:
        """The id of each file's row."""
        known = self.catalogue.known_files()
        return {os.fspath(path.relative_to(self.root)): known[path].track for path in sorted(known)}

    def offered(self) -> list[str]:
        """Return the names of the tracks in the collection."""
        return [track.path.name for track in read_collection(self.catalogue, [self.model]).tracks]


@pytest.fixture
def scanned(tmp_path: Path, catalogue: Catalogue, model: GenreModel) -> Scanned:
    """A dozen files in the catalogue."""
    return Scanned(tmp_path / "disk" / "music", catalogue, model)


def test_moved_and_renamed_files_keep_their_rows(scanned: Scanned) -> None:
    """A title that was the file's name follows it; nothing is analysed."""
    (scanned.root / "album").mkdir()
    (scanned.root / "00.mp3").rename(scanned.root / "album" / "first.mp3")
    (scanned.root / "01.mp3").rename(scanned.root / "zz.mp3")
    assert scanned.scan() == ScanSummary(0, 0, unchanged=10, dropped=0, recognised=2)
    assert scanned.analysts.analysed == []
    rows = scanned.rows()
    assert (rows["album/first.mp3"], rows["zz.mp3"]) == (scanned.ids["00.mp3"], scanned.ids["01.mp3"])
    assert len(rows) == 12
    assert {one.file.path.stem for one in scanned.catalogue.tracks()} == {
        one.file.title for one in scanned.catalogue.tracks()
    }
    assert scanned.scan() == ScanSummary(0, 0, unchanged=12, dropped=0)


def test_files_that_exchange_their_names_keep_their_rows(scanned: Scanned) -> None:
    """Two that are swapped, and three that move on by one."""
    names = [scanned.root / f"{i:02d}.mp3" for i in range(5)]
    shift = {0: 1, 1: 0, 2: 3, 3: 4}
    for old in shift:
        names[old].rename(scanned.root / f"{old}.aside")
    for old, new in shift.items():
        (scanned.root / f"{old}.aside").rename(names[new])
        os.utime(names[new], ns=(1, 1000 + new))
    scanned.scan()
    rows = scanned.rows()
    for old, new in shift.items():
        assert rows[f"{new:02d}.mp3"] == scanned.ids[f"{old:02d}.mp3"]
    assert len(rows) == 11
    assert scanned.analysts.analysed == []


def test_a_copy_is_not_analysed_and_offered_once(scanned: Scanned) -> None:
    """Both have a row, so that either may go."""
    shutil.copy(scanned.root / "03.mp3", scanned.root / "copy.mp3")
    assert scanned.scan() == ScanSummary(0, 0, unchanged=12, dropped=0, recognised=1)
    assert len(scanned.rows()) == 13
    assert len(scanned.offered()) == 12
    (scanned.root / "03.mp3").unlink()
    assert scanned.scan().dropped == 1
    assert "copy.mp3" in scanned.offered()
    assert len(scanned.offered()) == 12


def test_two_files_of_the_same_content_in_one_scan_are_offered_once(scanned: Scanned) -> None:
    """Also the vectors of the spaces belong to those that are offered."""
    for name in ("aa.mp3", "bb.mp3"):
        scanned.write(name, 77)
    assert scanned.scan().analysed == 2
    collection = read_collection(scanned.catalogue, [scanned.model])
    assert len(collection) == 13
    assert collection.spaces[0].rows.tolist() == list(range(13))


def test_a_file_that_was_changed_in_place_is_analysed(scanned: Scanned) -> None:
    """Of the same size, and with a content that is known elsewhere or nowhere."""
    scanned.write("00.mp3", 99)
    assert scanned.scan() == ScanSummary(analysed=1, failed=0, unchanged=11, dropped=0)
    assert scanned.rows() == scanned.ids


@pytest.mark.parametrize("how", ["root gone", "disk gone", "empty", "other things left"])
def test_music_on_an_unplugged_disk_is_marked_and_comes_back_without_analysis(
    scanned: Scanned, tmp_path: Path, how: str
) -> None:
    """Not offered meanwhile, and never forgotten."""
    away = tmp_path / "away"
    (scanned.root if how != "disk gone" else scanned.root.parent).rename(away)
    if how in {"empty", "other things left"}:
        scanned.root.mkdir()
    if how == "other things left":
        (scanned.root / "lost+found").mkdir()
    assert scanned.scan() == ScanSummary(0, 0, unchanged=0, dropped=0, absent=12)
    assert scanned.scan() == ScanSummary(0, 0, unchanged=0, dropped=0, absent=12)
    assert (scanned.offered(), scanned.catalogue.tracks()) == ([], [])
    if scanned.root.exists():
        shutil.rmtree(scanned.root)
    away.rename(scanned.root if how != "disk gone" else scanned.root.parent)
    assert scanned.scan() == ScanSummary(0, 0, unchanged=12, dropped=0)
    assert len(scanned.offered()) == 12
    assert (scanned.rows(), scanned.analysts.analysed) == (scanned.ids, [])


def test_a_link_to_a_disk_that_is_away_keeps_its_music(scanned: Scanned, tmp_path: Path) -> None:
    """The rest of the folder stands as it is."""
    drive = tmp_path / "drive"
    drive.mkdir()
    (drive / "on the drive.mp3").write_bytes(b"x" * 5000)
    (scanned.root / "usb").symlink_to(drive)
    assert scanned.scan().analysed == 1
    drive.rename(tmp_path / "unplugged")
    assert scanned.scan() == ScanSummary(0, 0, unchanged=12, dropped=0, absent=1)
    (tmp_path / "unplugged").rename(drive)
    assert scanned.scan() == ScanSummary(0, 0, unchanged=13, dropped=0)


def test_what_is_deleted_is_dropped(scanned: Scanned) -> None:
    """Single files, a folder with what is in it, and even all but one."""
    assert MANY_FILES <= 11
    for i in range(11):
        (scanned.root / f"{i:02d}.mp3").unlink()
    assert scanned.scan() == ScanSummary(0, 0, unchanged=1, dropped=11)
    scanned.write("album/a.mp3", 50)
    scanned.scan()
    shutil.rmtree(scanned.root / "album")
    assert scanned.scan().dropped == 1


def test_a_folder_that_was_never_there_is_a_mistake(scanned: Scanned, tmp_path: Path) -> None:
    """Only music that is known can be away."""
    with pytest.raises(UsageError, match="does not exist"):
        scanned.scan(scanned.root, tmp_path / "nowhere")


def test_several_folders_are_one_scan(scanned: Scanned, tmp_path: Path) -> None:
    """A file that moves from one to the other keeps its row; a folder below another counts once."""
    other = tmp_path / "other"
    other.mkdir()
    (scanned.root / "00.mp3").rename(other / "00.mp3")
    (scanned.root / "sub").mkdir()
    summary = scanned.scan(scanned.root, other, scanned.root / "sub", other)
    assert summary == ScanSummary(0, 0, unchanged=11, dropped=0, recognised=1)
    assert len(scanned.catalogue.known_files(under=[scanned.root, other])) == 12
    assert len(scanned.catalogue.known_files(under=[other])) == 1


def test_files_moved_and_copied_from_another_folder_are_recognised(scanned: Scanned, tmp_path: Path) -> None:
    """Also when only the folder is scanned that they have come to."""
    other = tmp_path / "other"
    other.mkdir()
    before = scanned.catalogue.known_files()
    (scanned.root / "00.mp3").rename(other / "moved.mp3")
    (other / "copy.mp3").write_bytes((scanned.root / "01.mp3").read_bytes())
    assert scanned.scan(other) == ScanSummary(0, 0, unchanged=0, dropped=0, recognised=2)
    after = scanned.catalogue.known_files()
    assert after[other / "moved.mp3"].track == before[scanned.root / "00.mp3"].track
    assert after[scanned.root / "01.mp3"].track == before[scanned.root / "01.mp3"].track
    assert (len(after), scanned.root / "00.mp3" in after) == (13, False)
    assert scanned.scan() == ScanSummary(0, 0, unchanged=11, dropped=0)


def test_files_of_an_older_catalogue_are_described_in_passing(scanned: Scanned) -> None:
    """And are recognised from then on."""
    scanned.catalogue._connection.execute("UPDATE tracks SET content_id = NULL")
    assert scanned.scan().unchanged == 12
    (scanned.root / "00.mp3").rename(scanned.root / "new.mp3")
    assert scanned.scan().recognised == 1


@pytest.mark.parametrize("size", [1, 65_536, 262_144, 262_145, 1_000_000])
def test_the_id_of_a_content_notices_its_ends_and_its_size(tmp_path: Path, size: int) -> None:
    """The same under another name; another where the first or last byte, or the length, differs."""
    path, again = tmp_path / "a", tmp_path / "b"
    data = os.urandom(size)
    path.write_bytes(data)
    again.write_bytes(data)
    assert content_id(path) == content_id(again)
    others = [data + b"x", data[:-1] + bytes([data[-1] ^ 1]), bytes([data[0] ^ 1]) + data[1:]]
    for other in others:
        again.write_bytes(other)
        assert content_id(path) != content_id(again)

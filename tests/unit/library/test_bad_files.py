"""Files that are no music: each is recorded with its reason, and costs only itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dnai.audio.blockwise import BlockwiseFeatures
from dnai.genre import extraction
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.folders import find_sound_files
from dnai.library.scanner import ScanProgress, ScanSummary, scan_folder
from dnai.text import clean_text
from dnai.tracks import AUDIO_SUFFIXES
from tests.sounds import FORMATS, music, noise, silence, write_sound
from tests.unit.library.conftest import Scan, add_song


def reasons(catalogue: Catalogue) -> dict[str, str]:
    return {failure.path.name: failure.reason for failure in catalogue.failures()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good song."""
    add_song(tmp_path / "music", "good.wav")
    return tmp_path / "music"


def test_every_bad_file_has_its_reason_and_the_good_one_is_kept(folder: Path, catalogue: Catalogue, scan: Scan) -> None:
    """Broken, empty, silent, one sample, no sound, not finite."""
    (folder / "empty.mp3").touch()
    (folder / "text.mp3").write_text("This is a shopping list.\n" * 500)
    (folder / "random.m4a").write_bytes(np.random.default_rng(0).bytes(9000))
    (folder / "cut.flac").write_bytes(write_sound(folder / "whole.flac", noise()).read_bytes()[:30])
    write_sound(folder / "silent.ogg", silence())
    write_sound(folder / "sample.wav", noise()[:1])
    write_sound(folder / "nan.wav", np.full(9000, np.nan, dtype=np.float32), subtype="FLOAT")
    write_sound(folder / "endless.wav", noise(), sr=1)
    assert scan(folder) == ScanSummary(analysed=2, failed=8, unchanged=0, dropped=0)
    found = reasons(catalogue)
    assert found.pop("empty.mp3") == "empty: 0 bytes"
    assert found.pop("silent.ogg") == "silent from beginning to end"
    assert found.pop("sample.wav") == "too short: 1 samples (0.000 s)"
    assert found.pop("nan.wav") == "damaged: some samples are not finite numbers"
    assert found.pop("endless.wav") == "not readable as sound: 1 samples a second"
    assert set(found) == {"text.mp3", "random.m4a", "cut.flac"}
    assert all(reason.startswith("not readable as sound: ") for reason in found.values())


def test_pipes_sockets_and_links_that_lead_nowhere_are_recorded_and_never_opened(
    folder: Path, catalogue: Catalogue, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening a pipe would wait for ever."""
    os.mkfifo(folder / "pipe.mp3")
    (folder / "loop.mp3").symlink_to(folder / "loop.mp3")
    (folder / "gone.m4a").symlink_to(folder / "nowhere.m4a")
    monkeypatch.chdir(folder)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.wav")
        assert scan(folder) == ScanSummary(analysed=1, failed=4, unchanged=0, dropped=0)
    assert reasons(catalogue) == {
        "pipe.mp3": "not a file, but a pipe, a socket or a device",
        "socket.wav": "not a file, but a pipe, a socket or a device",
        "loop.mp3": "not readable: Too many levels of symbolic links",
        "gone.m4a": "not readable: No such file or directory",
    }


def test_links_to_devices_are_recorded_and_never_opened(folder: Path, catalogue: Catalogue, scan: Scan) -> None:
    """One that gives zeros for ever, and one that gives noise for ever."""
    (folder / "zeros.wav").symlink_to("/dev/zero")
    (folder / "noise.mp3").symlink_to("/dev/urandom")
    assert scan(folder).failed == 2
    assert set(reasons(catalogue).values()) == {"not a file, but a pipe, a socket or a device"}


def test_four_gigabytes_of_zeros_cost_no_more_than_a_moment(folder: Path, catalogue: Catalogue, scan: Scan) -> None:
    """Under the name of each format; FFmpeg would look for the first sound in all of them, and keep them."""
    for suffix in AUDIO_SUFFIXES:
        path = folder / f"zeros{suffix}"
        path.touch()
        os.truncate(path, 4 << 30)
    before = time.process_time()
    assert scan(folder) == ScanSummary(analysed=1, failed=len(AUDIO_SUFFIXES), unchanged=0, dropped=0)
    assert time.process_time() - before < 20
    assert all(reason.startswith("not readable as sound: ") for reason in reasons(catalogue).values())
    assert reasons(catalogue)["zeros.mp3"] == "not readable as sound: there is none in 64 MB of it"


def test_a_file_that_is_written_while_it_is_scanned_is_heard_again(
    folder: Path, catalogue: Catalogue, model: GenreModel
) -> None:
    """What was heard of it stands for the state in which it was found, so that the next scan sees the change."""
    whole = add_song(folder.parent, "whole.wav", seed=1).read_bytes()
    path = folder / "growing.wav"
    path.write_bytes(whole[: len(whole) // 2])

    def write_more(progress: ScanProgress) -> None:
        if progress.current == path.name:
            path.write_bytes(whole)

    assert scan_folder(folder, catalogue, [model], report=write_more).analysed == 2
    assert scan_folder(folder, catalogue, [model], report=lambda _progress: None).analysed == 1
    growing = next(one.file for one in catalogue.tracks() if one.file.path == path)
    assert (growing.duration_s, growing.size_bytes) == (pytest.approx(0.5), len(whole))


def test_a_link_that_leads_somewhere_again_is_tried_again(folder: Path, catalogue: Catalogue, scan: Scan) -> None:
    """As when a drive is plugged in."""
    (folder / "link.wav").symlink_to(folder.parent / "drive.wav")
    assert scan(folder).failed == 1
    add_song(folder.parent, "drive.wav", seed=1)
    assert scan(folder) == ScanSummary(analysed=1, failed=0, unchanged=1, dropped=0)
    assert reasons(catalogue) == {}


def test_folders_that_link_to_each_other_are_walked_once(folder: Path) -> None:
    """A loop of links ends, and no song comes twice."""
    (folder / "sub").mkdir()
    add_song(folder, "sub/below.wav")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "again").symlink_to(folder / "sub")
    assert len(list(find_sound_files(folder))) == 2


def test_only_names_that_end_like_sound_files_are_looked_at(folder: Path) -> None:
    """In capitals too; a folder that is named like a file is a folder."""
    for name in ("cover.jpg", "list.m3u", "noending", ".mp3", "song.mp3.part"):
        (folder / name).write_bytes(b"x")
    (folder / "box.flac").mkdir()
    add_song(folder, "box.flac/inside.WAV")
    assert [path.name for path, _ in find_sound_files(folder)] == ["good.wav", "inside.WAV"]


@pytest.mark.parametrize(
    "name", [b"caf\xe9.wav", b"two\nlines.wav", b"\x1b[2Jclear.wav", "日本.wav".encode(), b"a'b\".wav"]
)
def test_file_names_of_any_bytes_are_kept_exactly_and_shown_harmlessly(
    name: bytes, folder: Path, catalogue: Catalogue, scan: Scan
) -> None:
    """The path leads to the file again; the title has no control characters."""
    (folder / "good.wav").rename(folder / os.fsdecode(name))
    assert scan(folder).analysed == 1
    (one,) = catalogue.tracks()
    assert os.fsencode(one.file.path.name) == name
    assert one.file.path.stat().st_size == one.file.size_bytes
    assert one.file.title == clean_text(one.file.title) != ""
    assert scan(folder).unchanged == 1


def test_html_in_a_tag_stays_text_and_escapes_are_taken_out(folder: Path, catalogue: Catalogue, scan: Scan) -> None:
    """What is shown is decided where it is shown; what rewrites a terminal is not even stored."""
    add_song(folder, "evil.mp3", title="<img src=x onerror=alert(1)>\x1b]0;owned\x07", artist="\u202egnp")
    scan(folder)
    evil = next(one.file for one in catalogue.tracks() if one.file.path.name == "evil.mp3")
    assert evil.title == "<img src=x onerror=alert(1)>]0;owned"
    assert evil.artist == "gnp"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_breaks_off_is_a_track_or_has_a_reason(
    kind: str, folder: Path, catalogue: Catalogue, scan: Scan
) -> None:
    """At a third of its length."""
    sr = 48_000 if kind == "opus" else 22_050
    path = write_sound(folder / f"cut.{kind}", music(duration_s=3, sr=sr), sr=sr)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    summary = scan(folder)
    assert summary.analysed + summary.failed == 2
    cut = [one.file for one in catalogue.tracks() if one.file.path.name == path.name]
    assert (cut and 0.1 <= cut[0].duration_s < 3) or len(reasons(catalogue)[path.name]) > 10


def test_an_error_that_nobody_thought_of_costs_one_file(
    folder: Path, catalogue: Catalogue, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded, and logged with its trace."""
    add_song(folder, "loud.wav", seed=1)

    def fails_once() -> BlockwiseFeatures:
        monkeypatch.setattr(extraction, "BlockwiseFeatures", BlockwiseFeatures)
        raise ZeroDivisionError("unthought of\x1b[2J")

    monkeypatch.setattr(extraction, "BlockwiseFeatures", fails_once)
    assert scan(folder) == ScanSummary(analysed=1, failed=1, unchanged=0, dropped=0)
    assert reasons(catalogue) == {"good.wav": "the analysis failed: ZeroDivisionError: unthought of[2J"}


_AS_NOBODY = """
import os, sys
from pathlib import Path
from dnai.config import PROJECT_DIR
from dnai.genre.model import GenreModel
from dnai.genre.extraction import open_extractor
from dnai.library.analysis import analyse_file, open_ears
from dnai.library.catalogue import Catalogue
from dnai.library.rows import FileStamp
from dnai.library.scanner import scan_folder
folder, model = Path(sys.argv[1]), GenreModel(PROJECT_DIR / "models" / "librosa26")
analyse_file(folder / "good.wav", FileStamp(1, 1), open_ears([model], open_extractor))  # loads what nobody may not read
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
with Catalogue(Path(sys.argv[2])) as catalogue:
    print(scan_folder(folder, catalogue, [model], report=lambda progress: None))
    for failure in catalogue.failures():
        print(failure.path.name, failure.reason, failure.passing)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, and root may read everything")
def test_a_file_that_may_not_be_read_is_recorded_and_tried_again(folder: Path, tmp_path: Path) -> None:
    """Both readers say so; when the rights are given, the next scan has the songs."""
    for name in ("locked.wav", "locked.m4a"):
        add_song(folder, name, seed=1).chmod(0)
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    for parent in (folder, *folder.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o011)

    def scan_as_nobody() -> str:
        command = [sys.executable, "-c", _AS_NOBODY, str(folder), str(data / "catalogue.sqlite3")]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout

    refused = [f"locked.{kind} not readable: Permission denied True" for kind in ("m4a", "wav")]
    assert scan_as_nobody().splitlines()[1:] == refused
    for name in ("locked.wav", "locked.m4a"):
        (folder / name).chmod(0o644)
    assert scan_as_nobody().startswith("ScanSummary(analysed=2, failed=0, unchanged=1, dropped=0, updated=0,")

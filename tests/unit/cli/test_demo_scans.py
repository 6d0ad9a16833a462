"""How far the demo's scans are, in words."""

from __future__ import annotations

from pathlib import Path

from dnai.cli.demo_circle import catalogue_path, make_seat
from dnai.cli.demo_scans import Estimate, ScanState, describe, is_catalogued, parse_state
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.folders import find_sound_files
from dnai.library.scanner import scan_folder
from tests.models import SHIPPED, copy_model
from tests.unit.library.conftest import add_song

FRESH = ScanState("Anna", files=8, done=0, analysed=0, has_news=True)


def test_no_estimate_before_anything_is_done() -> None:
    """While the analysis warms up, it is said so, and no time is made up."""
    assert describe([FRESH], Estimate(), now=10.0) == ("analysing music: 0 of 8 tracks (Anna 0/8), warming up")


def test_estimate_follows_the_pace_since_the_first_file() -> None:
    """What comes before the first file does not count."""
    estimate = Estimate()
    describe([ScanState("Anna", 8, 1, 1, has_news=True)], estimate, now=60.0)
    text = describe([ScanState("Anna", 8, 3, 3, has_news=True)], estimate, now=64.0)
    assert text == "analysing music: 3 of 8 tracks (Anna 3/8), about 00:10 left"


def test_the_end_is_the_end() -> None:
    """When all is done nothing is left."""
    assert (
        describe([ScanState("Anna", 8, 8, 8, has_news=True)], Estimate(), now=60.0)
        == "analysing music: 8 of 8 tracks (Anna 8/8)"
    )


def test_state_is_read_from_what_the_scan_says() -> None:
    """Of ten files two are new, one of which is done: nine of ten."""
    lines = ["scanning: 0 of 2 tracks: preparing", "scanning: 1 of 2 tracks, about 00:02 left: x.mp3"]
    assert parse_state(ScanState("Ben", 10, 0, 0), lines, finished=False) == ScanState("Ben", 10, 9, 1, has_news=True)


def test_scan_that_found_nothing_new_analysed_nothing() -> None:
    """A second scan says nothing of progress: all files are done, none of them was analysed."""
    summary = ["0 analysed, 10 unchanged, 0 failed, 0 dropped: catalogue.sqlite3"]
    assert parse_state(ScanState("Ben", 10, 0, 0), summary, finished=True) == ScanState("Ben", 10, 10, 0)


def test_second_time_nothing_is_said_to_be_analysed() -> None:
    """Where everything is known the words are other ones."""
    assert (
        describe([ScanState("Anna", 8, 8, 0)], Estimate(), now=3.0) == "looking for new music: 8 of 8 tracks are known"
    )


def test_bringing_up_to_date_counts_as_analysis() -> None:
    """A scan first does what is new, and then what a new model has not heard yet."""
    lines = ["scanning: 2 of 2 tracks", "bringing up to date: 3 of 8 tracks, about 00:09 left: x.mp3"]
    assert parse_state(ScanState("Ben", 10, 0, 0), lines, finished=False) == ScanState("Ben", 10, 5, 5, has_news=True)
    assert parse_state(ScanState("Ben", 10, 0, 0), lines[1:], finished=True) == ScanState(
        "Ben", 10, 10, 8, has_news=True
    )


def test_a_collection_is_known_when_every_model_has_heard_it(tmp_path: Path) -> None:
    """Not while a file is new, or a model has still to hear one."""
    folder = tmp_path / "music"
    add_song(folder, "a.wav")
    (folder / "broken.mp3").write_bytes(b"no music")
    seat = make_seat("Ben", folder, members_dir=tmp_path / "members")
    old, new = GenreModel(SHIPPED), GenreModel(copy_model(tmp_path / "twin26", name="twin26"))

    def is_known(*models: GenreModel) -> bool:
        return is_catalogued(seat, folder, dict(find_sound_files(folder)), models)

    assert not is_known(old)
    for models in ([old], [new, old]):
        with Catalogue(catalogue_path(seat)) as catalogue:
            scan_folder(folder, catalogue, models, report=lambda _progress: None)
        assert is_known(*models)
        assert is_known(new, old) is (len(models) == 2)
    add_song(folder, "b.wav")
    assert not is_known(new, old)

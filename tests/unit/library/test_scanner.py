"""A folder becomes a catalogue, and a second scan touches only what has changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dnai.audio.decode import decode
from dnai.audio.features import extract_features
from dnai.errors import CatalogueFullError, ModelError, UsageError
from dnai.genre.model import GenreModel
from dnai.library import analysis
from dnai.library.catalogue import Catalogue
from dnai.library.collection import read_collection
from dnai.library.folders import music_root
from dnai.library.scanner import ScanProgress, ScanSummary, scan_folder
from dnai.tracks import AudioType, Genre, GenreOrigin, Track
from tests.models import copy_model
from tests.unit.library.conftest import Scan, add_song


def titles(catalogue: Catalogue, under: Path | None = None) -> list[str]:
    return [one.file.title for one in catalogue.tracks(under=under)]


def told_origin(model: GenreModel, track: Track) -> GenreOrigin:
    """Where a genre comes from that no tag told."""
    return GenreOrigin.MODEL if track.confidence >= model.sure_from else GenreOrigin.UNSURE


def test_a_scan_keeps_what_is_known_of_each_file(
    music_folder: Path, catalogue: Catalogue, model: GenreModel, scan: Scan
) -> None:
    """Tags, duration, type, size, the 26 features, and both the tag's and the model's genre."""
    assert scan(music_folder) == ScanSummary(analysed=3, failed=0, unchanged=0, dropped=0)
    album, plain, tagged = read_collection(catalogue, [model]).tracks
    assert (album.title, album.album, album.year) == ("First", "The Album", 1999)
    assert album.audio_type is AudioType.MP3
    assert (plain.title, plain.artist, plain.genre_origin) == ("plain", "", told_origin(model, plain))
    assert (tagged.title, tagged.artist) == ("So What", "Miles Davis")
    assert tagged.path == music_folder / "tagged.flac"
    assert tagged.size_bytes == tagged.path.stat().st_size
    assert tagged.duration_s == pytest.approx(0.5)
    (hearing,) = catalogue.tracks()[2].hearings
    expected = extract_features(decode(tagged.path).y)
    np.testing.assert_allclose(hearing.features, expected, rtol=1e-4, atol=1e-4)
    assert (hearing.feature_id, hearing.space_id) == (model.feature_id, model.space_id)
    (answer,) = model.classify(hearing.features[None])
    assert (tagged.model_genre, tagged.confidence) == (answer.genre, pytest.approx(answer.confidence))
    assert tagged.told_by == "librosa26"
    assert (tagged.genre, tagged.genre_origin) == (Genre.JAZZ, GenreOrigin.TAG)
    assert plain.genre is plain.model_genre


def test_a_second_scan_reads_no_file_again(
    music_folder: Path, catalogue: Catalogue, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is unchanged, the broken file too; nothing is decoded and nothing written."""
    (music_folder / "broken.mp3").write_bytes(b"not music")
    assert scan(music_folder).failed == 1
    monkeypatch.setattr(analysis, "SoundSource", None)
    with Catalogue(catalogue._path) as watching:
        before = watching.version()
        assert scan(music_folder) == ScanSummary(analysed=0, failed=0, unchanged=4, dropped=0)
        assert watching.version() == before


def test_only_what_is_new_or_changed_is_analysed_and_what_is_gone_is_dropped(
    music_folder: Path, catalogue: Catalogue, scan: Scan
) -> None:
    """One of each; the rows of the others stay as they were."""
    (music_folder / "broken.mp3").write_bytes(b"not music")
    scan(music_folder)
    add_song(music_folder, "new.wav")
    add_song(music_folder, "plain.wav", seed=9)
    (music_folder / "broken.mp3").unlink()
    shutil.rmtree(music_folder / "album")
    assert scan(music_folder) == ScanSummary(analysed=2, failed=0, unchanged=1, dropped=2)
    assert titles(catalogue) == ["new", "plain", "So What"]
    assert catalogue.failures() == []


def test_a_file_of_another_time_is_another_file(music_folder: Path, scan: Scan) -> None:
    """Although its size is the same."""
    scan(music_folder)
    os.utime(music_folder / "plain.wav", ns=(1, 1))
    assert scan(music_folder).analysed == 1


def test_a_broken_file_that_was_mended_becomes_a_track_and_the_other_way_round(
    music_folder: Path, catalogue: Catalogue, scan: Scan
) -> None:
    """It stands in one of the two tables, never in both."""
    scan(music_folder)
    whole = (music_folder / "plain.wav").read_bytes()
    (music_folder / "plain.wav").write_bytes(whole[:20])
    assert scan(music_folder) == ScanSummary(analysed=0, failed=1, unchanged=2, dropped=0)
    assert "plain" not in titles(catalogue)
    (music_folder / "plain.wav").write_bytes(whole)
    scan(music_folder)
    assert "plain" in titles(catalogue)
    assert catalogue.failures() == []


def test_files_of_an_older_catalogue_are_described_anew_without_being_heard(
    music_folder: Path, catalogue: Catalogue, scan: Scan
) -> None:
    """Its version read fewer tags and did not tell ALAC from AAC."""
    add_song(music_folder, "lossless.alac.m4a", title="So What", albumartist="The Sextet", tracknumber="1/5")
    scan(music_folder)
    before = [one.file for one in catalogue.tracks()]
    catalogue._connection.execute(
        "UPDATE tracks SET content_id = NULL, album_artist = '', track_number = NULL, audio_type = 'm4a', title = ''"
    )
    assert scan(music_folder) == ScanSummary(analysed=0, failed=0, unchanged=4, dropped=0)
    assert [one.file for one in catalogue.tracks()] == before
    lossless = next(file for file in before if file.path.name == "lossless.alac.m4a")
    assert (lossless.album_artist, lossless.track_number, lossless.audio_type) == ("The Sextet", 1, AudioType.ALAC)


def test_two_folders_stand_side_by_side(tmp_path: Path, catalogue: Catalogue, scan: Scan) -> None:
    """Scanning one leaves the other alone, also where one name begins with the other."""
    for name in ("music", "music2", "music/sub", "musi"):
        add_song(tmp_path / name, f"{Path(name).name} song.wav")
    for name in ("music", "music2", "musi"):
        scan(tmp_path / name)
    assert titles(catalogue, tmp_path / "music") == ["music song", "sub song"]
    assert titles(catalogue, tmp_path / "music" / "sub") == ["sub song"]
    assert titles(catalogue, tmp_path / "music2") == ["music2 song"]
    shutil.rmtree(tmp_path / "music" / "sub")
    (tmp_path / "music" / "music song.wav").unlink()
    assert scan(tmp_path / "music").dropped == 2
    assert titles(catalogue) == ["musi song", "music2 song"]


def test_a_folder_is_the_same_however_it_is_written(
    music_folder: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative, with dots, with a slash at the end."""
    scan(music_folder)
    monkeypatch.chdir(music_folder / "album")
    for name in ("..", "../", "./../album/..", f"{music_folder}/album/../"):
        assert scan(Path(name)) == ScanSummary(analysed=0, failed=0, unchanged=3, dropped=0)
        assert music_root(Path(name)) == music_folder


def test_another_classifier_tells_the_genres_anew_without_reading_a_file(
    music_folder: Path, catalogue: Catalogue, model: GenreModel, scan: Scan, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """From the features that are kept; a tag keeps the last word."""
    scan(music_folder)
    before = {one.file.title: one.hearings[0] for one in catalogue.tracks()}
    reversed_model = GenreModel(copy_model(tmp_path / "other", labels=model.labels[::-1]))
    monkeypatch.setattr(analysis, "SoundSource", None)
    summary = scan_folder(music_folder, catalogue, [reversed_model], report=lambda _progress: None)
    assert summary == ScanSummary(analysed=0, failed=0, unchanged=3, dropped=0)
    for one in catalogue.tracks():
        old, (new,) = before[one.file.title], one.hearings
        assert new.model_id == reversed_model.model_id != old.model_id
        assert old.answer is not None
        assert new.answer is not None
        assert new.answer.genre is reversed_model.labels[model.labels.index(old.answer.genre)]
        np.testing.assert_array_equal(new.features, old.features)
    for track in read_collection(catalogue, [reversed_model]).tracks:
        assert track.genre is (Genre.JAZZ if track.title == "So What" else track.model_genre)


def test_a_model_that_knows_other_features_is_refused(music_folder: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    """Before anything is written: its vectors would mean something else."""
    stranger = GenreModel(copy_model(tmp_path / "other", definition="something else"))
    with pytest.raises(ModelError, match=r"'something else'.*choose another model"):
        scan_folder(music_folder, catalogue, [stranger], report=lambda _progress: None)
    assert catalogue.tracks() == []


def test_progress_names_each_file_and_ends_at_the_total(
    music_folder: Path, catalogue: Catalogue, model: GenreModel
) -> None:
    """In the order of the walk: files of a folder by name, then the folders below."""
    seen: list[ScanProgress] = []
    scan_folder(music_folder, catalogue, [model], report=seen.append)
    assert [(p.done, p.total, p.current) for p in seen] == [
        (0, 3, "plain.wav"),
        (1, 3, "tagged.flac"),
        (2, 3, "01.mp3"),
        (3, 3, ""),
    ]


def test_an_empty_folder_is_no_mistake(tmp_path: Path, scan: Scan) -> None:
    """There may be music in it tomorrow."""
    assert scan(tmp_path) == ScanSummary(0, 0, 0, 0)


@pytest.mark.parametrize("name", ["nowhere", "file", "~nobody-of-that-name/x"])
def test_a_folder_that_is_none_is_named(tmp_path: Path, scan: Scan, name: str) -> None:
    """Missing, a file, the home of nobody."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="the music folder"):
        scan(Path(name) if name.startswith("~") else tmp_path / name)


def test_what_was_scanned_stays_when_the_disk_is_full(tmp_path: Path, model: GenreModel, music_folder: Path) -> None:
    """SQLite's own limit stands for the disk: the scan ends with an error, and goes on when there is room."""
    for i in range(30):
        add_song(music_folder, f"more {i:02d}.wav", seed=i + 10)
    path = tmp_path / "catalogue.sqlite3"
    with Catalogue(path) as catalogue:
        pages = catalogue._connection.execute("PRAGMA page_count").fetchone()[0]
        catalogue._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(CatalogueFullError, match=r"no room on the disk.*scan again"):
            scan_folder(music_folder, catalogue, [model], report=lambda _progress: None)
        kept = titles(catalogue)
    assert 1 <= len(kept) < 33
    with Catalogue(path) as catalogue:
        assert titles(catalogue) == kept
        summary = scan_folder(music_folder, catalogue, [model], report=lambda _progress: None)
        assert summary == ScanSummary(analysed=33 - len(kept), failed=0, unchanged=len(kept), dropped=0)
        assert len(titles(catalogue)) == 33

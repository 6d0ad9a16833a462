"""The catalogue's file: what it refuses, what it survives, and what others see of it."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.errors import CatalogueError
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue, CataloguedTrack, Failure, FileStamp
from dnai.library.collection import Collection, LiveCollection
from dnai.tracks import Genre, GenreOrigin, Track
from tests.unit.recommend.conftest import made_track


def catalogued(path: str, *, genre: Genre = Genre.JAZZ, seed: int = 0, **changes: object) -> CataloguedTrack:
    track = replace(made_track("T", genre), path=Path(path), **changes)
    return CataloguedTrack(track, np.random.default_rng(seed).normal(size=26), "model-a")


def test_a_track_comes_back_as_it_was_put_in(catalogue: Catalogue) -> None:
    """Every field, the features to the last bit, with and without a year, from tag and from model."""
    first = catalogued("/m/a.mp3", year=1959, title="日本 <b>", confidence=0.123456789)
    second = catalogued("/m/b.mp3", genre_origin=GenreOrigin.MODEL, model_genre=Genre.POP, genre=Genre.POP, seed=1)
    for one in (second, first):
        catalogue.put_track(one)
    for put, got in zip((first, second), catalogue.tracks(), strict=True):
        assert got.track == put.track
        assert got.model_id == "model-a"
        np.testing.assert_array_equal(got.features, put.features)


def test_tracks_are_found_by_genre_and_folder(catalogue: Catalogue) -> None:
    """Each alone and both together; the genre is the shown one, not the model's."""
    catalogue.put_track(catalogued("/a/1.mp3", genre=Genre.JAZZ, model_genre=Genre.POP))
    catalogue.put_track(catalogued("/a/2.mp3", genre=Genre.POP))
    catalogue.put_track(catalogued("/b/3.mp3", genre=Genre.JAZZ))

    def names(**conditions: object) -> list[str]:
        return [one.track.path.name for one in catalogue.tracks(**conditions)]

    assert names(genre=Genre.JAZZ) == ["1.mp3", "3.mp3"]
    assert names(under=Path("/a")) == ["1.mp3", "2.mp3"]
    assert names(under=Path("/a"), genre=Genre.JAZZ) == ["1.mp3"]
    assert names(under=Path("/")) == ["1.mp3", "2.mp3", "3.mp3"]


names = st.text(st.characters(blacklist_characters="/\0", codec="utf-8"), min_size=1, max_size=5).filter(
    lambda name: name not in {".", ".."}
)


@given(st.lists(names, min_size=1, max_size=3), st.lists(names, min_size=1, max_size=3))
def test_below_a_folder_is_below_that_folder_and_no_other(folder: list[str], other: list[str]) -> None:
    """Whatever the names: a file is found below its own folder, and below another only if that is above it."""
    ours, theirs = Path("/", *folder), Path("/", *other)
    path = ours / "song.mp3"
    with Catalogue(Path(":memory:")) as catalogue:
        catalogue.put_failure(Failure(path, FileStamp(1, 1), "r", passing=False))
        assert [one.path for one in catalogue.failures(under=ours)] == [path]
        assert bool(catalogue.failures(under=theirs)) == path.is_relative_to(theirs)


def test_a_newer_catalogue_is_refused_by_its_version_and_left_as_it_is(tmp_path: Path) -> None:
    """An older program must not spoil it."""
    path = tmp_path / "catalogue.sqlite3"
    Catalogue(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(CatalogueError, match=r"catalogue\.sqlite3 is of version 7; this program knows version 1"):
        Catalogue(path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (7,)
    connection.close()


@pytest.mark.parametrize(
    "content", [b"This is a letter to my aunt, and no database." * 100, b"SQLite format 3\0" + bytes(9000)]
)
def test_a_file_that_is_no_catalogue_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """Text, and something that only begins like a database."""
    path = tmp_path / "catalogue.sqlite3"
    path.write_bytes(content)
    with pytest.raises(CatalogueError, match=r"catalogue\.sqlite3"):
        Catalogue(path)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_is_named(tmp_path: Path) -> None:
    """A folder where the file should be, and a file where the folder should be."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "catalogue.sqlite3"):
        with pytest.raises(CatalogueError, match="cannot be opened"):
            Catalogue(path)


def test_a_catalogue_without_its_directory_makes_it_for_its_owner_alone(tmp_path: Path) -> None:
    """What somebody owns is nobody else's business."""
    with Catalogue(tmp_path / "new" / "catalogue.sqlite3"):
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_row_that_cannot_be_written_leaves_the_old_one(catalogue: Catalogue) -> None:
    """The transaction is undone as a whole."""
    catalogue.put_failure(Failure(Path("/m/a.mp3"), FileStamp(1, 1), "old", passing=False))
    with pytest.raises(CatalogueError, match="NOT NULL"):
        catalogue.put_track(catalogued("/m/a.mp3", title=None))
    assert [failure.reason for failure in catalogue.failures()] == ["old"]
    catalogue.put_track(catalogued("/m/a.mp3"))
    assert catalogue.failures() == []


def test_a_reader_sees_what_another_process_has_written_and_only_then_a_new_version(tmp_path: Path) -> None:
    """The version tells whether to read again."""
    path = tmp_path / "catalogue.sqlite3"
    with Catalogue(path) as writer, Catalogue(path) as reader:
        before = reader.version()
        assert reader.version() == before
        writer.put_track(catalogued("/m/a.mp3"))
        assert reader.version() != before
        assert len(reader.tracks()) == 1


def test_two_writers_wait_for_each_other(tmp_path: Path) -> None:
    """Two scans of two folders at once lose no row."""
    path = tmp_path / "catalogue.sqlite3"

    def write(folder: str) -> None:
        with Catalogue(path) as catalogue:
            for i in range(100):
                catalogue.put_track(catalogued(f"/{folder}/{i}.mp3"))

    threads = [threading.Thread(target=write, args=(folder,)) for folder in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with Catalogue(path) as catalogue:
        assert len(catalogue.tracks()) == 300


def test_a_collection_has_a_standardised_vector_for_each_track(catalogue: Catalogue, model: GenreModel) -> None:
    """In the order of the tracks; a stranger has none."""
    ours = [catalogued("/m/a.mp3", seed=1), catalogued("/m/b.mp3", seed=2)]
    collection = Collection(ours, model)
    assert len(collection) == 2
    np.testing.assert_array_equal(collection.vectors, model.standardise(np.array([one.features for one in ours])))
    np.testing.assert_array_equal(collection.vector(ours[1].track), collection.vectors[1])
    with pytest.raises(KeyError):
        collection.vector(made_track("stranger"))
    assert Collection((), model).vectors.shape == (0, 26)


def test_a_live_collection_is_renewed_when_the_catalogue_changes_and_only_then(
    tmp_path: Path, model: GenreModel
) -> None:
    """Empty before there is a catalogue; the same object while nothing changes; only its own folder."""
    path = tmp_path / "data" / "catalogue.sqlite3"
    live = LiveCollection(path, model, under=Path("/m"))
    assert len(live.current()) == 0
    assert not path.exists()
    with Catalogue(path) as catalogue:
        catalogue.put_track(catalogued("/m/a.mp3"))
        catalogue.put_track(catalogued("/m2/b.mp3"))
        first = live.current()
        assert [track.path for track in first.tracks] == [Path("/m/a.mp3")]
        assert live.current() is first
        catalogue.forget([Path("/m/a.mp3")])
        assert len(live.current()) == 0
        assert len(first) == 1
    live.close()
    live.close()


def test_a_live_collection_serves_several_threads(tmp_path: Path, model: GenreModel) -> None:
    """While another connection writes."""
    path = tmp_path / "catalogue.sqlite3"
    with Catalogue(path) as catalogue:
        live = LiveCollection(path, model)
        seen: list[tuple[Track, ...]] = []
        threads = [
            threading.Thread(target=lambda: [seen.append(live.current().tracks) for _ in range(50)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for i in range(20):
            catalogue.put_track(catalogued(f"/m/{i:02d}.mp3"))
        for thread in threads:
            thread.join(60)
        assert len(seen) == 200
        assert len(live.current()) == 20
        live.close()

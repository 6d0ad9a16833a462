"""The catalogue's file: what it refuses, what it survives, and what others see of it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.errors import CatalogueError
from dnai.genre.model import GenreAnswer, GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.collection import LiveCollection
from dnai.library.columns import GENRES
from dnai.library.rows import Failure, FileStamp, Hearing
from dnai.tracks import Genre, Track
from tests.unit.library.conftest import catalogued, heard


def test_a_track_comes_back_as_it_was_put_in(catalogue: Catalogue) -> None:
    """Every field and every hearing, the features to the last bit, with and without year, tag and answer."""
    deaf = Hearing("other", "space-b", "model-b", np.empty(0), None, reason="too short")
    first = catalogued("/m/a.mp3", heard(seed=1), heard("other", seed=2), year=1959, title="日本 <b>")
    second = catalogued("/m/b.mp3", heard(answer=GenreAnswer(Genre.POP, 0.123456789, is_sure=False)), deaf, tag=None)
    for one in (second, first):
        catalogue.put_track(one)
    for put, got in zip((first, second), catalogue.tracks(), strict=True):
        assert got.file == put.file
        for hearing, kept in zip(put.hearings, got.hearings, strict=True):
            assert (kept.feature_id, kept.space_id, kept.model_id) == (
                hearing.feature_id,
                hearing.space_id,
                hearing.model_id,
            )
            assert (kept.answer, kept.reason) == (hearing.answer, hearing.reason)
            np.testing.assert_array_equal(kept.features, hearing.features)


def test_a_snapshot_has_what_each_model_heard_of_which_files(catalogue: Catalogue) -> None:
    """In the order of the paths, not of writing; what was not heard, or could not be, is no row."""
    deaf = Hearing("other", "space-b", "model-b", np.empty(0), None, reason="too short")
    late, early = heard("other", seed=2), heard("other", seed=3)
    catalogue.put_track(catalogued("/m/c.mp3", heard(), late))
    catalogue.put_track(catalogued("/m/a.mp3", heard(), early))
    catalogue.put_track(catalogued("/m/b.mp3", heard(), deaf))
    catalogue.put_track(catalogued("/n/d.mp3", heard()))
    with catalogue.moment(under=Path("/m")) as moment:
        files = moment.files()
        blocks = dict(moment.heard({"features": 26, "other": 26, "unheard of": 26}))
    assert files.paths.tolist() == [b"/m/a.mp3", b"/m/b.mp3", b"/m/c.mp3"]
    row = {one: i for i, one in enumerate(files.ids.tolist())}
    assert blocks.keys() == {"features", "other"}
    assert sorted(row.get(one, 3) for one in blocks["features"].ids.tolist()) == [0, 1, 2, 3]
    block = blocks["other"]
    assert [row[one] for one in block.ids.tolist()] == [2, 0]
    np.testing.assert_array_equal(block.features, [late.features, early.features])
    told = zip(block.codes, block.confidences, block.are_sure, strict=True)
    answers = [GenreAnswer(GENRES[code], float(confidence), bool(sure)) for code, confidence, sure in told]
    assert answers == [late.answer, early.answer]


def test_tracks_are_found_by_folder(catalogue: Catalogue) -> None:
    """Those below it, and no others."""
    for path in ("/a/1.mp3", "/a/2.mp3", "/b/3.mp3"):
        catalogue.put_track(catalogued(path))

    def names(under: Path | None = None) -> list[str]:
        return [one.file.path.name for one in catalogue.tracks(under=under)]

    assert names(Path("/a")) == ["1.mp3", "2.mp3"]
    assert names(Path("/")) == names() == ["1.mp3", "2.mp3", "3.mp3"]
    assert {path.name for path in catalogue.known_files(under=Path("/a"))} == {"1.mp3", "2.mp3"}


def test_a_hearing_is_added_to_a_track_of_the_same_file_only(catalogue: Catalogue) -> None:
    """A file that has changed meanwhile, or is gone, keeps what is known of it now."""
    path, stamp = Path("/m/a.mp3"), FileStamp(1000, 0)
    catalogue.put_track(catalogued(str(path), heard()))
    catalogue.put_hearings(path, FileStamp(1000, 1), [heard("other")])
    catalogue.put_hearings(Path("/m/gone.mp3"), stamp, [heard("other")])
    assert catalogue.known_files()[path].feature_ids == {"features"}
    catalogue.put_hearings(path, stamp, [heard("other")])
    assert catalogue.known_files()[path].feature_ids == {"features", "other"}


def test_nothing_is_left_of_a_track_that_is_forgotten(catalogue: Catalogue) -> None:
    """Nor of one that has become a failure, or was written anew: no hearing without its track."""
    for name in "abc":
        catalogue.put_track(catalogued(f"/m/{name}.mp3", heard(), heard("other")))
    catalogue.forget([Path("/m/a.mp3")])
    catalogue.put_failure(Failure(Path("/m/b.mp3"), FileStamp(1, 1), "r", passing=False))
    catalogue.put_track(catalogued("/m/c.mp3", heard("third")))
    assert catalogue._connection.execute("SELECT feature_id FROM hearings").fetchall() == [("third",)]


def test_features_of_different_lengths_are_damage_that_is_named(catalogue: Catalogue) -> None:
    """The same features always have the same number of numbers."""
    catalogue.put_track(catalogued("/m/a.mp3", heard()))
    short = heard()
    catalogue.put_track(catalogued("/m/b.mp3", Hearing("features", "s", "m", short.features[:-1], short.answer)))
    with (
        catalogue.moment() as moment,
        pytest.raises(CatalogueError, match=r"is damaged: features features of different lengths"),
    ):
        list(moment.heard({"features": 26}))


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
    with pytest.raises(CatalogueError, match=r"catalogue\.sqlite3 is of version 7; this program knows version 4"):
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
        catalogue.put_track(catalogued("/m/a.mp3", heard(), title=None))
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


def test_several_programs_may_make_the_same_catalogue_at_once(tmp_path: Path) -> None:
    """Worker, scan and page on a fresh data directory: each finds it made, none finds it locked."""
    for attempt in range(10):
        path, errors = tmp_path / str(attempt) / "catalogue.sqlite3", []

        def make(path: Path = path, errors: list[Exception] = errors) -> None:
            try:
                Catalogue(path).close()
            except CatalogueError as error:
                errors.append(error)

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []


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


def test_a_live_collection_is_renewed_when_the_catalogue_changes_and_only_then(
    tmp_path: Path, model: GenreModel
) -> None:
    """Empty before there is a catalogue; the same object while nothing changes; only its own folder."""
    path = tmp_path / "data" / "catalogue.sqlite3"
    live = LiveCollection(path, [model], under=Path("/m"))
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
        live = LiveCollection(path, [model])
        seen: list[Sequence[Track]] = []
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

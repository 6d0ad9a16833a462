"""A catalogue of version 1, from before there were several feature spaces, becomes one of this version by itself."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dnai.errors import CatalogueError
from dnai.genre.model import GenreModel
from dnai.library import analysis, schema
from dnai.library.catalogue import Catalogue
from dnai.library.collection import LiveCollection, read_collection
from dnai.library.scanner import ScanSummary, scan_folder
from dnai.tracks import Genre, GenreOrigin
from tests.unit.library.conftest import add_song, catalogued, heard

VERSION_1 = """
CREATE TABLE tracks (
    path BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, title TEXT NOT NULL,
    artist TEXT NOT NULL, album TEXT NOT NULL, year INTEGER, tag_genre TEXT, model_genre TEXT NOT NULL,
    confidence REAL NOT NULL, model_id TEXT NOT NULL, duration_s REAL NOT NULL, audio_type TEXT NOT NULL,
    features BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE failures (
    path BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, reason TEXT NOT NULL,
    passing INTEGER NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
ODD_NAME = b"/m/caf\xe9.mp3"


def numbers(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 10, size=26)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A catalogue of version 1 with two tracks and a failure, in the journal mode that it had."""
    path = tmp_path / "data" / "catalogue.sqlite3"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(VERSION_1)
        rows = [
            (b"/m/a.mp3", 10, 20, "So What", "Miles", "Kind", 1959, "jazz", "pop", 0.4, "m", 9.5, "mp3", numbers(1)),
            (ODD_NAME, 11, 21, "caf", "", "", None, None, "rock", 0.7, "m", 1.5, "mp3", numbers(2)),
        ]
        for row in rows:
            connection.execute(
                "INSERT INTO tracks VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", (*row[:-1], row[-1].tobytes())
            )
        connection.execute("INSERT INTO failures VALUES (?,?,?,?,?)", (b"/m/broken.mp3", 1, 2, "not readable", 0))
        connection.commit()
    return path


def user_version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_everything_is_kept(old: Path, model: GenreModel) -> None:
    """Tags, stamps, answers, failures, and the 26 numbers to the last bit, as raw features of librosa26."""
    with Catalogue(old) as catalogue:
        first, second = read_collection(catalogue, [model]).tracks
        kept = catalogue.tracks()
        (failure,) = catalogue.failures()
    assert (first.title, first.artist, first.album, first.year) == ("So What", "Miles", "Kind", 1959)
    assert (first.size_bytes, first.mtime_ns, first.duration_s) == (10, 20, 9.5)
    assert (first.genre, first.genre_origin, first.model_genre, first.confidence) == (
        Genre.JAZZ,
        GenreOrigin.TAG,
        Genre.POP,
        0.4,
    )
    assert (second.genre, second.genre_origin, second.confidence) == (Genre.ROCK, GenreOrigin.MODEL, 0.7)
    assert os.fsencode(second.path) == ODD_NAME
    assert (failure.path, failure.reason) == (Path("/m/broken.mp3"), "not readable")
    for one, seed in zip(kept, (1, 2), strict=True):
        (hearing,) = one.hearings
        assert hearing.feature_id == model.feature_id
        np.testing.assert_array_equal(hearing.features, numbers(seed))


def test_version_2_moves_up_too(tmp_path: Path) -> None:
    """What it did not know is added, and nothing is lost; the copy is gone when it has worked."""
    path = tmp_path / "catalogue.sqlite3"
    with Catalogue(path) as catalogue:
        catalogue.put_track(catalogued("/m/a.mp3", heard(seed=1), heard("other", seed=2)))
        before = catalogue.tracks()
    forget_the_log(path)
    with closing(sqlite3.connect(path)) as connection:
        for column in ("album_artist", "track_number", "content_id", "absent"):
            connection.execute(f"ALTER TABLE tracks DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 2")
    with Catalogue(path) as catalogue:
        (old,), (new,) = before, catalogue.tracks()
        (known,) = catalogue.known_files().values()
    assert (new.file, len(new.hearings)) == (old.file, 2)
    np.testing.assert_array_equal(new.hearings[1].features, old.hearings[1].features)
    assert (known.content_id, known.is_absent) == (None, False)
    assert user_version(path) == schema.SCHEMA_VERSION
    assert not schema.copy_path(path).exists()


def test_version_3_moves_up_too(tmp_path: Path, model: GenreModel) -> None:
    """Nothing is lost, and from then on the catalogue says what has changed."""
    path = tmp_path / "catalogue.sqlite3"
    with Catalogue(path) as catalogue:
        catalogue.put_track(catalogued("/m/a.mp3", heard(model=model)))
        before = catalogue.tracks()
    forget_the_log(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")
    live = LiveCollection(path, [model])
    first = live.current()
    assert user_version(path) == schema.SCHEMA_VERSION
    assert not schema.copy_path(path).exists()
    with Catalogue(path) as catalogue:
        (old,), (new,) = before, catalogue.tracks()
        assert new.file == old.file
        np.testing.assert_array_equal(new.hearings[0].features, old.hearings[0].features)
        catalogue.put_track(catalogued("/m/b.mp3", heard(model=model)))
        with catalogue.moment(since=0) as moment:
            assert moment.changed is not None
            assert len(moment.changed) == 1
    assert [len(first), len(live.current())] == [1, 2]
    live.close()


def forget_the_log(path: Path) -> None:
    """Take the change log out of a catalogue, which versions before 4 had not."""
    with closing(sqlite3.connect(path)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        assert len(triggers) == 7
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DROP TABLE changes")
        connection.commit()


def test_the_copy_is_gone_when_it_has_worked_and_the_file_is_of_this_version(old: Path) -> None:
    """And what an earlier attempt may have left is gone, too."""
    schema.copy_path(old).write_bytes(b"half a copy")
    Catalogue(old).close()
    assert user_version(old) == schema.SCHEMA_VERSION == 4
    assert [path.name for path in old.parent.iterdir()] == ["catalogue.sqlite3"]
    Catalogue(old).close()


def test_a_change_that_fails_leaves_the_old_file_as_it_was_and_a_copy_beside_it(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one transaction; an old program can still read both."""
    monkeypatch.setattr(schema, "_FROM_VERSION_1", f"{schema._FROM_VERSION_1};DROP TABLE nowhere")
    with pytest.raises(CatalogueError, match="no such table: nowhere"):
        Catalogue(old)
    for path in (old, schema.copy_path(old)):
        assert user_version(path) == 1
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*), sum(length(features)) FROM tracks").fetchone() == (2, 416)
    monkeypatch.undo()
    with Catalogue(old) as catalogue:
        assert len(catalogue.tracks()) == 2
    assert not schema.copy_path(old).exists()


def test_a_program_killed_in_the_middle_costs_nothing(old: Path) -> None:
    """Killed with the transaction open: the next one starts from the old file."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from dnai.library import schema\n"
        "from dnai.library.catalogue import Catalogue\n"
        "run = schema._run\n"
        "def run_and_die(*arguments):\n"
        "    run(*arguments)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "schema._run = run_and_die\n"
        "Catalogue(Path(sys.argv[1]))\n"
    )
    died = subprocess.run([sys.executable, "-c", program, str(old)], timeout=120, check=False)
    assert died.returncode == -9
    assert user_version(schema.copy_path(old)) == 1
    with Catalogue(old) as catalogue:
        assert len(catalogue.tracks()) == 2
    assert not schema.copy_path(old).exists()


def test_several_programs_that_open_it_at_once_change_it_once(old: Path) -> None:
    """Worker, page and scan start together after an update."""
    seen: list[int] = []

    def look() -> None:
        with Catalogue(old) as catalogue:
            seen.append(len(catalogue.tracks()))

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [2] * 6
    assert not schema.copy_path(old).exists()


def test_a_scan_after_it_decodes_nothing_and_lets_the_present_classifier_answer(
    tmp_path: Path, model: GenreModel, scan_version_1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The features of version 1 are those of librosa26 still."""
    monkeypatch.setattr(analysis, "SoundSource", None)
    with Catalogue(scan_version_1) as catalogue:
        summary = scan_folder(
            tmp_path / "music", catalogue, [model], report=lambda _progress: None, open_extractor=None
        )
        assert summary == ScanSummary(analysed=0, failed=0, unchanged=1, dropped=0)
        ((hearing,),) = (one.hearings for one in catalogue.tracks(under=tmp_path / "music"))
    assert (hearing.space_id, hearing.model_id) == (model.space_id, model.model_id)
    assert hearing.answer == model.classify(numbers(3)[np.newaxis])[0]


@pytest.fixture
def scan_version_1(tmp_path: Path, old: Path) -> Path:
    """The old catalogue with one more track, of a file that there is."""
    song = add_song(tmp_path / "music", "a.wav")
    status = song.stat()
    row = (os.fsencode(song), status.st_size, status.st_mtime_ns, "a", "", "", None, None, "pop", 0.4, "m", 0.5, "wav")
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("INSERT INTO tracks VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", (*row, numbers(3).tobytes()))
        connection.commit()
    return old

"""The catalogue of a user's music: one SQLite file.

Each file of a scanned folder is one row, either of `tracks` or of `failures`; what a model heard in a
track is a row of `hearings`. What belongs to one file is written in a transaction of its own, so that
whatever ends a scan costs the file in hand and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from dnai.errors import CatalogueError, CatalogueFullError
from dnai.genre.model import GenreAnswer, GenreModel
from dnai.library import schema
from dnai.library.moment import FEATURE_TYPE, Moment, join_features
from dnai.library.rows import (
    CataloguedFile,
    CataloguedTrack,
    Changes,
    Failure,
    FileStamp,
    Hearing,
    KnownFile,
    Outdated,
    Recognised,
)
from dnai.text import clean_text
from dnai.tracks import AudioType, Genre

_BUSY_TIMEOUT_S = 30.0
_RETRY_S = 0.02
_logger = logging.getLogger(__name__)
_GENRES = {genre.value: genre for genre in Genre}
_AUDIO_TYPES = {kind.value: kind for kind in AudioType}
_FILE_COLUMNS = (
    "path, size_bytes, mtime_ns, title, artist, album, year, tag_genre, duration_s, audio_type, "
    "album_artist, track_number, content_id"
)
_KEPT_COLUMNS = [name for name in _FILE_COLUMNS.split(", ") if name != "path"]
_PUT_TRACK = f"""
INSERT INTO tracks ({_FILE_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT (path) DO UPDATE SET absent = 0, {", ".join(f"{name} = excluded.{name}" for name in _KEPT_COLUMNS)}
RETURNING id
"""  # noqa: S608  # constants
_COPY_TRACK = f"""
INSERT INTO tracks (path, {", ".join(_KEPT_COLUMNS)}) SELECT ?, {", ".join(_KEPT_COLUMNS)} FROM tracks WHERE id = ?
RETURNING id
"""  # noqa: S608  # constants
_COPY_HEARINGS = """
INSERT INTO hearings SELECT ?, feature_id, space_id, model_id, genre, confidence, is_sure, reason, features
FROM hearings WHERE track = ?
"""
Under = Path | Sequence[Path] | None
"""A folder, several, or the whole catalogue."""


class Catalogue:
    """An open catalogue; for one thread at a time. Several processes may have it open at once.

    Parameters
    ----------
    path
        The SQLite file; it and its folder are made where they are missing.
    shared
        Whether several threads use it, one after the other.

    Raises
    ------
    CatalogueError
        When the file cannot be opened, is no catalogue, or is of a newer version.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=not shared
            )
        except (OSError, sqlite3.Error) as error:
            raise CatalogueError(f"the catalogue {path} cannot be opened: {error}") from error
        try:
            self._prepare()
        except CatalogueError:
            self._connection.close()
            raise

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the object cannot be used any more."""
        self._connection.close()

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self._path

    def version(self) -> int:
        """Return a number that changes when another connection has written."""
        with self._translated():
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def put_track(self, catalogued: CataloguedTrack) -> None:
        """Write a track and what was heard in it, in place of whatever was known of its file."""
        file = catalogued.file
        row = (os.fsencode(file.path), *file[1:])
        with self._transaction() as connection:
            connection.execute("DELETE FROM failures WHERE path = ?", row[:1])
            (track,) = connection.execute(_PUT_TRACK, row).fetchone()
            connection.execute("DELETE FROM hearings WHERE track = ?", (track,))
            rows = [(track, *_hearing_row(hearing)) for hearing in catalogued.hearings]
            connection.executemany("INSERT INTO hearings VALUES (?,?,?,?,?,?,?,?,?)", rows)

    def put_hearings(self, path: Path, stamp: FileStamp, hearings: Sequence[Hearing]) -> None:
        """Add what was heard in a track, unless the catalogue knows another state of its file by now."""
        with self._transaction() as connection:
            found = connection.execute(
                "SELECT id FROM tracks WHERE path = ? AND size_bytes = ? AND mtime_ns = ?",
                (os.fsencode(path), stamp.size_bytes, stamp.mtime_ns),
            ).fetchone()
            if found is not None:
                rows = [(*found, *_hearing_row(hearing)) for hearing in hearings]
                connection.executemany("INSERT OR REPLACE INTO hearings VALUES (?,?,?,?,?,?,?,?,?)", rows)

    def put_failure(self, failure: Failure) -> None:
        """Write that a file cannot be used, in place of whatever was known of it."""
        key = os.fsencode(failure.path)
        row = (key, failure.stamp.size_bytes, failure.stamp.mtime_ns, failure.reason, failure.passing)
        with self._transaction() as connection:
            _drop_tracks(connection, [(key,)])
            connection.execute("INSERT OR REPLACE INTO failures VALUES (?,?,?,?,?)", row)

    def forget(self, paths: list[Path]) -> None:
        """Drop all that is known of these files."""
        keys = [(os.fsencode(path),) for path in paths]
        with self._transaction() as connection:
            _drop_tracks(connection, keys)
            connection.executemany("DELETE FROM failures WHERE path = ?", keys)

    def write_changes(self, changes: Changes) -> None:
        """Forget what is gone, mark what is away or back, and give recognised files their rows: all or nothing."""
        gone, away, back = ([(os.fsencode(path),) for path in paths] for paths in _paths(changes))
        moved = [one for one in changes.recognised if not one.is_copy]
        with self._transaction() as connection:
            titles = {one.track: _title_of_its_own(connection, one.track) for one in changes.recognised}
            # Aside first, under names that no file has: one row may take the name that another leaves.
            connection.executemany(
                "UPDATE tracks SET path = CAST(id AS BLOB) WHERE id = ?", [(m.track,) for m in moved]
            )
            connection.executemany("UPDATE tracks SET absent = 1 WHERE path = ?", away)
            connection.executemany("UPDATE tracks SET absent = 0 WHERE path = ?", back)
            _drop_tracks(connection, gone)
            connection.executemany("DELETE FROM failures WHERE path = ?", gone)
            for one in moved:
                _rename(connection, one.track, one, title=titles[one.track])
            for one in changes.recognised:
                if one.is_copy:
                    _drop_tracks(connection, [(os.fsencode(one.path),)])
                    (copy,) = connection.execute(_COPY_TRACK, (b"%d copy" % one.track, one.track)).fetchone()
                    connection.execute(_COPY_HEARINGS, (copy, one.track))
                    _rename(connection, copy, one, title=titles[one.track])

    def put_description(self, track: int, file: CataloguedFile) -> None:
        """Write what the file of a track tells of itself; how long it is, and what was heard in it, stays."""
        names = [name for name in _KEPT_COLUMNS if name not in {"size_bytes", "mtime_ns", "duration_s"}]
        values = [getattr(file, name) for name in names]
        with self._transaction() as connection:
            assignments = ", ".join(f"{name} = ?" for name in names)
            connection.execute(f"UPDATE tracks SET {assignments} WHERE id = ?", (*values, track))  # noqa: S608  # constants

    def put_content_id(self, track: int, content_id: str) -> None:
        """Write what is in the file of a track."""
        with self._transaction() as connection:
            connection.execute("UPDATE tracks SET content_id = ? WHERE id = ?", (content_id, track))

    @contextlib.contextmanager
    def moment(self, *, under: Under = None, since: int | None = None) -> Iterator[Moment]:
        """Let the catalogue be read in columns, all of it as of one moment.

        Parameters
        ----------
        under
            Only files below this folder, or these. What is on a disk that is away is left out.
        since
            The `Moment.revision` that is known already: only what has changed since is read.
        """
        condition, values = _below(under, "absent = 0")
        with self._reading() as connection:
            yield Moment(connection, self._path, condition=condition, values=values, since=since)

    def tracks(self, *, under: Under = None) -> list[CataloguedTrack]:
        """Return the tracks with all that was heard in them, in the order of their paths; slower than `moment`."""
        condition, values = _below(under, "absent = 0")
        with self._reading() as connection:
            files = connection.execute(
                f"SELECT id, {_FILE_COLUMNS} FROM tracks{condition} ORDER BY path",  # noqa: S608  # constants
                values,
            ).fetchall()
            hearings: dict[int, list[Hearing]] = {row[0]: [] for row in files}
            for row in connection.execute("SELECT * FROM hearings ORDER BY track, feature_id"):
                if row[0] in hearings:
                    hearings[row[0]].append(_hearing(row[1:]))
        return [CataloguedTrack(_file(row[1:]), tuple(hearings[row[0]])) for row in files]

    def known_files(self, *, under: Under = None) -> dict[Path, KnownFile]:
        """Return what is known of each track's file, absent ones too, with the ids of the features it was asked for."""
        condition, values = _below(under)
        asked: dict[int, set[str]] = {}
        with self._reading() as connection:
            for track, feature_id in connection.execute("SELECT track, feature_id FROM hearings"):
                asked.setdefault(track, set()).add(feature_id)
            rows = connection.execute(
                f"SELECT id, path, size_bytes, mtime_ns, content_id, absent FROM tracks{condition}",  # noqa: S608  # a constant
                values,
            )
            return {
                _path(path): KnownFile(
                    FileStamp(size_bytes, mtime_ns), frozenset(asked.get(track, ())), track, content, bool(absent)
                )
                for track, path, size_bytes, mtime_ns, content, absent in rows
            }

    def outdated(self, model: GenreModel, *, after: int, limit: int) -> Outdated:
        """Return features of `model` that another classifier has answered: at most `limit`, of tracks after an id."""
        with self._translated():
            rows = self._connection.execute(
                "SELECT track, features FROM hearings WHERE track > ? AND feature_id = ? AND genre IS NOT NULL "
                "AND (model_id <> ? OR space_id <> ?) ORDER BY track LIMIT ?",
                (after, model.feature_id, model.model_id, model.space_id, limit),
            ).fetchall()
        blobs = [row[1] for row in rows]
        features = join_features(blobs, model.feature_id, path=self._path, dimension=model.dimension)
        return Outdated([row[0] for row in rows], features)

    def put_answers(self, model: GenreModel, ids: Sequence[int], answers: Sequence[GenreAnswer]) -> None:
        """Write what `model` answers, in place of another classifier's answers, to features that are kept."""
        now = (model.space_id, model.model_id)
        rows = [
            (*now, answer.genre, answer.confidence, answer.is_sure, track, model.feature_id, *now)
            for track, answer in zip(ids, answers, strict=True)
        ]
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE hearings SET space_id = ?, model_id = ?, genre = ?, confidence = ?, is_sure = ? "
                "WHERE track = ? AND feature_id = ? AND genre IS NOT NULL AND (space_id <> ? OR model_id <> ?)",
                rows,
            )

    def failures(self, *, under: Under = None) -> list[Failure]:
        """Return the files that could not be used, below the folder `under` if given."""
        condition, values = _below(under)
        with self._translated():
            rows = self._connection.execute(f"SELECT * FROM failures{condition} ORDER BY path", values)  # noqa: S608  # a constant
            return [Failure(_path(row[0]), FileStamp(row[1], row[2]), row[3], bool(row[4])) for row in rows]

    def _prepare(self) -> None:
        with self._translated():
            _log_ahead(self._connection)
            self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                schema.create(connection)
            elif version in schema.OLDER_VERSIONS:
                self._move_up(connection, version)
            elif version != schema.SCHEMA_VERSION:
                raise CatalogueError(
                    f"the catalogue {self._path} is of version {version}; "
                    f"this program knows version {schema.SCHEMA_VERSION}"
                )
        if version in schema.OLDER_VERSIONS:
            schema.copy_path(self._path).unlink(missing_ok=True)

    def _move_up(self, connection: sqlite3.Connection, version: int) -> None:
        try:
            schema.move_up(connection, self._path, version=version)
        except OSError as error:
            raise CatalogueError(
                f"the catalogue {self._path} cannot be copied before it is changed: {error}"
            ) from error
        _logger.info("the catalogue %s is now of version %d", self._path, schema.SCHEMA_VERSION)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Several queries that see the same state."""
        with self._translated():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk has already rolled it back.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise CatalogueFullError(
                    f"no room on the disk for the catalogue {self._path}; what was scanned before is kept: "
                    "make room and scan again"
                ) from error
            raise CatalogueError(f"the catalogue {self._path}: {error}") from error


def _below(under: Under, *conditions: str) -> tuple[str, tuple[bytes, ...]]:
    """The condition for paths below folders: ranges of the index, since ``0`` follows ``/``."""
    values: list[bytes] = []
    found = list(conditions)
    if under is not None:
        starts = [os.fsencode(folder).rstrip(b"/") for folder in ([under] if isinstance(under, Path) else under)]
        values = [end for start in starts for end in (start + b"/", start + b"0")]
        found.append("(" + (" OR ".join(["path >= ? AND path < ?"] * len(starts)) or "0") + ")")
    return (" WHERE " + " AND ".join(found) if found else ""), tuple(values)


def _paths(changes: Changes) -> tuple[Sequence[Path], Sequence[Path], Sequence[Path]]:
    return changes.gone, changes.away, changes.back


def _title_of_its_own(connection: sqlite3.Connection, track: int) -> str | None:
    """The title of a track, or None where it is only the name of the file."""
    key, title = connection.execute("SELECT path, title FROM tracks WHERE id = ?", (track,)).fetchone()
    return None if title == _file_title(_path(key)) else str(title)


def _file_title(path: Path) -> str:
    """What `dnai.audio.tags.read_tags` calls a file that says nothing of itself."""
    return clean_text(path.stem) or "untitled"


def _rename(connection: sqlite3.Connection, track: int, one: Recognised, *, title: str | None) -> None:
    """Give a row the name and the stamp of a file."""
    key = os.fsencode(one.path)
    _drop_tracks(connection, [(key,)])
    connection.execute("DELETE FROM failures WHERE path = ?", (key,))
    connection.execute(
        "UPDATE tracks SET path = ?, size_bytes = ?, mtime_ns = ?, title = ?, absent = 0 WHERE id = ?",
        (key, one.stamp.size_bytes, one.stamp.mtime_ns, title or _file_title(one.path), track),
    )


def _path(key: bytes) -> Path:
    return Path(os.fsdecode(key))


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Set the journal mode; while another program makes the file, SQLite says at once that it is locked."""
    end = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _drop_tracks(connection: sqlite3.Connection, keys: Sequence[tuple[bytes]]) -> None:
    connection.executemany("DELETE FROM hearings WHERE track = (SELECT id FROM tracks WHERE path = ?)", keys)
    connection.executemany("DELETE FROM tracks WHERE path = ?", keys)


def _hearing_row(hearing: Hearing) -> tuple[Any, ...]:
    answer = hearing.answer
    told = (answer.genre, answer.confidence, answer.is_sure) if answer else (None, None, None)
    numbers = hearing.features.astype(FEATURE_TYPE).tobytes()
    return hearing.feature_id, hearing.space_id, hearing.model_id, *told, hearing.reason, numbers


def _hearing(row: tuple[Any, ...]) -> Hearing:
    feature_id, space_id, model_id, genre, confidence, is_sure, reason, numbers = row
    answer = GenreAnswer(Genre(genre), confidence, bool(is_sure)) if genre else None
    features = np.frombuffer(numbers, dtype=FEATURE_TYPE)
    return Hearing(feature_id, space_id, model_id, features, answer, reason)


def _file(row: tuple[Any, ...]) -> CataloguedFile:
    key, size_bytes, mtime_ns, title, artist, album, year, tag, duration_s, kind, *others = row
    genre = _GENRES[tag] if tag else None
    return CataloguedFile(
        _path(key), size_bytes, mtime_ns, title, artist, album, year, genre, duration_s, _AUDIO_TYPES[kind], *others
    )

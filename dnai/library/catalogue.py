"""The catalogue of a user's music: one SQLite file.

Each file of a scanned folder is one row, either of `tracks` or of `failures`. A row is written in a
transaction of its own, so that whatever ends a scan costs the file in hand and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnai.errors import CatalogueError, CatalogueFullError
from dnai.tracks import AudioType, Genre, GenreOrigin, Track

SCHEMA_VERSION = 1

_BUSY_TIMEOUT_S = 30.0
_SCHEMA = """
CREATE TABLE tracks (
    path BLOB PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    title TEXT NOT NULL,
    artist TEXT NOT NULL,
    album TEXT NOT NULL,
    year INTEGER,
    tag_genre TEXT,
    model_genre TEXT NOT NULL,
    confidence REAL NOT NULL,
    model_id TEXT NOT NULL,
    duration_s REAL NOT NULL,
    audio_type TEXT NOT NULL,
    features BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE failures (
    path BLOB PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    passing INTEGER NOT NULL
) WITHOUT ROWID;
"""
_FEATURE_TYPE = np.dtype("<f8")


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells a changed file from an unchanged one."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class CataloguedTrack:
    """A track with its raw features, shape ``(26,)``, and the classifier that told its genre."""

    track: Track
    features: NDArray[np.float64]
    model_id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be used, and why; `passing` when the reason may be gone next time."""

    path: Path
    stamp: FileStamp
    reason: str
    passing: bool


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

    def version(self) -> int:
        """Return a number that changes when another connection has written."""
        with self._translated():
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def put_track(self, catalogued: CataloguedTrack) -> None:
        """Write a track, in place of whatever was known of its file."""
        track = catalogued.track
        row = (
            os.fsencode(track.path),
            track.size_bytes,
            track.mtime_ns,
            track.title,
            track.artist,
            track.album,
            track.year,
            track.genre.value if track.genre_origin is GenreOrigin.TAG else None,
            track.model_genre.value,
            track.confidence,
            catalogued.model_id,
            track.duration_s,
            track.audio_type.value,
            catalogued.features.astype(_FEATURE_TYPE).tobytes(),
        )
        with self._transaction() as connection:
            connection.execute("DELETE FROM failures WHERE path = ?", row[:1])
            connection.execute("INSERT OR REPLACE INTO tracks VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", row)

    def put_failure(self, failure: Failure) -> None:
        """Write that a file cannot be used, in place of whatever was known of it."""
        key = os.fsencode(failure.path)
        row = (key, failure.stamp.size_bytes, failure.stamp.mtime_ns, failure.reason, failure.passing)
        with self._transaction() as connection:
            connection.execute("DELETE FROM tracks WHERE path = ?", (key,))
            connection.execute("INSERT OR REPLACE INTO failures VALUES (?,?,?,?,?)", row)

    def forget(self, paths: list[Path]) -> None:
        """Drop all that is known of these files."""
        keys = [(os.fsencode(path),) for path in paths]
        with self._transaction() as connection:
            connection.executemany("DELETE FROM tracks WHERE path = ?", keys)
            connection.executemany("DELETE FROM failures WHERE path = ?", keys)

    def tracks(self, *, genre: Genre | None = None, under: Path | None = None) -> list[CataloguedTrack]:
        """Return the tracks in the order of their paths: those of `genre`, those below the folder `under`."""
        condition, values = _below(under)
        with self._translated():
            rows = self._connection.execute(f"SELECT * FROM tracks{condition} ORDER BY path", values)  # noqa: S608  # a constant
            found = [_read_track(row) for row in rows]
        return [one for one in found if genre is None or one.track.genre is genre]

    def failures(self, *, under: Path | None = None) -> list[Failure]:
        """Return the files that could not be used, below the folder `under` if given."""
        condition, values = _below(under)
        with self._translated():
            rows = self._connection.execute(f"SELECT * FROM failures{condition} ORDER BY path", values)  # noqa: S608  # a constant
            return [Failure(_path(row[0]), FileStamp(row[1], row[2]), row[3], bool(row[4])) for row in rows]

    def _prepare(self) -> None:
        with self._translated():
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise CatalogueError(
                    f"the catalogue {self._path} is of version {version}; this program knows version {SCHEMA_VERSION}"
                )

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


def _below(folder: Path | None) -> tuple[str, tuple[bytes, ...]]:
    """The condition for paths below `folder`: a range of the primary key, since ``0`` follows ``/``."""
    if folder is None:
        return "", ()
    start = os.fsencode(folder).rstrip(b"/")
    return " WHERE path >= ? AND path < ?", (start + b"/", start + b"0")


def _path(key: bytes) -> Path:
    return Path(os.fsdecode(key))


def _read_track(row: tuple[Any, ...]) -> CataloguedTrack:
    (key, size_bytes, mtime_ns, title, artist, album, year, tag, told, confidence, model_id, duration_s, kind, blob) = (
        row
    )
    track = Track(
        path=_path(key),
        title=title,
        artist=artist,
        album=album,
        year=year,
        genre=Genre(tag or told),
        genre_origin=GenreOrigin.TAG if tag else GenreOrigin.MODEL,
        model_genre=Genre(told),
        confidence=confidence,
        duration_s=duration_s,
        audio_type=AudioType(kind),
        size_bytes=size_bytes,
        mtime_ns=mtime_ns,
    )
    return CataloguedTrack(track, np.frombuffer(blob, dtype=_FEATURE_TYPE), model_id)

"""The tables of the catalogue, and how a catalogue of an older version becomes one of this."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from dnai.audio.features import FEATURE_DEFINITION, FEATURE_NAMES
from dnai.genre.model import make_feature_id

SCHEMA_VERSION = 4
OLDER_VERSIONS = frozenset({1, 2, 3})
LOG_LENGTH = 20_000
"""How many changes the catalogue remembers; whoever has missed more reads everything."""

_TABLES = """
CREATE TABLE tracks (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    title TEXT NOT NULL,
    artist TEXT NOT NULL,
    album TEXT NOT NULL,
    year INTEGER,
    tag_genre TEXT,
    duration_s REAL NOT NULL,
    audio_type TEXT NOT NULL,
    album_artist TEXT NOT NULL DEFAULT '',
    track_number INTEGER,
    content_id TEXT,
    absent INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE hearings (
    track INTEGER NOT NULL,
    feature_id TEXT NOT NULL,
    space_id TEXT NOT NULL,
    model_id TEXT NOT NULL,
    genre TEXT,
    confidence REAL,
    is_sure INTEGER,
    reason TEXT,
    features BLOB NOT NULL,
    UNIQUE (track, feature_id)
);
"""
_FAILURES = """
CREATE TABLE failures (
    path BLOB PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    passing INTEGER NOT NULL
) WITHOUT ROWID;
"""

# The number of the last change of each track, written by the database itself, whoever changes what. Numbers never
# come again, and the last one is kept in sqlite_sequence.
_LOG = f"""
CREATE TABLE changes (revision INTEGER PRIMARY KEY AUTOINCREMENT, track INTEGER NOT NULL UNIQUE);
CREATE TRIGGER changes_are_bounded AFTER INSERT ON changes BEGIN
    DELETE FROM changes WHERE revision <= NEW.revision - {LOG_LENGTH};
END;
"""  # noqa: S608  # a constant
_LOGGED = """
CREATE TRIGGER {table}_{event} AFTER {event} ON {table} BEGIN
    DELETE FROM changes WHERE track = {row};
    INSERT INTO changes (track) VALUES ({row});
END;
"""  # constants

# Version 1 knew the 26 means of one model only, and did not say in which space.
_FROM_VERSION_1 = """
ALTER TABLE tracks RENAME TO tracks_1;
{tables}
INSERT INTO tracks (path, size_bytes, mtime_ns, title, artist, album, year, tag_genre, duration_s, audio_type)
SELECT path, size_bytes, mtime_ns, title, artist, album, year, tag_genre, duration_s, audio_type
FROM tracks_1 ORDER BY path;
INSERT INTO hearings
SELECT tracks.id, '{feature_id}', '', old.model_id, old.model_genre, old.confidence, 1, NULL, old.features
FROM tracks_1 AS old JOIN tracks ON tracks.path = old.path ORDER BY tracks.id;
DROP TABLE tracks_1;
"""

# Version 2 knew no contents, and forgot what was on a disk that was away.
_FROM_VERSION_2 = """
ALTER TABLE tracks ADD COLUMN album_artist TEXT NOT NULL DEFAULT '';
ALTER TABLE tracks ADD COLUMN track_number INTEGER;
ALTER TABLE tracks ADD COLUMN content_id TEXT;
ALTER TABLE tracks ADD COLUMN absent INTEGER NOT NULL DEFAULT 0;
"""

# Version 3 knew no album artists, and did not tell ALAC from AAC: the next scan looks again at what has no content id.
_FROM_VERSION_3 = "UPDATE tracks SET content_id = NULL;"


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty file, within the transaction that is open."""
    _run(connection, _TABLES + _FAILURES)
    _start_log(connection)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def copy_path(path: Path) -> Path:
    """Return where a copy of the catalogue stands while its tables are changed."""
    return path.with_name(f"{path.name}.before-version-{SCHEMA_VERSION}")


def move_up(connection: sqlite3.Connection, path: Path, *, version: int) -> None:
    """Turn an older version into this one, within the write transaction that is open; the old file is copied first.

    Whoever calls it removes the copy when the transaction has been written. Raises sqlite3.Error and OSError.
    """
    copy_path(path).unlink(missing_ok=True)  # what an attempt that was cut off may have left
    with closing(sqlite3.connect(path)) as reading, closing(sqlite3.connect(copy_path(path))) as copy:
        reading.backup(copy)
    if version == 1:
        feature_id = make_feature_id("librosa26", FEATURE_DEFINITION, FEATURE_NAMES)
        _run(connection, _FROM_VERSION_1.format(tables=_TABLES, feature_id=feature_id))
    elif version == 2:
        _run(connection, _FROM_VERSION_2)
    else:
        _run(connection, _FROM_VERSION_3)
    _start_log(connection)  # version 3 did not say what has changed
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _start_log(connection: sqlite3.Connection) -> None:
    """Let the database note from now on which tracks change."""
    _run(connection, _LOG)
    for table, key in (("tracks", "id"), ("hearings", "track")):
        for event, row in (("insert", "NEW"), ("update", "NEW"), ("delete", "OLD")):
            _run(connection, _LOGGED.format(table=table, event=event, row=f"{row}.{key}"))


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """One by one: `executescript` would end the transaction."""
    statement = ""
    for part in statements.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):  # a trigger is one with those that are in it
            connection.execute(statement)
            statement = ""

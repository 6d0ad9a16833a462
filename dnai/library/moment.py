"""A catalogue at one moment, read in columns: all of it, or what has changed since another moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnai.errors import CatalogueError
from dnai.library.columns import CODES, FileColumns, join_columns, make_columns
from dnai.library.heard import HeardBlock
from dnai.library.schema import LOG_LENGTH

FEATURE_TYPE = np.dtype("<f8")
_BLOCK_ROWS = 500
_FILES = (
    "SELECT tracks.id, path, json_array(title, artist, album, year, audio_type, album_artist, track_number), "
    "content_id, size_bytes, mtime_ns, duration_s, tag_genre FROM "
)
_HEARINGS = "SELECT hearings.track, ({which}), genre, confidence, is_sure, features FROM "
# The order of the tables is given: what has changed is little.
_CHANGED_FILES = "changes CROSS JOIN tracks ON tracks.id = changes.track"
_CHANGED_HEARINGS = "changes CROSS JOIN hearings ON hearings.track = changes.track"


class Moment:
    """What a read transaction sees; good while that is open.

    Parameters
    ----------
    path
        The catalogue's, for messages.
    condition, values
        Which files are looked at, in SQL; ``condition`` begins with WHERE.
    since
        The revision that is known already, None for none.

    Attributes
    ----------
    revision
        The number of the last change.
    changed
        The ids of tracks that have changed since, of whatever folder, and whether or not they are still
        there, shape ``(k,)``; None where everything is to be read, since the log of changes does not
        reach back so far.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        condition: str,
        values: Sequence[bytes],
        since: int | None,
    ) -> None:
        self._connection = connection
        self._path = path
        self._condition = condition
        self._values = tuple(values)
        self._since = since
        self.revision = _revision(connection)
        self.changed: NDArray[np.int64] | None = None
        if since is not None and 0 <= self.revision - since <= LOG_LENGTH:
            found = connection.execute("SELECT track FROM changes WHERE revision > ?", (since,)).fetchall()
            self.changed = np.array([track for (track,) in found], dtype=np.int64)

    def files(self) -> FileColumns:
        """Return the files that are there, or those of them that have changed, in the order of their paths."""
        of, condition, values = "tracks", self._condition, list[Any](self._values)
        if self.changed is not None:
            of, condition, values = _CHANGED_FILES, f"{condition} AND revision > ?", [*values, self._since]
        found = self._connection.execute(f"{_FILES}{of}{condition} ORDER BY path", values)
        return join_columns([make_columns(rows) for rows in _blocks(found)])

    def heard(self, dimensions: Mapping[str, int]) -> Iterator[tuple[str, HeardBlock]]:
        """Yield what was heard, or of tracks that have changed, by the ids of the features; in no order.

        What could not be heard is left out. Files that `files` leaves out may be among it.

        Parameters
        ----------
        dimensions
            How many numbers there are of the features with each id that is wanted.

        Raises
        ------
        CatalogueError
            When there are more or fewer.
        """
        feature_ids = list(dimensions)
        which = f"CASE feature_id {'WHEN ? THEN ? ' * len(feature_ids)}END"
        of, condition, values = "hearings", " WHERE genre IS NOT NULL", tuple[Any, ...]()
        if self.changed is not None:
            of, condition, values = _CHANGED_HEARINGS, f"{condition} AND revision > ?", (self._since,)
        numbered = [value for i, one in enumerate(feature_ids) for value in (one, i)]
        condition += f" AND feature_id IN ({', '.join('?' * len(feature_ids))})"
        found = self._connection.execute(
            _HEARINGS.format(which=which) + of + condition, (*numbered, *values, *feature_ids)
        )
        for rows in _blocks(found) if feature_ids else ():
            for i, feature_id in enumerate(feature_ids):
                mine = [row for row in rows if row[1] == i]
                if mine:
                    yield feature_id, self._block(mine, feature_id, dimension=dimensions[feature_id])

    def _block(self, rows: Sequence[tuple[Any, ...]], feature_id: str, *, dimension: int) -> HeardBlock:
        ids, _, genres, confidences, are_sure, blobs = zip(*rows, strict=True)
        return HeardBlock(
            ids=np.array(ids, dtype=np.int64),
            codes=np.array([CODES[genre] for genre in genres], dtype=np.int8),
            confidences=np.array(confidences, dtype=np.float64),
            are_sure=np.array(are_sure, dtype=np.bool_),
            features=join_features(blobs, feature_id, path=self._path, dimension=dimension),
        )


def join_features(blobs: Sequence[bytes], feature_id: str, *, path: Path, dimension: int) -> NDArray[np.float64]:
    """Return the raw features of rows as one array, shape ``(k, dimension)``.

    Raises
    ------
    CatalogueError
        When they do not all have that length.
    """
    if blobs and set(map(len, blobs)) != {dimension * FEATURE_TYPE.itemsize}:
        raise CatalogueError(f"the catalogue {path} is damaged: features {feature_id} of different lengths")
    return np.frombuffer(b"".join(blobs), dtype=FEATURE_TYPE).reshape(len(blobs), dimension)


def _revision(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return int(found[0]) if found else 0


def _blocks(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(_BLOCK_ROWS):
        yield rows

"""Many files of a catalogue in columns: a hundred thousand objects would take seconds to make."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnai.tracks import Genre

GENRES = tuple(Genre)
"""A genre's place here is its code in columns."""
CODES = {genre.value: code for code, genre in enumerate(GENRES)}
NO_GENRE = -1
NOWHERE = -1
"""Instead of a row or a place, where there is none."""

Objects = NDArray[np.object_]


@dataclass(frozen=True, slots=True, eq=False)
class FileColumns:
    """Files in the order of their paths, one row each; never changed.

    Attributes
    ----------
    ids
        The ids of their tracks in the catalogue, shape ``(n,)``.
    paths
        As the file system has them, bytes.
    details
        Title, artist, album, year, kind of file, album artist and number of the track, as a JSON list:
        one object a file, taken apart when somebody asks.
    contents
        What `dnai.library.content.content_id` says, or None.
    tags
        The codes of the genres of their tags, `NO_GENRE` where there is none.
    """

    ids: NDArray[np.int64]
    paths: Objects
    details: Objects
    contents: Objects
    sizes: NDArray[np.int64]
    mtimes: NDArray[np.int64]
    durations: NDArray[np.float64]
    tags: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, path: bytes) -> int | None:
        """Return the row of a file, or None."""
        row = bisect_left(self.paths, path)
        return row if row < len(self) and self.paths[row] == path else None


def make_columns(rows: Sequence[tuple[Any, ...]]) -> FileColumns:
    """Return rows of the catalogue as columns, in their order; a row has the fields of `FileColumns`."""
    ids, paths, details, contents, sizes, mtimes, durations, tags = zip(*rows, strict=True) if rows else ((),) * 8
    return FileColumns(
        ids=np.array(ids, dtype=np.int64),
        paths=_objects(paths),
        details=_objects(details),
        contents=_objects(contents),
        sizes=np.array(sizes, dtype=np.int64),
        mtimes=np.array(mtimes, dtype=np.int64),
        durations=np.array(durations, dtype=np.float64),
        tags=np.array([CODES[tag] if tag else NO_GENRE for tag in tags], dtype=np.int8),
    )


def join_columns(parts: Sequence[FileColumns]) -> FileColumns:
    """Return the files of all parts, one after the other."""
    if not parts:
        return make_columns(())
    names = [field.name for field in fields(FileColumns)]
    return FileColumns(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def merge_columns(
    old: FileColumns, new: FileColumns, *, changed: NDArray[np.int64]
) -> tuple[FileColumns, NDArray[np.intp]]:
    """Return `old` with `new` in place of the files that have changed, and where each file was.

    Parameters
    ----------
    changed
        The ids of what has changed, in any order; of them `new` holds those that there still are.

    Returns
    -------
    FileColumns
        Shape ``(n,)``.
    NDArray
        For each file its row in `old`, `NOWHERE` for the new ones, shape ``(n,)``.
    """
    kept = np.flatnonzero(~np.isin(old.ids, changed))
    before = old.paths[kept]
    places = np.array([bisect_left(before, path) for path in new.paths], dtype=np.intp)
    names = [field.name for field in fields(FileColumns)]
    merged = FileColumns(*(np.insert(getattr(old, name)[kept], places, getattr(new, name)) for name in names))
    return merged, np.insert(kept, places, NOWHERE)


def _objects(values: Sequence[object]) -> Objects:
    """An array of objects; NumPy would make one of text out of texts."""
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made

"""What one model heard in many files, in columns, and the vectors of them in one array."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dnai.library.columns import NO_GENRE, NOWHERE

ANSWER = np.dtype([("code", np.int8), ("confidence", np.float64), ("is_sure", np.bool_), ("place", np.intp)])
"""What is known of one file: the code of the genre answered, and the row of its vector."""

_NOTHING = (NO_GENRE, 0.0, False, NOWHERE)
_SLACK = 1.25
_LEAST_SLACK = 64


@dataclass(frozen=True, slots=True, eq=False)
class HeardBlock:
    """Some hearings of one model: ids of tracks, the answers by column, and the raw features, shape ``(k, d)``.

    `codes` are those of the genres, as in `dnai.library.columns.GENRES`.
    """

    ids: NDArray[np.int64]
    codes: NDArray[np.int8]
    confidences: NDArray[np.float64]
    are_sure: NDArray[np.bool_]
    features: NDArray[np.float64]

    def only(self, which: NDArray[np.bool_]) -> HeardBlock:
        """Return some of the hearings, those that `which`, shape ``(k,)``, says."""
        return HeardBlock(*(getattr(self, one.name)[which] for one in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class HeardColumns:
    """What one model heard in files, one row each.

    Attributes
    ----------
    answers
        Of dtype `ANSWER`, shape ``(n,)``; where nothing was heard there is no genre and no place.
    vectors
        Shape ``(m, d)``. The first `used` rows are never changed, so that whoever has them may go on
        reading; the others are room for what comes later.
    """

    answers: NDArray[np.void]
    vectors: NDArray[np.float32]
    used: int


def nothing_heard(files: int, *, dimension: int) -> HeardColumns:
    """Return the columns of a model that has heard none of so many files."""
    return HeardColumns(np.array([_NOTHING] * files, dtype=ANSWER), np.empty((0, dimension), dtype=np.float32), 0)


class HeardFilling:
    """Columns that are being filled.

    Parameters
    ----------
    before
        What was known before; it stays as it is, also where this comes to nothing.
    origin
        For each file its row in `before`, `NOWHERE` for those that are to be filled in, shape ``(n,)``.
    """

    def __init__(self, before: HeardColumns, origin: NDArray[np.intp]) -> None:
        self._answers = np.append(before.answers, np.array(_NOTHING, dtype=ANSWER))[origin]  # NOWHERE is the last
        self._vectors, self._used = before.vectors, before.used
        awaited = int(np.count_nonzero(origin == NOWHERE))
        if self._used + awaited > len(self._vectors):
            self._move(awaited)

    def add(self, rows: NDArray[np.intp], block: HeardBlock, vectors: NDArray[np.float32]) -> None:
        """Fill in what was heard in the files at `rows`, shape ``(k,)``, with their vectors, shape ``(k, d)``."""
        end = self._used + len(rows)
        self._vectors[self._used : end] = vectors
        self._answers["code"][rows] = block.codes
        self._answers["confidence"][rows] = block.confidences
        self._answers["is_sure"][rows] = block.are_sure
        self._answers["place"][rows] = np.arange(self._used, end)
        self._used = end

    def columns(self) -> HeardColumns:
        """Return what there is now."""
        return HeardColumns(self._answers, self._vectors, self._used)

    def _move(self, awaited: int) -> None:
        """Take a larger array, in the order of the files, and leave behind what no file has any more."""
        places = self._answers["place"]
        alive = np.flatnonzero(places != NOWHERE)
        room = int(_SLACK * (len(alive) + awaited)) + _LEAST_SLACK
        vectors = np.empty((room, self._vectors.shape[1]), dtype=np.float32)
        np.take(self._vectors, places[alive], axis=0, out=vectors[: len(alive)], mode="clip")
        places[alive] = np.arange(len(alive))
        self._vectors, self._used = vectors, len(alive)

"""How often a classifier is right, on pieces and on whole tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnai.errors import UsageError
from dnai.genre.table import FeatureTable


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Shares of right answers, 0 to 1, over so many pieces and tracks."""

    pieces: int
    tracks: int
    piece_accuracy: float
    track_accuracy: float


def evaluate(probabilities: NDArray[np.float32], table: FeatureTable) -> Evaluation:
    """Return how often `probabilities`, shape ``(n, 10)``, are right about the pieces of `table`.

    A track's answer is the genre with the highest mean probability over its pieces.

    Raises
    ------
    UsageError
        When there is not one row of probabilities for each piece.
    """
    if len(probabilities) != len(table) or not len(table):
        raise UsageError(f"{len(probabilities)} answers for {len(table)} pieces")
    right_pieces = probabilities.argmax(axis=1) == table.labels
    names = np.unique(table.tracks)
    right_tracks = [_is_track_right(probabilities, table, name) for name in names]
    return Evaluation(
        pieces=len(table),
        tracks=len(names),
        piece_accuracy=float(right_pieces.mean()),
        track_accuracy=float(np.mean(right_tracks)),
    )


def _is_track_right(probabilities: NDArray[np.float32], table: FeatureTable, track: str) -> bool:
    rows = table.tracks == track
    return bool(probabilities[rows].mean(axis=0).argmax() == table.labels[rows][0])

"""How good a classifier's answers are, on pieces and on whole tracks, and how sure these figures are.

Every interval comes from a bootstrap over artists (Efron 1979): whole artists are drawn with replacement,
since the pieces of a track, and the tracks of an artist, are right or wrong together. It is the middle
95 % of what is drawn, moved by the difference between the measured value and the mean of the drawn
ones: a calibration error grows by the drawing itself, whatever the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from dnai.errors import UsageError
from dnai.genre.table import LABELS, FeatureTable
from dnai.tracks import Genre

CALIBRATION_BINS = 10
RESAMPLES = 1000
SHARES_ANSWERED = tuple(share / 10 for share in range(10, 0, -1))
_SEED = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """So many answers of similar confidence: their mean confidence, and the share of them that is right."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class RejectPoint:
    """When only the `share` of most confident answers counts: from which confidence on, and how many are right."""

    share: float
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What the answers about `count` pieces or tracks of `groups` artists are worth.

    Attributes
    ----------
    most_frequent
        The share that would be right if the answer were always the most frequent genre.
    accuracy
        The share that is right.
    macro_f1, f1
        The F1 score of each genre that occurs, and their mean.
    confusion
        ``confusion[i][j]``: how many of true genre ``LABELS[i]`` were taken for ``LABELS[j]``.
    calibration_error
        Expected calibration error over ten bins of equal mass: the mean distance of confidence and
        accuracy (Naeini et al. 2015).
    calibration_floor
        What this error would be, on average, for as many answers of a perfectly calibrated model.
    log_loss
        The mean negative logarithm of the probability that the true genre was given.
    """

    count: int
    groups: int
    most_frequent: float
    accuracy: Figure
    macro_f1: float
    f1: dict[Genre, float]
    confusion: tuple[tuple[int, ...], ...]
    calibration_error: Figure
    calibration_floor: float
    calibration: tuple[CalibrationBin, ...]
    reject_curve: tuple[RejectPoint, ...]
    log_loss: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of pieces and of whole tracks, and of the pieces of each source where a table names several."""

    pieces: Scores
    tracks: Scores
    by_source: dict[str, Scores]


def evaluate(probabilities: NDArray[np.floating], table: FeatureTable) -> Evaluation:
    """Return what `probabilities`, shape ``(n, 10)``, are worth for the pieces of `table`.

    A track's probabilities are the means over its pieces.

    Raises
    ------
    UsageError
        When there is not one row of probabilities for each piece.
    """
    if len(probabilities) != len(table) or not len(table):
        raise UsageError(f"{len(probabilities)} answers for {len(table)} pieces")
    sources = [str(source) for source in np.unique(table.sources) if source]
    by_source = {source: table.sources == source for source in sources} if len(sources) > 1 else {}
    first, of_track = _tracks(table)
    return Evaluation(
        pieces=score(probabilities, table.labels, table.groups),
        tracks=score(_means(probabilities, of_track), table.labels[first], table.groups[first]),
        by_source={
            source: score(probabilities[rows], table.labels[rows], table.groups[rows])
            for source, rows in by_source.items()
        },
    )


def _tracks(table: FeatureTable) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first row of each track, and the track of each row."""
    _, first, of_track = np.unique(table.tracks, return_index=True, return_inverse=True)
    return first, of_track


def _means(rows: NDArray[np.floating], of_track: NDArray[np.intp]) -> NDArray[np.float64]:
    sums = np.zeros((of_track.max() + 1, rows.shape[1]))
    np.add.at(sums, of_track, rows)
    means: NDArray[np.float64] = sums / np.bincount(of_track)[:, np.newaxis]
    return means


def score(probabilities: NDArray[np.floating], labels: NDArray[np.int64], groups: NDArray[np.str_]) -> Scores:
    """Return the scores of `probabilities`, shape ``(n, 10)``, where `labels`, shape ``(n,)``, are true.

    `groups`, shape ``(n,)``, names what is drawn together for the intervals.
    """
    told = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = told == labels
    present = np.unique(labels)
    f1 = f1_score(labels, told, labels=present, average=None, zero_division=0.0)
    return Scores(
        count=len(labels),
        groups=len(np.unique(groups)),
        most_frequent=float(np.bincount(labels).max() / len(labels)),
        accuracy=_figure(lambda rows: float(right[rows].mean()), groups),
        macro_f1=float(f1.mean()),
        f1={LABELS[label]: float(value) for label, value in zip(present, f1, strict=True)},
        confusion=tuple(map(tuple, confusion_matrix(labels, told, labels=range(len(LABELS))).tolist())),
        calibration_error=_figure(lambda rows: calibration_error(confidence[rows], right[rows]), groups),
        calibration_floor=_calibration_floor(confidence),
        calibration=calibration_bins(confidence, right),
        reject_curve=_reject_curve(confidence, right),
        log_loss=float(log_loss(labels, _normalised(probabilities), labels=range(len(LABELS)))),
    )


def _normalised(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    rows: NDArray[np.float64] = np.asarray(probabilities, dtype=np.float64)
    normalised: NDArray[np.float64] = rows / rows.sum(axis=1, keepdims=True)
    return normalised


def _figure(measure: Callable[[NDArray[np.intp]], float], groups: NDArray[np.str_]) -> Figure:
    """The measure of all rows, and its bootstrap interval over groups."""
    rng = np.random.default_rng(_SEED)
    names, of_row = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(of_row, kind="stable"), np.cumsum(np.bincount(of_row))[:-1])
    drawn = [
        measure(np.concatenate([members[group] for group in rng.integers(len(names), size=len(names))]))
        for _ in range(RESAMPLES)
    ]
    value = measure(np.arange(len(groups)))
    low, high = np.percentile(drawn, (2.5, 97.5)) + value - np.mean(drawn)
    return Figure(value, float(max(low, 0.0)), float(min(high, 1.0)))


def calibration_bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[CalibrationBin, ...]:
    """Return the answers, the least confident first, in ten bins of equal mass; fewer where there are fewer answers."""
    order = np.argsort(confidence, kind="stable")
    parts = (part for part in np.array_split(order, CALIBRATION_BINS) if len(part))
    return tuple(CalibrationBin(len(part), float(confidence[part].mean()), float(right[part].mean())) for part in parts)


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error: the mean of ``|confidence − accuracy|`` over the bins, by their mass."""
    bins = calibration_bins(confidence, right)
    return sum(one.count * abs(one.confidence - one.accuracy) for one in bins) / len(confidence)


def _calibration_floor(confidence: NDArray[np.float64]) -> float:
    """The mean error when each answer is right exactly as often as its confidence says."""
    rng = np.random.default_rng(_SEED)
    drawn = [calibration_error(confidence, rng.random(len(confidence)) < confidence) for _ in range(RESAMPLES // 5)]
    return float(np.mean(drawn))


def _reject_curve(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[RejectPoint, ...]:
    order = np.argsort(-confidence, kind="stable")
    points = []
    for share in SHARES_ANSWERED:
        kept = order[: max(1, round(share * len(order)))]
        points.append(RejectPoint(len(kept) / len(order), float(confidence[kept[-1]]), float(right[kept].mean())))
    return tuple(points)

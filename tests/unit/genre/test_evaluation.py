"""The figures of a classifier, on answers whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dnai.errors import UsageError
from dnai.genre.evaluation import calibration_bins, calibration_error, evaluate, score
from dnai.genre.table import LABELS, FeatureTable
from dnai.tracks import Genre

JAZZ, METAL, POP = (LABELS.index(genre) for genre in (Genre.JAZZ, Genre.METAL, Genre.POP))


def small_table(sources: tuple[str, ...] = ("", "", "", "", "")) -> FeatureTable:
    """Three pieces of a jazz track, two of a metal track."""
    tracks = np.array(["a", "a", "a", "b", "b"])
    return FeatureTable(
        space="librosa26",
        features=np.zeros((5, 26)),
        labels=np.array([JAZZ] * 3 + [METAL] * 2),
        tracks=tracks,
        groups=tracks,
        split=np.array([""] * 5),
        sources=np.array(sources),
    )


def answers() -> NDArray[np.float64]:
    """One sure piece outweighs two doubtful ones: 3 of 5 pieces are right, and both tracks."""
    probabilities = np.zeros((5, 10))
    probabilities[0, JAZZ] = 1.0
    probabilities[1:3, JAZZ], probabilities[1:3, POP] = 0.45, 0.55
    probabilities[3:, METAL] = 1.0
    return probabilities


def drawn(
    *, count: int, honest: bool, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]]:
    """Answers, truths and groups; honest answers are right as often as they say, others always say 0.9."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(10, 0.3), count)
    labels = np.array([rng.choice(10, p=row) for row in rows])
    if not honest:
        told = rows.argmax(axis=1)
        rows = np.full((count, 10), 0.1 / 9)
        rows[np.arange(count), told] = 0.9
    return rows, labels, np.arange(count).astype(str)


def test_a_track_counts_by_the_mean_over_its_pieces() -> None:
    """Pieces and tracks have figures of their own."""
    evaluation = evaluate(answers(), small_table())
    assert (evaluation.pieces.count, evaluation.tracks.count) == (5, 2)
    assert evaluation.pieces.accuracy.value == pytest.approx(3 / 5)
    assert evaluation.tracks.accuracy.value == 1.0
    assert evaluation.by_source == {}


def test_kinds_of_pieces_are_told_apart_where_a_table_names_them() -> None:
    """The two doubtful pieces are snips."""
    evaluation = evaluate(answers(), small_table(("clip", "snip", "snip", "clip", "clip")))
    assert {name: scores.accuracy.value for name, scores in evaluation.by_source.items()} == {"clip": 1, "snip": 0}


def test_confusion_and_f1_are_those_counted_by_hand() -> None:
    """Jazz: precision 1, recall 1/3; metal: all right; the mean is over the genres that occur."""
    scores = evaluate(answers(), small_table()).pieces
    assert scores.confusion[JAZZ][JAZZ] == 1
    assert scores.confusion[JAZZ][POP] == 2
    assert scores.confusion[METAL][METAL] == 2
    assert sum(map(sum, scores.confusion)) == 5
    assert scores.f1 == {Genre.JAZZ: pytest.approx(0.5), Genre.METAL: 1.0}
    assert scores.macro_f1 == pytest.approx(0.75)


def test_the_calibration_error_of_honest_answers_is_that_of_chance_alone() -> None:
    """It lies near the floor, and the floor near 0."""
    scores = score(*drawn(count=5000, honest=True))
    assert scores.calibration_error.value < 0.04
    assert scores.calibration_floor < 0.03
    assert len(scores.calibration) == 10
    assert {one.count for one in scores.calibration} == {500}


def test_the_calibration_error_of_a_boaster_is_what_it_boasts_of() -> None:
    """It always says 0.9, and the error is the distance from how often it is right."""
    scores = score(*drawn(count=2000, honest=False))
    assert scores.calibration_error.value == pytest.approx(0.9 - scores.accuracy.value, abs=0.01)
    assert scores.calibration_floor < scores.calibration_error.low


def test_bins_are_of_equal_mass_and_in_order() -> None:
    """Twenty answers make ten bins of two; three answers make three of one."""
    confidence = np.linspace(0.1, 0.95, 20)
    bins = calibration_bins(confidence, np.ones(20, dtype=bool))
    assert [one.count for one in bins] == [2] * 10
    assert [one.confidence for one in bins] == sorted(one.confidence for one in bins)
    assert calibration_error(confidence, np.ones(20, dtype=bool)) == pytest.approx(1 - confidence.mean())
    assert len(calibration_bins(confidence[:3], np.ones(3, dtype=bool))) == 3


def test_the_reject_curve_gets_better_for_answers_that_know_when_they_are_sure() -> None:
    """From all answers to the most confident tenth."""
    scores = score(*drawn(count=5000, honest=True))
    curve = scores.reject_curve
    assert [round(point.share, 2) for point in curve] == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert curve[0].accuracy == scores.accuracy.value
    assert curve[-1].accuracy > curve[0].accuracy + 0.2
    assert [point.confidence for point in curve] == sorted(point.confidence for point in curve)


def test_the_interval_counts_artists_and_not_pieces() -> None:
    """A hundred copies of each answer tell nothing more than one."""
    rows, labels, groups = drawn(count=60, honest=True)
    alone = score(rows, labels, groups).accuracy
    copied = score(*(np.repeat(part, 100, axis=0) for part in (rows, labels, groups))).accuracy
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, abs=0.03)
    assert alone.low < alone.value < alone.high


def test_the_interval_of_a_calibration_error_holds_it() -> None:
    """Though drawing answers anew makes the error larger."""
    for seed in range(5):
        error = score(*drawn(count=300, honest=True, seed=seed)).calibration_error
        assert error.low <= error.value <= error.high


def test_what_the_most_frequent_genre_alone_would_bring_is_told() -> None:
    """Three of five pieces are jazz."""
    scores = evaluate(answers(), small_table()).pieces
    assert (scores.most_frequent, scores.groups) == (pytest.approx(0.6), 2)


def test_answers_for_other_pieces_cannot_be_evaluated() -> None:
    """Four answers for five pieces."""
    with pytest.raises(UsageError, match="4 answers for 5 pieces"):
        evaluate(np.zeros((4, 10)), small_table())

"""Simulated circles out of labelled music, for the figures of a model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnai.genre.record import CircleRow
from dnai.genre.table import FeatureTable
from dnai.recommend.circles import CirclePlan, World
from dnai.recommend.preparations import LENGTH_ONE, STANDARDISED
from dnai.recommend.rankings import (
    BY_SHARE_GUARDED,
    HANDFULS_LAST,
    MISSION,
    RANKINGS,
    SHARE_ALONE,
    TEN_NEAREST_FILLED,
)
from dnai.recommend.simulation import BEST_POSSIBLE, CHANCE, RankingResult, simulate

_SHOWN = (MISSION, HANDFULS_LAST, TEN_NEAREST_FILLED, BY_SHARE_GUARDED, SHARE_ALONE, CHANCE, BEST_POSSIBLE)
_SHOWN_OTHERWISE_PREPARED = (MISSION, BY_SHARE_GUARDED)


def simulate_circles(
    table: FeatureTable, probabilities: NDArray[np.float64], *, length_one: bool, circles: int = 1000
) -> tuple[CircleRow, ...]:
    """Return how ways of ranking do in circles made of `table`, whose pieces are taken for tracks.

    Parameters
    ----------
    probabilities
        Shape ``(n, 10)``: what networks say of the pieces that have not heard their artists.
    length_one
        How the vectors of the model's space are prepared; the other way is shown beside it.

    Raises
    ------
    UsageError
        When the table has too few genres or artists for a circle.
    """
    world = World(table.features, table.labels, probabilities.argmax(axis=1), table.groups)
    own, other = (LENGTH_ONE, STANDARDISED) if length_one else (STANDARDISED, LENGTH_ONE)
    rankings = {name: RANKINGS[name] for name in _SHOWN if name in RANKINGS}
    results = simulate(world, plan=CirclePlan(circles=circles), preparations=(own, other), rankings=rankings)
    return tuple(_rows(results, own.name))


def _rows(results: tuple[RankingResult, ...], own: str) -> Iterator[CircleRow]:
    for result in sorted(results, key=lambda one: (one.asked_by, one.tags, one.preparation != own)):
        if result.ranking in (_SHOWN if result.preparation == own else _SHOWN_OTHERWISE_PREPARED):
            yield CircleRow(
                asked_by=result.asked_by,
                tags=result.tags,
                ranking=result.ranking,
                preparation=result.preparation,
                right_person=result.right_person,
                fitting_first_ten=result.fitting_first_ten,
                lucky_winner=result.lucky_winner,
                gain=result.gain,
            )

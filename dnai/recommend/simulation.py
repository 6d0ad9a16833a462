"""Does it find the right person? Measured in simulated circles, for ways of ranking and of preparing vectors.

The right person of a request is the peer of whose collection the largest share truly is of the genre wished for. Every
way is tried on the same circles, so that differences are those of one circle with itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnai.errors import UsageError
from dnai.genre.evaluation import RESAMPLES, Figure
from dnai.recommend.circles import CirclePlan, World, draw_circles
from dnai.recommend.preparations import PREPARATIONS, AskedBy, Offered, Preparation, PreparedWorld, asks
from dnai.recommend.ranking import HANDFUL
from dnai.recommend.rankings import MISSION, RANKINGS, Ranking

CHANCE = "chance"
BEST_POSSIBLE = "best possible"


@dataclass(frozen=True, slots=True)
class RankingResult:
    """What one way of ranking is worth, with 95 % intervals of a bootstrap over circles.

    Attributes
    ----------
    ranking, preparation
        Their names; `CHANCE` is a winner drawn among the offers, `BEST_POSSIBLE` what nobody could do better with them.
    tags
        Whether every track has its true genre from a tag; else all have what the classifier told.
    asked_by
        Whether the request was for a genre, with the midpoint of the asker's tracks, or by one of the asker's songs.
    right_person
        How often the right person wins.
    fitting_first_ten
        The share of tracks that truly are of the genre wished for among the first ten of the winner's playlist.
    lucky_winner
        How often somebody wins who has a handful of tracks of the genre and is not the right person.
    gain, fitting_gain
        By how much `right_person` and `fitting_first_ten` are above those of the mission's mean, circle by circle.
    """

    ranking: str
    preparation: str
    tags: bool
    asked_by: AskedBy
    right_person: Figure
    fitting_first_ten: Figure
    lucky_winner: Figure
    gain: Figure
    fitting_gain: Figure


class Case(NamedTuple):
    """What an outcome belongs to."""

    ranking: str
    preparation: str
    tags: bool
    asked_by: AskedBy


class Outcome(NamedTuple):
    """What came of one request: whether the right person won, what share fitted, whether it was a lucky handful."""

    right: float
    fitting: float
    lucky: float


def simulate(
    world: World,
    *,
    plan: CirclePlan,
    preparations: Sequence[Preparation] = PREPARATIONS,
    rankings: Mapping[str, Ranking] = RANKINGS,
) -> tuple[RankingResult, ...]:
    """Return what each way of ranking is worth, for each preparation, with tags and without, by genre and by song.

    Everything is seeded by `plan`. The intervals say how sure the figures are for these tracks, not for all music.

    Raises
    ------
    UsageError
        When the mission's mean is not among `rankings`, or the world has too few genres or artists.
    """
    outcomes = run_circles(world, plan=plan, preparations=preparations, rankings=rankings)
    rng = np.random.default_rng(plan.seed)
    weights = rng.multinomial(plan.circles, np.full(plan.circles, 1 / plan.circles), size=RESAMPLES) / plan.circles
    results = []
    for case, numbers in outcomes.items():
        gains = numbers - outcomes[case._replace(ranking=MISSION)]
        figures = _figures(np.concatenate([numbers, gains[:, :2]], axis=1), weights)
        results.append(RankingResult(*case, *figures))
    return tuple(results)


def run_circles(
    world: World,
    *,
    plan: CirclePlan,
    preparations: Sequence[Preparation] = PREPARATIONS,
    rankings: Mapping[str, Ranking] = RANKINGS,
) -> dict[Case, NDArray[np.float64]]:
    """Return the outcomes, shape ``(circles, 3)`` as in `Outcome`, of each case; raises as `simulate`."""
    if MISSION not in rankings:
        raise UsageError(f"rankings are measured against {MISSION!r}, which is missing")
    prepared = [PreparedWorld(world, preparation) for preparation in preparations]
    outcomes: dict[Case, list[Outcome]] = {}
    for circle in draw_circles(world, plan):
        for ask in asks(world, circle):
            for space in prepared:
                for ranking, outcome in _outcomes(space.offered(ask, circle), rankings):
                    case = Case(ranking, space.preparation.name, ask.tags, ask.asked_by)
                    outcomes.setdefault(case, []).append(outcome)
    return {case: np.array(each) for case, each in outcomes.items()}


def _figures(numbers: NDArray[np.float64], weights: NDArray[np.float64]) -> list[Figure]:
    """The mean and interval of each column of `numbers`, ``(circles, m)``; `weights` is ``(resamples, circles)``."""
    low, high = np.percentile(weights @ numbers, (2.5, 97.5), axis=0)
    values = (numbers.mean(axis=0), low, high)
    return [Figure(*each) for each in zip(*(column.tolist() for column in values), strict=True)]


def _outcomes(offered: Offered, rankings: Mapping[str, Ranking]) -> Iterator[tuple[str, Outcome]]:
    """What each way of ranking makes of the offers, and beside them what chance and knowing all would make."""
    right, fitting = offered.right.astype(np.float64), offered.fitting
    lucky = ((offered.offers.tracks < HANDFUL) & ~offered.right).astype(np.float64)
    if not len(right):
        yield from ((name, Outcome(0.0, 0.0, 0.0)) for name in (*rankings, CHANCE, BEST_POSSIBLE))
        return
    for name, ranking in rankings.items():
        winner = int(np.argmin(ranking(offered.offers)))
        yield name, Outcome(right[winner], fitting[winner], lucky[winner])
    yield CHANCE, Outcome(right.mean(), fitting.mean(), lucky.mean())
    yield BEST_POSSIBLE, Outcome(right.max(), fitting.max(), lucky.min())

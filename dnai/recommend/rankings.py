"""Ways of ranking the offers of a circle, to be measured against each other.

Each takes what the peers could tell, or send as one number, and gives a score a peer: the smallest wins.
The mission's is the mean distance to all tracks of the genre.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dnai.recommend.ranking import HANDFUL, weighed_distances

MISSION = "mean"
"""The name of the mission's way of ranking."""

HANDFULS_LAST = "mean, handfuls last"
TEN_NEAREST_FILLED = "10 nearest, filled"
SHARE_ALONE = "share alone"
BY_SHARE_GUARDED = "mean / root of share, guarded"


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """What the peers that have any track of the genre asked for know when they make their offers.

    Attributes
    ----------
    distances
        Shape ``(p, m)``: from the vector asked with to each peer's tracks of that genre, the nearest first; zeros after
        the last one.
    tracks, collection
        How many tracks of that genre each peer has, and how many in all, shape ``(p,)``.
    midpoint
        The distance to each peer's own midpoint of that genre, shape ``(p,)``.
    everything
        The mean distance to all tracks of each peer, of whatever genre, shape ``(p,)``.
    """

    distances: NDArray[np.float64]
    tracks: NDArray[np.int64]
    collection: NDArray[np.int64]
    midpoint: NDArray[np.float64]
    everything: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mission's mean distance."""
        mean: NDArray[np.float64] = self.distances.sum(axis=1) / self.tracks
        return mean

    @property
    def share(self) -> NDArray[np.float64]:
        """The share of that genre in each collection."""
        return self.tracks / self.collection


Scores = NDArray[np.float64]
Ranking = Callable[[Offers], Scores]


def mean(offers: Offers) -> Scores:
    """Score by the mean distance to all tracks of the genre."""
    return offers.mean


def nearest(offers: Offers, *, k: int) -> Scores:
    """Score by the mean distance to the `k` nearest, or to all where there are fewer."""
    scores: Scores = offers.distances[:, :k].sum(axis=1) / np.minimum(offers.tracks, k)
    return scores


def nearest_filled(offers: Offers, *, k: int) -> Scores:
    """Score by the mean over the `k` nearest; each one missing counts as far as the farthest mean of all offers."""
    missing = np.maximum(k - offers.tracks, 0)
    scores: Scores = (offers.distances[:, :k].sum(axis=1) + missing * offers.mean.max()) / k
    return scores


def shrunk_to_worst(offers: Offers, *, weight: float) -> Scores:
    """Score by the mean, as if each peer had `weight` tracks more, as far away as the farthest mean of all offers."""
    return _shrunk(offers, weight=weight, prior=float(offers.mean.max()))


def shrunk_to_all(offers: Offers, *, weight: float) -> Scores:
    """Score by the mean, as if each peer had `weight` tracks more, as far away as all tracks offered are on average."""
    return _shrunk(offers, weight=weight, prior=float(offers.distances.sum() / offers.tracks.sum()))


def handfuls_last(offers: Offers) -> Scores:
    """Score by the mean, but whoever has a handful comes after everybody else."""
    return _behind(offers, offers.mean)


def by_share(offers: Offers) -> Scores:
    """Score by the mean distance divided by the root of the share of the genre in the collection."""
    scores: Scores = offers.mean / np.sqrt(offers.share)
    return scores


def by_share_guarded(offers: Offers) -> Scores:
    """Score as requesters do: by `weighed_distances`."""
    return weighed_distances(offers.mean, offers.tracks, offers.collection)


def largest_share(offers: Offers) -> Scores:
    """Score by the share of the genre in the collection alone: the vector asked with plays no part."""
    return -offers.share


def everything(offers: Offers) -> Scores:
    """Score by the mean distance to the whole collection, whatever its genres."""
    return offers.everything


def midpoint(offers: Offers) -> Scores:
    """Score by the distance to the peer's own midpoint of the genre."""
    return offers.midpoint


RANKINGS: Mapping[str, Ranking] = MappingProxyType(
    {
        MISSION: mean,
        HANDFULS_LAST: handfuls_last,
        "mean, shrunk to all (10)": partial(shrunk_to_all, weight=10),
        "mean, shrunk to worst (10)": partial(shrunk_to_worst, weight=10),
        "5 nearest": partial(nearest, k=5),
        "10 nearest": partial(nearest, k=10),
        "25 nearest": partial(nearest, k=25),
        TEN_NEAREST_FILLED: partial(nearest_filled, k=10),
        "25 nearest, filled": partial(nearest_filled, k=25),
        "midpoint": midpoint,
        "whole collection": everything,
        "mean / root of share": by_share,
        BY_SHARE_GUARDED: by_share_guarded,
        SHARE_ALONE: largest_share,
    }
)
"""The ways of ranking that are measured, by the names they have in tables."""


def _shrunk(offers: Offers, *, weight: float, prior: float) -> Scores:
    scores: Scores = (offers.distances.sum(axis=1) + weight * prior) / (offers.tracks + weight)
    return scores


def _behind(offers: Offers, scores: Scores) -> Scores:
    """Positive scores, with those of the handfuls above all others."""
    return scores + np.where(offers.tracks < HANDFUL, scores.max(), 0.0)

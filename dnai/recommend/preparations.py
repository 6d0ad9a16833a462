"""Requests in a simulated circle, and what its peers offer, in vectors prepared in one way or another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnai.genre.model import scale_to_length_one
from dnai.recommend.circles import Circle, World
from dnai.recommend.distance import euclidean_distances
from dnai.recommend.rankings import Offers

FIRST = 10
"""How many tracks at the head of a playlist are looked at."""

TIE = 0.05
"""Peers whose shares differ by less are equally right: so much comes of rounding a taste to whole tracks."""

AskedBy = Literal["genre", "song"]


def standardised(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return raw features, shape ``(n, d)``, with mean 0 and variance 1 in each column; a constant one becomes 0."""
    scale = features.std(axis=0)
    rows: NDArray[np.float64] = (features - features.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    return rows


@dataclass(frozen=True, slots=True)
class Preparation:
    """How raw features become the vectors that distances are taken between.

    `standardise` and `length_one` say what is done to a track, `midpoint_length_one` whether a midpoint of such
    vectors is scaled to length one again.
    """

    name: str
    standardise: bool = True
    length_one: bool = False
    midpoint_length_one: bool = False

    def vectors(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the vectors of raw features, both of shape ``(n, d)``."""
        rows = (standardised(features) if self.standardise else features).astype(np.float32)
        return scale_to_length_one(rows) if self.length_one else rows

    def midpoints(self, means: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the midpoints that have these means, both of shape ``(n, d)``."""
        return scale_to_length_one(means) if self.midpoint_length_one else means


STANDARDISED = Preparation("standardised")
LENGTH_ONE = Preparation("length one", length_one=True)
LENGTH_ONE_MIDPOINTS = Preparation("length one, midpoints too", length_one=True, midpoint_length_one=True)
RAW_LENGTH_ONE = Preparation("raw, length one", standardise=False, length_one=True)
RAW_LENGTH_ONE_MIDPOINTS = Preparation(
    "raw, length one, midpoints too", standardise=False, length_one=True, midpoint_length_one=True
)
PREPARATIONS = (STANDARDISED, LENGTH_ONE, LENGTH_ONE_MIDPOINTS)
"""What is measured in every space. The raw ones only make sense where all features have the same unit."""


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """One request of a circle's asker.

    Attributes
    ----------
    genre
        The genre that it names.
    rows
        The asker's tracks whose mean it carries; empty where the asker has none of that genre.
    said
        What genre the catalogues say each track of the world is of, shape ``(n,)``.
    tags, asked_by
        Whether the catalogues know from tags, and what the request starts from.
    """

    genre: int
    rows: NDArray[np.intp]
    said: NDArray[np.int64]
    tags: bool
    asked_by: AskedBy


def asks(world: World, circle: Circle) -> Iterator[Ask]:
    """Yield the four requests of a circle: with tags and without, by genre and by song.

    The wish is the same in all of them. Without tags a song is asked with the genre that the classifier gave it, be it
    wrong; what fits is still what is truly of the song's genre.
    """
    for tags, said in ((True, world.genres), (False, world.told)):
        own = circle.own[said[circle.own] == circle.wish]
        yield Ask(circle.wish, own, said, tags, "genre")
        yield Ask(int(said[circle.song]), np.array([circle.song]), said, tags, "song")


@dataclass(frozen=True, slots=True, eq=False)
class Offered:
    """The offers to one request, and what they are truly worth.

    Attributes
    ----------
    offers
        Those of the peers that have tracks which are said to be of the genre; maybe of nobody.
    right
        Which of them is the right person, shape ``(p,)``; several where they are equally right.
    fitting
        The share of truly fitting tracks among the first ten of each one's playlist, shape ``(p,)``. A track that a
        peer has several times is in it once.
    """

    offers: Offers
    right: NDArray[np.bool_]
    fitting: NDArray[np.float64]


class PreparedWorld:
    """A world whose tracks have become vectors."""

    def __init__(self, world: World, preparation: Preparation) -> None:
        self.preparation = preparation
        self._world = world
        self._vectors = preparation.vectors(world.features)

    def offered(self, ask: Ask, circle: Circle) -> Offered:
        """Return the offers of the peers of `circle`, and their worth."""
        fits = self._world.genres == circle.wish
        vector = self._vector(ask, fits)
        distances = euclidean_distances(vector, self._vectors).astype(np.float64)
        share = circle.held @ fits / circle.sizes
        of_genre = circle.held * (ask.said == ask.genre)
        who = np.flatnonzero(of_genre.any(axis=1))
        held, of_genre, sizes = circle.held[who], of_genre[who], circle.sizes[who]
        order = np.argsort(distances, kind="stable")
        offers = Offers(
            distances=_in_order(distances[order], of_genre[:, order]),
            tracks=of_genre.sum(axis=1),
            collection=sizes,
            midpoint=euclidean_distances(vector, self._midpoints(of_genre)).astype(np.float64),
            everything=held @ distances / sizes,
        )
        return Offered(offers, (share > share.max() - TIE)[who], _fitting_first(of_genre[:, order], fits[order]))

    def _vector(self, ask: Ask, fits: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The vector of the request; the whole world's midpoint stands in for an asker without such tracks."""
        if ask.asked_by == "song":
            vector: NDArray[np.float32] = self._vectors[ask.rows[0]]
            return vector
        counts = np.bincount(ask.rows, minlength=len(fits)) if len(ask.rows) else fits
        midpoint: NDArray[np.float32] = self._midpoints(counts[np.newaxis])[0]
        return midpoint

    def _midpoints(self, counts: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.float32]:
        """The midpoint of so many of each track, shape ``(p, d)`` for counts of shape ``(p, n)``."""
        means: NDArray[np.float64] = counts.astype(np.float64) @ self._vectors / counts.sum(axis=1, keepdims=True)
        return self.preparation.midpoints(means.astype(np.float32))


def _in_order(distances: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each peer's distances, nearest first, as `Offers` has them; `distances` are sorted, `counts` is ``(p, n)``."""
    totals = counts.sum(axis=1)
    rows = np.zeros((len(counts), totals.max(initial=0)))
    is_filled = np.arange(rows.shape[1]) < totals[:, np.newaxis]
    rows[is_filled] = np.repeat(np.tile(distances, len(counts)), counts.ravel())
    return rows


def _fitting_first(counts: NDArray[np.int64], fits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The share that fits of each peer's first tracks; both are in the order of distance."""
    has = counts > 0
    first = has & (has.cumsum(axis=1) <= FIRST)
    share: NDArray[np.float64] = (first & fits).sum(axis=1) / first.sum(axis=1)
    return share

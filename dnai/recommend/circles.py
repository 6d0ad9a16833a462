"""Simulated circles: an asker and peers, each with a taste and a collection drawn out of labelled tracks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnai.errors import UsageError

TASTES: tuple[tuple[float, ...], ...] = ((1.0,), (0.7, 0.3), (0.5, 0.3, 0.2))
"""The shares that the genres of a peer of one, two or three genres have in its collection."""

_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The labelled tracks that collections are drawn from; row ``i`` of everything is track ``i``.

    Attributes
    ----------
    features
        Raw features, shape ``(n, d)``.
    genres, told
        The true genre of each track, and the genre that a classifier gave it which had not heard its artist; shape
        ``(n,)``, small whole numbers.
    groups
        The artist of each track, shape ``(n,)``.

    Raises
    ------
    UsageError
        When there is not one of each for every track, or a feature is not finite.
    """

    features: NDArray[np.float64]
    genres: NDArray[np.int64]
    told: NDArray[np.int64]
    groups: NDArray[np.str_]

    def __post_init__(self) -> None:
        shape = self.features.shape
        if len(shape) != 2 or {self.genres.shape, self.told.shape, self.groups.shape} != {shape[:1]}:
            counts = f"{len(self.genres)} genres, {len(self.told)} told ones and {len(self.groups)} artists"
            raise UsageError(f"features of shape {shape} for {counts}")
        if not np.isfinite(self.features).all():
            raise UsageError("a world is made of finite features")

    def __len__(self) -> int:
        return len(self.genres)


@dataclass(frozen=True, slots=True)
class CirclePlan:
    """What circles are drawn: ranges are from, to and with.

    Attributes
    ----------
    circles, peers
        How many circles, and of how many peers besides the asker.
    tracks
        The size of a collection, log-uniform.
    holders
        How many peers, at least, must have the genre asked for in their taste, so that there is something to decide.
    asker_artists
        The share of all artists that only the asker may have; the peers have none of them.

    Raises
    ------
    UsageError
        When no circle can be like that.
    """

    circles: int = 1000
    peers: tuple[int, int] = (5, 10)
    tracks: tuple[int, int] = (20, 400)
    holders: int = 2
    asker_artists: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.circles < 1 or not 0 < self.asker_artists < 1:
            raise UsageError(f"{self.circles} circles with {self.asker_artists:.0%} of the artists for the asker")
        for what, (low, high), least in (("peers", self.peers, self.holders), ("tracks", self.tracks, 1)):
            if not 1 <= least <= low <= high:
                raise UsageError(f"a circle cannot have from {low} to {high} {what}")


@dataclass(frozen=True, slots=True, eq=False)
class Circle:
    """One circle, and what its asker asks for.

    Attributes
    ----------
    wish
        The genre asked for; the asker has it.
    own
        The rows of the asker's tracks.
    song
        The row of the one of them, of the genre `wish`, that the asker asks by.
    held
        How many times each peer has each track of the world, shape ``(peers, n)``. More than once only where there are
        not as many different ones as the peer would have.
    """

    wish: int
    own: NDArray[np.intp]
    song: int
    held: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many tracks each peer has."""
        sizes: NDArray[np.int64] = self.held.sum(axis=1)
        return sizes


_Taste = tuple[NDArray[np.int64], tuple[float, ...]]


def draw_circles(world: World, plan: CirclePlan) -> Iterator[Circle]:
    """Yield the circles of `plan`; the same ones each time.

    Raises
    ------
    UsageError
        When the artists of `world` cannot be shared out so that both sides have every genre.
    """
    rng = np.random.default_rng(plan.seed)
    genres = np.unique(world.genres)
    if len(genres) < len(TASTES[-1]):
        raise UsageError(f"a circle needs tracks of {len(TASTES[-1])} genres, and there are {len(genres)}")
    for _ in range(plan.circles):
        is_own = _share_out(rng, world, plan.asker_artists)
        taste = _draw_taste(rng, genres)
        wish = int(rng.choice(taste[0]))
        own = _draw_collection(rng, world, taste, is_own, plan)
        peers = [_draw_collection(rng, world, other, ~is_own, plan) for other in _draw_peers(rng, genres, wish, plan)]
        song = int(rng.choice(own[world.genres[own] == wish]))
        yield Circle(wish, own, song, np.stack([np.bincount(rows, minlength=len(world)) for rows in peers]))


def _share_out(rng: np.random.Generator, world: World, share: float) -> NDArray[np.bool_]:
    """Whose tracks are the asker's: of some artists all, of the others none; every genre is on both sides."""
    artists, of_track = np.unique(world.groups, return_inverse=True)
    genres = len(np.unique(world.genres))
    count = max(1, round(share * len(artists)))
    for _ in range(_ATTEMPTS):
        chosen = np.zeros(len(artists), dtype=np.bool_)
        chosen[rng.choice(len(artists), size=count, replace=False)] = True
        is_own: NDArray[np.bool_] = chosen[of_track]
        if len(np.unique(world.genres[is_own])) == len(np.unique(world.genres[~is_own])) == genres:
            return is_own
    raise UsageError(f"{len(artists)} artists are too few: asker and peers would not both have tracks of every genre")


def _draw_taste(rng: np.random.Generator, genres: NDArray[np.int64]) -> _Taste:
    shares = TASTES[rng.integers(len(TASTES))]
    return rng.choice(genres, size=len(shares), replace=False), shares


def _draw_peers(rng: np.random.Generator, genres: NDArray[np.int64], wish: int, plan: CirclePlan) -> list[_Taste]:
    """Tastes drawn again until enough of them have the genre asked for."""
    count = int(rng.integers(plan.peers[0], plan.peers[1] + 1))
    while True:
        tastes = [_draw_taste(rng, genres) for _ in range(count)]
        if sum(wish in chosen for chosen, _ in tastes) >= plan.holders:
            return tastes


def _draw_collection(
    rng: np.random.Generator, world: World, taste: _Taste, allowed: NDArray[np.bool_], plan: CirclePlan
) -> NDArray[np.intp]:
    """The rows of a collection; at least one track of each genre of the taste."""
    size = round(float(np.exp(rng.uniform(*np.log(plan.tracks)))))
    parts = []
    for genre, share in zip(*taste, strict=True):
        supply = np.flatnonzero(allowed & (world.genres == genre))
        count = max(1, round(share * size))
        parts.append(rng.choice(supply, size=count, replace=count > len(supply)))
    return np.concatenate(parts)

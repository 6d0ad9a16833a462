"""Midpoints: the owner's taste, one vector a genre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnai.errors import UsageError
from dnai.library.collection import SpaceVectors
from dnai.library.columns import GENRES
from dnai.library.track_list import genre_codes
from dnai.tracks import Genre, Track


@dataclass(frozen=True, slots=True)
class Midpoint:
    """The centre of one genre: the mean vector, and of how many tracks; 0 tracks means the model's own."""

    vector: NDArray[np.float32]
    tracks: int

    @property
    def is_reference(self) -> bool:
        """Whether it is the model's midpoint, standing in for an owner without such tracks."""
        return self.tracks == 0


def genre_midpoints(
    genres: Sequence[Genre], matrix: NDArray[np.float32], *, reference: Mapping[Genre, NDArray[np.float32]]
) -> dict[Genre, Midpoint]:
    """Return the midpoint of each genre that has tracks or a reference.

    Parameters
    ----------
    genres
        The genre of each track, length ``n``.
    matrix
        The vector of each track in one feature space, shape ``(n, d)``.
    reference
        The model's own midpoints, shape ``(d,)`` each, for genres of which the owner has no track.

    Raises
    ------
    UsageError
        When there are not as many genres as vectors.
    """
    if len(genres) != len(matrix):
        raise UsageError(f"{len(genres)} genres for {len(matrix)} vectors")
    midpoints = {genre: Midpoint(vector=vector, tracks=0) for genre, vector in reference.items()}
    for genre in Genre:
        rows = [i for i, other in enumerate(genres) if other is genre]
        if rows:
            mean = matrix[rows].mean(axis=0, dtype=np.float64).astype(np.float32)
            midpoints[genre] = Midpoint(vector=mean, tracks=len(rows))
    return midpoints


def space_midpoints(
    tracks: Sequence[Track], space: SpaceVectors, *, reference: Mapping[Genre, NDArray[np.float32]]
) -> dict[Genre, Midpoint]:
    """Return the midpoint of each genre in one space, out of those of the tracks that have a vector in it.

    Raises as `genre_midpoints`.
    """
    genres = [GENRES[code] for code in genre_codes(tracks)[space.rows].tolist()]
    return genre_midpoints(genres, space.vectors, reference=reference)

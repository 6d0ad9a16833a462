"""Euclidean distances from one vector to many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dnai.errors import UsageError

_BLOCK_BYTES = 1 << 19  # of differences, which stay in the processor's cache


def euclidean_distances(
    vector: NDArray[np.float32], matrix: NDArray[np.float32], *, places: NDArray[np.intp] | None = None
) -> NDArray[np.float32]:
    """Return the distance from `vector` to rows of `matrix`.

    ``d[i] = sqrt(sum((matrix[places[i]] - vector) ** 2))``

    The differences are squared as they are: what would be faster, ``|m|² - 2 m·v + |v|²``, loses the
    distances of what is nearly the same.

    Parameters
    ----------
    vector
        Shape ``(d,)``, in the units of the feature space.
    matrix
        Shape ``(n, d)``, in the same space.
    places
        Which rows, shape ``(k,)``, each of them there; all of them where it is not given.

    Returns
    -------
    NDArray
        Shape ``(k,)`` or ``(n,)``, in the same units.

    Raises
    ------
    UsageError
        When the two have different dimensions.
    """
    if matrix.ndim != 2 or vector.shape != matrix.shape[1:]:
        raise UsageError(f"a vector of shape {vector.shape} has no distance to rows of shape {matrix.shape[1:]}")
    distances = np.empty(len(matrix) if places is None else len(places), dtype=np.float32)
    rows = min(len(distances), max(1, _BLOCK_BYTES // max(1, vector.nbytes)))
    differences = np.empty((rows, len(vector)), dtype=np.float32)
    for start in range(0, len(distances), rows or 1):
        block = slice(start, start + rows)
        difference = differences[: len(distances[block])]
        if places is None:
            np.subtract(matrix[block], vector, out=difference)
        else:
            # NumPy would copy once more to find out whether a place is none; `Shelf` has looked.
            np.take(matrix, places[block], axis=0, out=difference, mode="clip")
            np.subtract(difference, vector, out=difference)
        np.einsum("ij,ij->i", difference, difference, out=distances[block])
    return np.sqrt(distances, out=distances)


def nearest_rows(distances: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """Return the places of the `limit` shortest distances, the shortest first, those that are equal in their order.

    It is the beginning of a stable sort, without sorting the rest.
    """
    if not 0 < limit < len(distances):
        return np.argsort(distances, kind="stable")[: max(limit, 0)]
    bound = np.partition(distances, limit - 1)[limit - 1]
    near = np.flatnonzero(~(distances > bound))  # with those that are no number, which come last
    return near[np.argsort(distances[near], kind="stable")[:limit]]

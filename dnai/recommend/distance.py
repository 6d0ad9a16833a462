"""Euclidean distances from one vector to many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dnai.errors import UsageError


def euclidean_distances(vector: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distance from `vector` to each row of `matrix`.

    ``d[i] = sqrt(sum((matrix[i] - vector) ** 2))``

    Parameters
    ----------
    vector
        Shape ``(d,)``, in the units of the feature space.
    matrix
        Shape ``(n, d)``, in the same space.

    Returns
    -------
    NDArray
        Shape ``(n,)``, in the same units.

    Raises
    ------
    UsageError
        When the two have different dimensions.
    """
    if matrix.ndim != 2 or vector.shape != matrix.shape[1:]:
        raise UsageError(f"a vector of shape {vector.shape} has no distance to rows of shape {matrix.shape[1:]}")
    difference = matrix - vector
    distances: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return distances

"""Whose offer is best: the mean distance, weighed by how much of the collection is of the genre.

The mean distance alone says how near a peer's tracks of a genre are, and nothing of whether that
genre is what the peer mostly has. Weighing it by the share finds the right person far more often in
simulated circles (`dnai.recommend.simulation`; the figures are in the model cards).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HANDFUL = 5
"""A provider with fewer tracks of a genre than this has a handful, of which the mean says little."""

UNTOLD = 0
"""In place of the size of a collection: it is not known."""


def weighed_distances(
    mean: NDArray[np.float64], tracks: NDArray[np.int64], collection: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what offers are ranked by, the smallest first: ``mean * sqrt((collection + HANDFUL) / tracks)``.

    The share of the genre is taken as if each collection had a handful of tracks more, of something
    else, since of a tiny collection it says little. Who has a handful comes after everybody else.

    Parameters
    ----------
    mean
        The mean distance of each offer to its tracks of the genre, shape ``(p,)``.
    tracks, collection
        How many tracks of the genre each provider has, and how many in all, shape ``(p,)``. Where the
        size of a collection is `UNTOLD`, its share counts as the smallest of those that are known.
    """
    if not len(mean):
        return np.empty(0)
    told = collection != UNTOLD
    share = tracks / (np.maximum(collection, tracks) + HANDFUL)
    share = np.where(told, share, share[told].min() if told.any() else 1.0)
    weighed: NDArray[np.float64] = mean / np.sqrt(share)
    return weighed + np.where(tracks < HANDFUL, weighed.max() + 1.0, 0.0)

"""Simulated circles out of labelled music, for the figures of a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dnai.genre.record import CircleRow
from dnai.genre.table import FeatureTable


def simulate_circles(
    table: FeatureTable, probabilities: NDArray[np.float64], *, length_one: bool
) -> tuple[CircleRow, ...]:
    """Placeholder."""
    return ()

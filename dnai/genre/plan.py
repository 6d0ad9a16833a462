"""How the networks are built and trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How a network is built and trained.

    Attributes
    ----------
    hidden
        Units of the hidden layers.
    members
        How many networks are trained and averaged.
    epochs
        Passes over the data.
    check_every
        After how many passes each a network is tried on artists that it has not heard, for the learning curve.
    length_one
        Whether the network itself scales its standardised input to length one first.
    noise
        Standard deviation of the noise added to the standardised input while training.
    mixup
        Alpha of the Beta distribution that two pieces are mixed with (Zhang et al. 2018); 0: unmixed.
    label_smoothing
        The share of each target that is spread over all genres.
    """

    hidden: tuple[int, ...]
    members: int
    epochs: int
    check_every: int
    batch_size: int
    dropout: float
    learning_rate: float
    weight_decay: float
    length_one: bool
    noise: float
    mixup: float
    label_smoothing: float
    seed: int = 0


PLANS: Mapping[str, TrainingPlan] = MappingProxyType(
    {
        "librosa26": TrainingPlan(
            hidden=(256, 128, 64),
            members=10,
            epochs=60,
            check_every=10,
            batch_size=64,
            dropout=0.5,
            learning_rate=1e-3,
            weight_decay=1e-4,
            length_one=False,
            noise=0.0,
            mixup=0.0,
            label_smoothing=0.1,
        ),
        "musicnn200": TrainingPlan(
            hidden=(),
            members=10,
            epochs=50,
            check_every=10,
            batch_size=64,
            dropout=0.0,
            learning_rate=5e-4,
            weight_decay=1e-4,
            length_one=True,
            noise=0.7,
            mixup=0.0,
            label_smoothing=0.1,
        ),
    }
)
"""What artist-grouped cross-validation chose for each feature space."""

"""Training a genre model so that its figures fool nobody.

The figures of a model come from cross-validation by artist: the table is cut into folds with whole artists in each, and
every piece is answered by a network that has heard neither its track nor its artist. The scaler
of each fold is fitted on the part that the network learns from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from dnai.errors import ModelError
from dnai.genre.network import Network, averaged_probabilities, fit_temperature
from dnai.genre.plan import TrainingPlan
from dnai.genre.record import LearningPoint
from dnai.genre.table import LABELS, FeatureTable

FOLDS = 5

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """What networks say of pieces that they have not learned from.

    Attributes
    ----------
    probabilities
        Shape ``(n, 10)``: calibrated, with a temperature from the other folds.
    temperature
        What calibrates the answers of all folds together.
    curve
        After how many passes what was reached, over all folds.
    """

    probabilities: NDArray[np.float64]
    temperature: float
    curve: tuple[LearningPoint, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedNetwork:
    """A network that has learned from a whole table, and the scaler of its input: mean and scale, shape ``(d,)``."""

    network: keras.Model
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]


def cross_validate(table: FeatureTable, plan: TrainingPlan, *, report: Report, leaky: bool = False) -> CrossValidation:
    """Answer every piece of `table` by a network that has not learned from it.

    Parameters
    ----------
    leaky
        Split over pieces instead of artists. Pieces of one song are then on both sides, and the figure is not one of
        recognising genres: it is only good for showing beside the honest one.
    report
        Told in a few words what is being done.

    Raises
    ------
    ModelError
        When there are fewer artists (tracks, where artists are unknown) than folds.
    """
    folds = _folds(table, seed=plan.seed, leaky=leaky)
    checks = [*range(plan.check_every, plan.epochs, plan.check_every), plan.epochs]
    logits = np.zeros((len(checks), len(table), plan.members, len(LABELS)), dtype=np.float32)
    losses = np.zeros((len(checks), len(folds)))
    for number, (learn, unheard) in enumerate(folds):
        report(f"fold {number + 1} of {len(folds)}: learning from {len(learn)} pieces, {len(unheard)} kept apart")
        scaler = StandardScaler().fit(table.features[learn])
        inputs = scaler.transform(table.features).astype(np.float32)
        network = Network(plan, inputs=inputs.shape[1])
        for i, epochs in enumerate(checks):
            passes = epochs - (checks[i - 1] if i else 0)
            losses[i, number] = network.train(inputs[learn], table.labels[learn], epochs=passes)
            logits[i, unheard] = network.logits(inputs[unheard])
    answers = [_calibrated(numbers, table.labels, folds) for numbers in logits]
    curve = tuple(
        LearningPoint(epochs, float(loss), _log_loss(answer, table.labels), _accuracy(answer, table.labels))
        for epochs, loss, answer in zip(checks, losses.mean(axis=1), answers, strict=True)
    )
    return CrossValidation(answers[-1], temperature=fit_temperature(logits[-1], table.labels), curve=curve)


def train_network(table: FeatureTable, plan: TrainingPlan, *, temperature: float) -> TrainedNetwork:
    """Return a network that has learned from every piece of `table`, calibrated with `temperature`."""
    scaler = StandardScaler().fit(table.features)
    network = Network(plan, inputs=table.features.shape[1])
    network.train(scaler.transform(table.features).astype(np.float32), table.labels, epochs=plan.epochs)
    return TrainedNetwork(network.calibrated(temperature), mean=scaler.mean_, scale=scaler.scale_)


_Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


def _folds(table: FeatureTable, *, seed: int, leaky: bool) -> list[_Fold]:
    """The rows to learn from and the rows kept apart, of each fold."""
    groups = len(np.unique(table.groups))
    if groups < FOLDS:
        raise ModelError(
            f"the table has {groups} artists (or tracks, where artists are unknown), and {FOLDS} folds need one each: "
            "give it more"
        )
    if leaky:
        return list(KFold(FOLDS, shuffle=True, random_state=seed).split(table.features))
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    return list(splitter.split(table.features, table.labels, table.groups))


def _calibrated(logits: NDArray[np.float32], labels: NDArray[np.int64], folds: list[_Fold]) -> NDArray[np.float64]:
    """The probabilities of each fold, with the temperature that suits the others."""
    probabilities = np.zeros((len(logits), len(LABELS)))
    for others, unheard in folds:
        temperature = fit_temperature(logits[others], labels[others])
        probabilities[unheard] = averaged_probabilities(logits[unheard], temperature=temperature)
    return probabilities


def _log_loss(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def _accuracy(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())

"""The network, in Keras: several trainings side by side, averaged into one.

Every member is a network of its own (26-256-128-64-10 in the space of the mission), with its own
first weights and its own dropout. They are trained together: their weights lie in arrays with an
axis for the members, so that one step serves all of them.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

from dnai.genre.plan import TrainingPlan
from dnai.genre.table import LABELS

_EACH_MEMBER = "bmi,mio->bmo"
_TEMPERATURES = (0.2, 5.0)


class Network:
    """Several untrained networks side by side, taking standardised features, shape ``(n, inputs)``."""

    def __init__(self, plan: TrainingPlan, *, inputs: int) -> None:
        keras.utils.set_random_seed(plan.seed)
        self._plan = plan
        self._inputs = inputs
        self._logits = _build(plan, inputs)
        self._logits.compile(
            optimizer=keras.optimizers.AdamW(plan.learning_rate, weight_decay=plan.weight_decay),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=plan.label_smoothing),
        )
        self._epochs = 0

    def train(self, inputs: NDArray[np.float32], labels: NDArray[np.int64], *, epochs: int) -> float:
        """Pass `epochs` more times over standardised features and their labels; return the loss of the last pass."""
        batches = _Batches(inputs, labels, replace(self._plan, seed=self._plan.seed + self._epochs))
        last = self._epochs + epochs
        history = self._logits.fit(batches, initial_epoch=self._epochs, epochs=last, verbose=0)
        self._epochs = last
        return float(history.history["loss"][-1])

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what each member says of standardised features, shape ``(n, members, 10)``."""
        answer: NDArray[np.float32] = self._logits.predict(inputs, batch_size=4096, verbose=0)
        return answer

    def calibrated(self, temperature: float) -> keras.Model:
        """Return the one network that answers with the mean of the members' probabilities, shape ``(n, 10)``."""
        scaled = layers.Rescaling(1 / temperature, name="temperature")(self._logits.output)
        members = layers.Softmax(name="members")(scaled)
        return keras.Model(self._logits.input, layers.GlobalAveragePooling1D(name="genres")(members))


def _build(plan: TrainingPlan, inputs: int) -> keras.Model:
    given = keras.Input(shape=(inputs,), name="features")
    flow = layers.UnitNormalization(name="length_one")(given) if plan.length_one else given
    if plan.length_one:  # the usual size of standardised numbers, which first weights are made for
        flow = layers.Rescaling(float(np.sqrt(inputs)), name="usual_size")(flow)
    flow = layers.RepeatVector(plan.members, name="each_member")(flow)
    flow = layers.GaussianNoise(plan.noise)(flow) if plan.noise else flow
    width = inputs
    for units in plan.hidden:
        flow = _dense(plan, width, units, activation="relu")(flow)
        flow = layers.Dropout(plan.dropout)(flow)
        width = units
    return keras.Model(given, _dense(plan, width, len(LABELS), activation=None)(flow))


def _dense(plan: TrainingPlan, inputs: int, units: int, *, activation: str | None) -> keras.Layer:
    """A dense layer of `units` in each member.

    The first weights are spread as those of one member would be (Glorot and Bengio 2010): Keras, which
    sees an array of three axes, would take the members for a part of the layer.
    """
    limit = float(np.sqrt(6 / (inputs + units)))
    return layers.EinsumDense(
        _EACH_MEMBER,
        output_shape=(plan.members, units),
        bias_axes="mo",
        activation=activation,
        kernel_initializer=keras.initializers.RandomUniform(-limit, limit),
    )


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """Shuffled batches, with the target once for each member, mixed where the plan says so."""

    def __init__(self, inputs: NDArray[np.float32], labels: NDArray[np.int64], plan: TrainingPlan) -> None:
        super().__init__()
        self._inputs = inputs
        self._targets = np.eye(len(LABELS), dtype=np.float32)[labels]
        self._plan = plan
        self._rng = np.random.default_rng(plan.seed)
        self._order = self._rng.permutation(len(inputs))

    def __len__(self) -> int:
        return -(-len(self._inputs) // self._plan.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = self._order[index * self._plan.batch_size : (index + 1) * self._plan.batch_size]
        inputs, targets = self._inputs[rows], self._targets[rows]
        if self._plan.mixup:
            inputs, targets = self._mixed(inputs, targets)
        return inputs, np.repeat(targets[:, np.newaxis], self._plan.members, axis=1)

    def on_epoch_end(self) -> None:
        """Shuffle anew."""
        self._order = self._rng.permutation(len(self._inputs))

    def _mixed(
        self, inputs: NDArray[np.float32], targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        others = self._rng.permutation(len(inputs))
        share = self._rng.beta(self._plan.mixup, self._plan.mixup, size=(len(inputs), 1)).astype(np.float32)
        return share * inputs + (1 - share) * inputs[others], share * targets + (1 - share) * targets[others]


def averaged_probabilities(logits: NDArray[np.floating], *, temperature: float) -> NDArray[np.float64]:
    """Return the mean over members of ``softmax(logits / temperature)``: ``(n, members, 10)`` → ``(n, 10)``."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    probabilities: NDArray[np.float64] = softmax(scaled, axis=2).mean(axis=1)
    return probabilities


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the temperature at which the answers of unheard pieces have the smallest log loss (Guo et al. 2017).

    `logits` has shape ``(n, members, 10)``, `labels` ``(n,)``.
    """
    numbers = np.asarray(logits, dtype=np.float64)

    def loss(log_temperature: float) -> float:
        each = log_softmax(numbers / np.exp(log_temperature), axis=2)[np.arange(len(labels)), :, labels]
        return float(-logsumexp(each, axis=1).mean())

    found = minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def to_litert(network: keras.Model) -> bytes:
    """Return the network as LiteRT runs it."""
    with contextlib.redirect_stdout(io.StringIO()):  # Keras tells there what it has exported
        converted: bytes = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    return converted

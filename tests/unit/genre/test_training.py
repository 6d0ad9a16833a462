"""Training on a tiny table: networks that have not heard an artist answer for it, the same for the same seed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is in the train extra only")

import keras
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from dnai.config import MODELS_DIR
from dnai.errors import ModelError
from dnai.genre import training
from dnai.genre.evaluation import evaluate
from dnai.genre.model import GenreModel
from dnai.genre.network import Network, averaged_probabilities, fit_temperature
from dnai.genre.plan import PLANS
from dnai.genre.training import cross_validate, train_network
from tests.unit.genre.conftest import TINY_PLAN, made_table

# Keras hands TensorFlow arrays that do not know numpy 2's copy argument.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

TABLE = made_table()


def quiet(text: str) -> None:
    """Takes the progress, and shows it to nobody."""


def test_the_network_of_the_mission_has_five_layers() -> None:
    """26-256-128-64-10, in each member."""
    plan = PLANS["librosa26"]
    network = Network(plan, inputs=26).calibrated(1.0)
    kernels = [weight.shape for weight in network.weights if len(weight.shape) == 3]
    sizes = [26, 256, 128, 64, 10]
    assert kernels == [(plan.members, a, b) for a, b in itertools.pairwise(sizes)]


@pytest.mark.parametrize("name", ["librosa26", "musicnn200"])
def test_the_shipped_litert_network_is_the_keras_network(name: str) -> None:
    """To 1e-5 on ordinary features, and on such as are far out."""
    model = GenreModel(MODELS_DIR / name)
    features = np.random.default_rng(0).normal(0, 300, (200, model.dimension))
    network = keras.saving.load_model(model.folder / "network.keras", compile=False)
    expected = network.predict(model.standardise(features), verbose=0)
    np.testing.assert_allclose(model.probabilities(features), expected, atol=1e-5)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-5)


def test_cross_validation_tells_easy_genres_apart() -> None:
    """Artists that no network of the fold has heard are told rightly where the genres differ."""
    result = cross_validate(TABLE, TINY_PLAN, report=quiet)
    figures = evaluate(result.probabilities, TABLE)
    assert figures.tracks.accuracy.value == 1.0
    assert [point.epochs for point in result.curve] == [4, 8, 12]
    assert 0.2 <= result.temperature <= 5.0


def test_artists_are_never_on_both_sides_unless_a_leak_is_asked_for() -> None:
    """Labels that belong to the artist alone can only be known by hearing the artist: here that is chance."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 6).astype(str)
    centres = rng.normal(0, 3, (40, 26))
    labels = np.repeat(rng.permutation(np.arange(40) % 2), 6)
    table = replace(
        made_table(),
        features=np.repeat(centres, 6, axis=0) + rng.normal(0, 0.1, (240, 26)),
        labels=labels,
        groups=groups,
        tracks=groups,
        split=np.full(240, ""),
        sources=np.full(240, ""),
    )
    honest = evaluate(cross_validate(table, TINY_PLAN, report=quiet).probabilities, table)
    leaky = evaluate(cross_validate(table, TINY_PLAN, report=quiet, leaky=True).probabilities, table)
    assert leaky.pieces.accuracy.value > 0.95
    assert honest.pieces.accuracy.value < 0.75


def test_the_scaler_of_a_fold_knows_nothing_of_the_rows_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is fitted once a fold, on the rows that are learned from."""
    fitted: list[int] = []

    class Spy(StandardScaler):  # type: ignore[misc]  # scikit-learn has no types
        def fit(self, features: NDArray[np.float64]) -> Spy:
            fitted.append(len(features))
            super().fit(features)
            return self

    monkeypatch.setattr(training, "StandardScaler", Spy)
    cross_validate(TABLE, TINY_PLAN, report=quiet)
    assert len(fitted) == 5
    assert sum(fitted) == 4 * len(TABLE)


def test_one_seed_gives_one_network_and_another_seed_another() -> None:
    """To the last bit of every answer."""
    inputs = np.random.default_rng(0).normal(size=(20, 26)).astype(np.float32)
    answers = [
        train_network(TABLE, replace(TINY_PLAN, seed=seed), temperature=1.0).network.predict(inputs, verbose=0)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.allclose(answers[0], answers[2], atol=1e-3)


def test_mixing_noise_and_length_one_train_too() -> None:
    """Every setting of a plan does something, and the network still learns."""
    plan = replace(TINY_PLAN, mixup=0.3, noise=0.2, length_one=True, hidden=())
    plain = cross_validate(TABLE, TINY_PLAN, report=quiet).probabilities
    other = cross_validate(TABLE, plan, report=quiet).probabilities
    assert not np.allclose(plain, other)
    assert evaluate(other, TABLE).tracks.accuracy.value == 1.0


def test_the_temperature_makes_an_overconfident_network_as_sure_as_it_may_be() -> None:
    """Logits that are three times too large are found to need a temperature of three."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (20_000, 10))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(10, p=row) for row in shares])
    assert fit_temperature(3 * logits[:, np.newaxis], labels) == pytest.approx(3, rel=0.05)


def test_members_are_averaged_as_probabilities() -> None:
    """Two members that are sure of different genres leave half a chance to each."""
    logits = np.full((1, 2, 10), -50.0)
    logits[0, 0, 3] = logits[0, 1, 7] = 50.0
    expected = np.zeros(10)
    expected[[3, 7]] = 0.5
    np.testing.assert_allclose(averaged_probabilities(logits, temperature=2.0)[0], expected, atol=1e-9)


def test_the_calibrated_network_says_what_its_members_say() -> None:
    """The one network that is written answers as the average of the logits does."""
    inputs = np.random.default_rng(0).normal(size=(9, 26)).astype(np.float32)
    network = Network(TINY_PLAN, inputs=26)
    expected = averaged_probabilities(network.logits(inputs), temperature=1.7)
    np.testing.assert_allclose(network.calibrated(1.7).predict(inputs, verbose=0), expected, atol=1e-6)


def test_fewer_artists_than_folds_are_refused() -> None:
    """With both numbers and what to do."""
    few = replace(TABLE, groups=np.array([f"artist {row % 4}" for row in range(len(TABLE))]))
    with pytest.raises(ModelError, match=r"has 4 artists .* 5 folds need one each: give it more"):
        cross_validate(few, TINY_PLAN, report=quiet)

"""Training the 26-256-128-64-10 network. The only module that imports TensorFlow."""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import keras
import msgspec
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit
from sklearn.preprocessing import StandardScaler

from dnai.audio.features import FEATURE_DEFINITION, FEATURE_NAMES
from dnai.errors import ModelError
from dnai.genre.evaluation import Evaluation, evaluate
from dnai.genre.model import (
    FORMAT_VERSION,
    KERAS_FILE,
    LITERT_FILE,
    MANIFEST_FILE,
    MIDPOINTS_FILE,
    SCALER_FILE,
    Manifest,
    Scaler,
    file_sha256,
)
from dnai.genre.table import LABELS, FeatureTable

CARD_FILE = "MODEL_CARD.md"
_MODEL_FILES = {MANIFEST_FILE, SCALER_FILE, MIDPOINTS_FILE, LITERT_FILE, KERAS_FILE, CARD_FILE}
HIDDEN_UNITS = (256, 128, 64)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train: the most passes over the data, the splits that choose how many it takes, and the seed."""

    max_epochs: int = 60
    splits: int = 5
    batch_size: int = 32
    dropout: float = 0.4
    learning_rate: float = 3e-4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What training gave: passes over the data, and the figures on tracks kept apart (None: none were)."""

    epochs: int
    held_out: Evaluation | None


def train_model(table: FeatureTable, folder: Path, *, name: str, plan: TrainingPlan) -> TrainingReport:
    """Train a model on `table` and write it to `folder`, whole or not at all.

    The rows marked ``valid`` are kept apart: a first network learns from the others, with part of
    them (whole artists) to tell when to stop, and is measured on the rows kept apart. Then the network
    that is written learns from all rows for as many passes.

    Raises
    ------
    ModelError
        When the table has too few artists to tell when to stop, or the folder cannot be written
        or holds other things than a model.
    """
    _check_place(folder)
    learning = table.rows(table.split != "valid")
    kept_apart = table.rows(table.split == "valid")
    epochs = _find_epochs(learning, plan)
    held_out = None
    if len(kept_apart):
        network, scaler = _fit(learning, epochs=epochs, plan=plan)
        probabilities = network.predict(scaler.transform(kept_apart.features), verbose=0)
        held_out = evaluate(probabilities, kept_apart)
        _logger.info("on tracks kept apart: %.1f %% of %d right", 100 * held_out.track_accuracy, held_out.tracks)
    network, scaler = _fit(table, epochs=epochs, plan=plan)
    report = TrainingReport(epochs=epochs, held_out=held_out)
    _write(folder, name=name, network=network, scaler=scaler, table=table, report=report)
    return report


def build_network(plan: TrainingPlan) -> keras.Sequential:
    """Return the untrained network: 26 inputs, three hidden layers with ReLU and dropout, ten softmax outputs."""
    stack: list[keras.Layer] = [keras.Input(shape=(len(FEATURE_NAMES),), name="features")]
    for units in HIDDEN_UNITS:
        stack += [layers.Dense(units, activation="relu"), layers.Dropout(plan.dropout)]
    network = keras.Sequential([*stack, layers.Dense(len(LABELS), activation="softmax", name="genres")])
    network.compile(
        optimizer=keras.optimizers.Adam(plan.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
    )
    return network


def _find_epochs(table: FeatureTable, plan: TrainingPlan) -> int:
    """How many passes were best, in the mean over several splits, for artists that a network had not heard."""
    if len(set(table.groups)) < 2:
        raise ModelError("the table has a single artist: nobody is left to tell when to stop learning")
    splitter = GroupShuffleSplit(n_splits=plan.splits, test_size=0.2, random_state=plan.seed)
    losses = [
        _unheard_losses(table, fit_rows, stop_rows, plan)
        for fit_rows, stop_rows in splitter.split(table.features, groups=table.groups)
    ]
    return int(np.mean(losses, axis=0).argmin()) + 1


def _unheard_losses(
    table: FeatureTable, fit_rows: NDArray[np.intp], stop_rows: NDArray[np.intp], plan: TrainingPlan
) -> list[float]:
    """The loss on `stop_rows` after each pass over `fit_rows`."""
    keras.utils.set_random_seed(plan.seed)
    scaler = StandardScaler().fit(table.features[fit_rows])
    inputs, targets = scaler.transform(table.features), _one_hot(table.labels)
    history = build_network(plan).fit(
        inputs[fit_rows],
        targets[fit_rows],
        validation_data=(inputs[stop_rows], targets[stop_rows]),
        epochs=plan.max_epochs,
        batch_size=plan.batch_size,
        verbose=0,
    )
    losses: list[float] = history.history["val_loss"]
    return losses


def _fit(table: FeatureTable, *, epochs: int, plan: TrainingPlan) -> tuple[keras.Sequential, StandardScaler]:
    keras.utils.set_random_seed(plan.seed)
    scaler = StandardScaler().fit(table.features)
    network = build_network(plan)
    network.fit(
        scaler.transform(table.features),
        _one_hot(table.labels),
        epochs=epochs,
        batch_size=plan.batch_size,
        verbose=0,
    )
    return network, scaler


def _one_hot(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.eye(len(LABELS))[labels]


def _write(
    folder: Path,
    *,
    name: str,
    network: keras.Sequential,
    scaler: StandardScaler,
    table: FeatureTable,
    report: TrainingReport,
) -> None:
    """Write beside the folder first, so that nothing half-written ever stands in its place."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            fresh = Path(scratch) / "model"
            fresh.mkdir()
            _write_files(fresh, name=name, network=network, scaler=scaler, table=table)
            (fresh / CARD_FILE).write_text(_card(name, table, report), encoding="utf-8")
            _replace(folder, fresh, Path(scratch) / "previous")
    except OSError as error:
        raise ModelError(f"the model cannot be written to {folder}: {error}") from error


def _replace(folder: Path, fresh: Path, previous: Path) -> None:
    """Put `fresh` into the place of `folder`, or leave the old one there."""
    if not folder.exists():
        fresh.rename(folder)
        return
    folder.rename(previous)
    try:
        fresh.rename(folder)
    except OSError:
        previous.rename(folder)
        raise


def _check_place(folder: Path) -> None:
    """Refuse to replace what is not a model: what stands there is removed."""
    try:
        others = sorted({path.name for path in folder.iterdir()} - _MODEL_FILES) if folder.exists() else []
    except OSError as error:
        raise ModelError(f"the model cannot be written to {folder}: {error}") from error
    if others:
        raise ModelError(f"{folder} holds {others[0]!r}, which is no part of a model: choose a folder of its own")


def _write_files(
    folder: Path, *, name: str, network: keras.Sequential, scaler: StandardScaler, table: FeatureTable
) -> None:
    network.save(folder / KERAS_FILE)
    (folder / LITERT_FILE).write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    _write_json(folder / SCALER_FILE, Scaler(mean=tuple(scaler.mean_.tolist()), scale=tuple(scaler.scale_.tolist())))
    _write_json(folder / MIDPOINTS_FILE, _midpoints(scaler.transform(table.features), table))
    files = (KERAS_FILE, LITERT_FILE, MIDPOINTS_FILE, SCALER_FILE)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        feature_definition=FEATURE_DEFINITION,
        feature_names=FEATURE_NAMES,
        labels=LABELS,
        sha256={file: file_sha256(folder / file) for file in files},
    )
    _write_json(folder / MANIFEST_FILE, manifest)


def _midpoints(vectors: NDArray[np.float64], table: FeatureTable) -> dict[str, list[float]]:
    """The mean over the tracks of each genre; over all tracks for a genre that the table lacks."""
    midpoints = {}
    for i, genre in enumerate(LABELS):
        rows = table.labels == i
        chosen = rows if rows.any() else np.ones(len(table), dtype=bool)
        tracks = [vectors[chosen & (table.tracks == track)].mean(axis=0) for track in np.unique(table.tracks[chosen])]
        midpoints[genre.value] = np.mean(tracks, axis=0).tolist()
    return midpoints


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(msgspec.to_builtins(value), indent=1) + "\n", encoding="utf-8")


def _card(name: str, table: FeatureTable, report: TrainingReport) -> str:
    tracks = len(set(table.tracks))
    lines = [
        f"# Genre model `{name}`",
        "",
        "A network of 26-256-128-64-10 units on the means of 26 features that librosa measures.",
        "It tells ten genres apart:",
        f"{', '.join(genre.spoken for genre in LABELS)}.",
        "",
        f"- Learned from {len(table)} pieces of {tracks} tracks by {len(set(table.groups))} artists, "
        f"{report.epochs} passes over the data.",
    ]
    if report.held_out is not None:
        held_out = report.held_out
        lines += [
            f"- Measured before the last training, on {held_out.tracks} tracks of artists that it had not heard: "
            f"**{100 * held_out.track_accuracy:.1f} %** of the tracks right "
            f"({100 * held_out.piece_accuracy:.1f} % of the pieces); chance is 10 %.",
        ]
    else:
        lines += ["- Not measured: the table keeps no tracks apart."]
    lines += [
        "- Written by `dnai train`, which prints the same figures.",
        "- It is often wrong, and it does not know when: its confidence is not calibrated.",
        "- The recordings that it learned from are commercial and not part of this project.",
        "",
    ]
    return "\n".join(lines)

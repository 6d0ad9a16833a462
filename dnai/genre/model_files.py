"""Writing a model's folder, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from dnai.errors import ModelError
from dnai.genre.card import CARD_FILE, write_card
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
    make_model_id,
    make_space_id,
    scale_to_length_one,
)
from dnai.genre.pictures import PICTURE_FILES
from dnai.genre.record import RECORD_FILE, TrainingRecord, write_record
from dnai.genre.space import SURE_FROM, SpaceDefinition
from dnai.genre.table import LABELS, FeatureTable

_OWN_FILES = frozenset(
    {MANIFEST_FILE, SCALER_FILE, MIDPOINTS_FILE, LITERT_FILE, KERAS_FILE, RECORD_FILE, CARD_FILE, *PICTURE_FILES}
)


@dataclass(frozen=True, slots=True, eq=False)
class LearnedModel:
    """What a training gives: the network in both forms, and the scaler, mean and scale of shape ``(d,)``."""

    litert: bytes
    save_keras: Callable[[Path], None]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]


def check_place(folder: Path, *, files: Sequence[Path] = ()) -> None:
    """Refuse to replace what is not a model, since what stands there is removed.

    Raises
    ------
    ModelError
        When the folder holds anything else, or cannot be looked into.
    """
    own = _OWN_FILES | {path.name for path in files}
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise ModelError(f"the model cannot be written to {folder}: {error}") from error
    others = sorted(names - own if names & {MANIFEST_FILE, *(path.name for path in files)} else names)
    if others:
        raise ModelError(f"{folder} holds {others[0]!r}, which is no part of a model: choose a folder of its own")


def write_model(
    folder: Path,
    learned: LearnedModel,
    *,
    space: SpaceDefinition,
    table: FeatureTable,
    record: TrainingRecord,
) -> None:
    """Write a model, in place of an older one.

    Parameters
    ----------
    table
        What was learned from; the model's own midpoints come from it.
    record
        What was measured; the card is written from it.

    Raises
    ------
    ModelError
        When the folder cannot be written or holds other things than a model.
    """
    check_place(folder, files=space.files)
    with _replacing(folder) as fresh:
        learned.save_keras(fresh / KERAS_FILE)
        (fresh / LITERT_FILE).write_bytes(learned.litert)
        for path in space.files:
            shutil.copyfile(path, fresh / path.name)
        scaler = Scaler(mean=tuple(learned.mean.tolist()), scale=tuple(learned.scale.tolist()))
        _write_json(fresh / SCALER_FILE, scaler)
        _write_json(fresh / MIDPOINTS_FILE, _midpoints(_vectors(table, learned, space), table))
        write_record(fresh, record)
        _write_json(fresh / MANIFEST_FILE, _manifest(fresh, space, scaler))
        write_card(fresh, space, record)


def _manifest(folder: Path, space: SpaceDefinition, scaler: Scaler) -> Manifest:
    sha256 = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    return Manifest(
        format_version=FORMAT_VERSION,
        name=space.name,
        space_id=make_space_id(
            space.name, space.feature_definition, space.feature_names, scaler, length_one=space.length_one
        ),
        model_id=make_model_id(space.name, LABELS, sure_from=SURE_FROM, network_sha256=sha256[LITERT_FILE]),
        feature_definition=space.feature_definition,
        feature_names=space.feature_names,
        labels=LABELS,
        length_one=space.length_one,
        sure_from=SURE_FROM,
        sha256=sha256,
    )


def _vectors(table: FeatureTable, learned: LearnedModel, space: SpaceDefinition) -> NDArray[np.float32]:
    standardised = ((table.features - learned.mean) / learned.scale).astype(np.float32)
    return scale_to_length_one(standardised) if space.length_one else standardised


def _midpoints(vectors: NDArray[np.float32], table: FeatureTable) -> dict[str, list[float]]:
    """The mean over the tracks of each genre; over all tracks for a genre that the table lacks."""
    midpoints: dict[str, list[float]] = {}
    for i, genre in enumerate(LABELS):
        rows = table.labels == i
        chosen = rows if rows.any() else np.ones(len(table), dtype=bool)
        tracks = [vectors[chosen & (table.tracks == track)].mean(axis=0) for track in np.unique(table.tracks[chosen])]
        midpoint: NDArray[np.float64] = np.mean(np.array(tracks), axis=0, dtype=np.float64)
        midpoints[genre.value] = [float(number) for number in midpoint]
    return midpoints


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(msgspec.to_builtins(value), indent=1) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its place when all went well, and else leaves no trace."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            fresh = Path(scratch) / "model"
            fresh.mkdir()
            yield fresh
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

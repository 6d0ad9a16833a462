"""A small feature table, and copies of the model to damage."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnai.audio.features import FEATURE_NAMES
from dnai.config import PROJECT_DIR
from dnai.genre.model import file_sha256
from dnai.genre.plan import TrainingPlan
from dnai.genre.table import FeatureTable, Piece, make_table
from dnai.tracks import Genre

Rows = list[dict[str, Any]]
WriteTable = Callable[[Rows], Path]

MODEL = PROJECT_DIR / "models" / "librosa26"


def made_rows(*, artists: int = 6, pieces: int = 3, genres: tuple[str, ...] = ("jazz", "metal", "pop")) -> Rows:
    """Rows of genres that are easy to tell apart; each artist has one track of so many pieces."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 10, (len(genres), len(FEATURE_NAMES)))
    return [
        {
            "track": f"{genre}.{artist}",
            "segment": piece,
            "label": genre,
            "artist": f"{genre} artist {artist}",
            "split": "valid" if artist == 0 else "train",
            **dict(zip(FEATURE_NAMES, (centre + rng.normal(0, 1, len(centre))).tolist(), strict=True)),
        }
        for genre, centre in zip(genres, centres, strict=True)
        for artist in range(artists)
        for piece in range(pieces)
    ]


TINY_PLAN = TrainingPlan(
    hidden=(16,),
    members=2,
    epochs=12,
    check_every=4,
    batch_size=8,
    dropout=0.1,
    learning_rate=1e-2,
    weight_decay=1e-4,
    length_one=False,
    noise=0.0,
    mixup=0.0,
    label_smoothing=0.1,
)
"""Enough for genres that are easy to tell apart."""


def made_table(*, artists: int = 6) -> FeatureTable:
    """The table of `made_rows`."""
    pieces = [
        Piece(row["track"], Genre(row["label"]), [row[name] for name in FEATURE_NAMES], row["artist"], row["split"])
        for row in made_rows(artists=artists)
    ]
    return make_table("librosa26", pieces, origin=Path("made"))


def write_rows(path: Path, rows: Rows) -> Path:
    """Write rows as a CSV file; return its path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def write_table(tmp_path: Path) -> WriteTable:
    """Writes rows as a CSV file."""

    def write(rows: Rows) -> Path:
        return write_rows(tmp_path / "table.csv", rows)

    return write


@pytest.fixture
def model_copy(tmp_path: Path) -> Path:
    """The model of the project, in a folder that may be damaged."""
    return Path(shutil.copytree(MODEL, tmp_path / "copy"))


def rewrite(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change a JSON file of a model, and its SHA-256 in the manifest with it."""
    content = change(json.loads((folder / name).read_text(encoding="utf-8")))
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    if name != "model.json":
        rewrite(folder, "model.json", lambda manifest: renamed_hash(manifest, name, file_sha256(folder / name)))


def renamed_hash(manifest: dict[str, Any], name: str, sha256: str) -> dict[str, Any]:
    """The manifest with another SHA-256 for one file."""
    return {**manifest, "sha256": {**manifest["sha256"], name: sha256}}

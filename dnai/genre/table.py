"""The feature table that a model is trained on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnai.audio.features import FEATURE_NAMES
from dnai.errors import ModelError
from dnai.tracks import Genre

LABELS: tuple[Genre, ...] = tuple(Genre)
"""The order in which a network answers."""

_NEEDED_COLUMNS = ("track", "label", *FEATURE_NAMES)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Pieces of tracks with their features; row ``i`` of everything is piece ``i``.

    `features` has shape ``(n, 26)``; `labels` are positions in `LABELS`, shape ``(n,)``; pieces with
    the same group (an artist, or a track where the artist is unknown) may not be on both sides of a
    split; `split` is what the table says of the row, ``""`` where it says nothing.
    """

    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    tracks: NDArray[np.str_]
    groups: NDArray[np.str_]
    split: NDArray[np.str_]

    def rows(self, chosen: NDArray[np.bool_]) -> FeatureTable:
        """Return the table of the rows where `chosen`, shape ``(n,)``, is true."""
        return FeatureTable(
            self.features[chosen], self.labels[chosen], self.tracks[chosen], self.groups[chosen], self.split[chosen]
        )

    def __len__(self) -> int:
        return len(self.labels)


def read_table(path: Path) -> FeatureTable:
    """Return the table in a CSV file.

    Its columns are ``track``, ``label``, the 26 features and, where they are known, ``artist`` and ``split``.

    Raises
    ------
    ModelError
        When the file cannot be read, a column is missing, a label is none of the ten, a number is not
        finite, there is only one genre, a split is neither ``train`` nor ``valid`` nor empty, or an artist
        or a track stands on both sides of it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"{path} cannot be read as a table: {error}") from error
    missing = [name for name in _NEEDED_COLUMNS if name not in columns]
    if missing:
        raise ModelError(f"{path} lacks the columns {', '.join(missing)}")
    if not rows:
        raise ModelError(f"{path} has no rows")
    table = FeatureTable(
        features=_numbers(path, rows),
        labels=np.array([_label(path, line, row["label"]) for line, row in enumerate(rows, start=2)]),
        tracks=np.array([row["track"] for row in rows]),
        groups=np.array([f"artist {row['artist']}" if row.get("artist") else f"track {row['track']}" for row in rows]),
        split=np.array([row.get("split") or "" for row in rows]),
    )
    _check(path, table)
    return table


def _numbers(path: Path, rows: Sequence[dict[str, str]]) -> NDArray[np.float64]:
    numbers = np.empty((len(rows), len(FEATURE_NAMES)))
    for i, row in enumerate(rows):
        for j, name in enumerate(FEATURE_NAMES):
            try:
                numbers[i, j] = float(row[name])
            except (TypeError, ValueError) as error:
                raise ModelError(f"{path}, line {i + 2}: {name} is {row[name]!r}, not a number") from error
            if not np.isfinite(numbers[i, j]):
                raise ModelError(f"{path}, line {i + 2}: {name} is {row[name]}; every feature must be finite")
    return numbers


def _label(path: Path, line: int, text: str) -> int:
    try:
        return LABELS.index(Genre(text))
    except ValueError as error:
        raise ModelError(f"{path}, line {line}: {text!r} is none of the ten genres ({', '.join(LABELS)})") from error


def _check(path: Path, table: FeatureTable) -> None:
    if len(np.unique(table.labels)) < 2:
        raise ModelError(f"{path} has tracks of one genre only: there is nothing to tell apart")
    unknown = set(table.split) - {"train", "valid", ""}
    if unknown:
        raise ModelError(f"{path}: split {str(min(unknown))!r} is not known; it is train, valid or empty")
    kept_apart = table.split == "valid"
    for names, what in ((table.groups, "group"), (table.tracks, "track")):
        both = set(names[~kept_apart]) & set(names[kept_apart])
        if both:
            raise ModelError(f"{path}: {what} {str(min(both))!r} stands on both sides of the split")

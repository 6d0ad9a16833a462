"""The feature table that a model is trained on and measured with."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dnai.audio.features import FEATURE_NAMES
from dnai.errors import ModelError
from dnai.tracks import Genre, parse_genre

LABELS: tuple[Genre, ...] = tuple(Genre)
"""The order in which a network answers."""

SPACE_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"librosa26": FEATURE_NAMES, "musicnn200": tuple(f"e{i}" for i in range(200))}
)
"""The columns that hold the raw features of each feature space."""

MAX_FEATURE = 1e9
"""No feature of a sound is anywhere near it; a larger number is a mistake."""

_KNOWN_SPLITS = frozenset({"train", "valid", "test", ""})


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Pieces of tracks with their features; row ``i`` of everything is piece ``i``.

    `features` has shape ``(n, d)``, the raw features of the space `space`; `labels` are positions in `LABELS`,
    shape ``(n,)``; pieces with the same group (an artist, or a track where the artist is unknown) may not
    be on both sides of a split; `split` is what the table says of the row, ``""`` where it says
    nothing; `sources` names the kind of piece, ``""`` where there is one kind.
    """

    space: str
    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    tracks: NDArray[np.str_]
    groups: NDArray[np.str_]
    split: NDArray[np.str_]
    sources: NDArray[np.str_]

    def rows(self, chosen: NDArray[np.bool_]) -> FeatureTable:
        """Return the table of the rows where `chosen`, shape ``(n,)``, is true."""
        return replace(
            self,
            features=self.features[chosen],
            labels=self.labels[chosen],
            tracks=self.tracks[chosen],
            groups=self.groups[chosen],
            split=self.split[chosen],
            sources=self.sources[chosen],
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def track_count(self) -> int:
        """How many different tracks there are."""
        return len(np.unique(self.tracks))

    @property
    def unknown_artists(self) -> int:
        """How many tracks have no artist, and are kept apart from nothing but themselves."""
        nameless = np.char.startswith(self.groups, _TRACK_GROUP)
        return len(np.unique(self.tracks[nameless]))


@dataclass(frozen=True, slots=True)
class Piece:
    """One row of a table: a piece of a track, with the raw features `numbers`, shape ``(d,)``."""

    track: str
    label: Genre
    numbers: Sequence[float]
    artist: str = ""
    split: str = ""
    source: str = ""


_ARTIST_GROUP = "artist "
_TRACK_GROUP = "track "


def make_table(space: str, pieces: Sequence[Piece], *, origin: Path) -> FeatureTable:
    """Return the table of `pieces`, which came from `origin`.

    Raises
    ------
    ModelError
        When there is no piece or only one genre, a number is not finite, a split is unknown, a track has two genres,
        or an artist or a track stands on both sides of a split.
    """
    if not pieces:
        raise ModelError(f"{origin} has no rows")
    table = FeatureTable(
        space=space,
        features=np.array([piece.numbers for piece in pieces], dtype=np.float64),
        labels=np.array([LABELS.index(piece.label) for piece in pieces]),
        tracks=np.array([_folded(piece.track) for piece in pieces]),
        groups=np.array([_group(piece) for piece in pieces]),
        split=np.array([piece.split for piece in pieces]),
        sources=np.array([piece.source for piece in pieces]),
    )
    _check(origin, table)
    return table


def check_genres(table: FeatureTable, *, origin: Path) -> None:
    """Raise `ModelError` when there is only one genre in a table."""
    if len(np.unique(table.labels)) < 2:
        raise ModelError(f"{origin} has tracks of one genre only: there is nothing to tell apart")


def read_table(path: Path, *, space: str | None = None) -> FeatureTable:
    """Return the table in a CSV file.

    Its columns are ``track``, ``label``, the features of a space in `SPACE_COLUMNS` and, where they are
    known, ``artist``, ``split`` (``train``, ``valid`` or ``test``) and ``source`` (the kind of piece).

    Parameters
    ----------
    space
        Whose columns are read; None: of the space whose columns the table has.

    Raises
    ------
    ModelError
        When the file cannot be read, a column is missing, a label is none of the ten, or as `make_table` does.
    """
    columns, rows = _read_rows(path)
    name = space or _space_of(columns)
    _check_columns(path, columns, name)
    pieces = [_read_piece(path, line, row, SPACE_COLUMNS[name]) for line, row in enumerate(rows, start=2)]
    return make_table(name, pieces, origin=path)


def find_space(path: Path) -> str:
    """Return the name of the space that a CSV file has the columns of; raises `ModelError` as `read_table` does."""
    return _space_of(_read_rows(path)[0])


def _read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            return list(reader.fieldnames or ()), rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"{path} cannot be read as a table: {error}") from error


def _space_of(columns: Sequence[str]) -> str:
    """The space most of whose columns are there."""
    present = set(columns)
    return max(
        SPACE_COLUMNS, key=lambda name: len(present.intersection(SPACE_COLUMNS[name])) / len(SPACE_COLUMNS[name])
    )


def _check_columns(path: Path, columns: Sequence[str], space: str) -> None:
    if space not in SPACE_COLUMNS:
        raise ModelError(f"a table holds features of {' or '.join(SPACE_COLUMNS)}, not of {space!r}")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ModelError(f"{path} has the column {twice[0]!r} twice: which of the two counts?")
    missing = [name for name in ("track", "label", *SPACE_COLUMNS[space]) if name not in columns]
    if missing:
        shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise ModelError(f"{path} lacks the columns {shown} of a table of {space}")


def _read_piece(path: Path, line: int, row: Mapping[str, str], columns: Sequence[str]) -> Piece:
    if None in row:
        raise ModelError(f"{path}, line {line} has more cells than the table has columns")
    if not row["track"]:
        raise ModelError(f"{path}, line {line}: the track has no name")
    return Piece(
        track=row["track"],
        label=_label(path, line, row["label"]),
        numbers=[_number(path, line, name, row[name]) for name in columns],
        artist=row.get("artist") or "",
        split=row.get("split") or "",
        source=row.get("source") or "",
    )


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        number = float(text)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}, line {line}: {name} is {text!r}, not a number") from error
    if not np.isfinite(number):
        raise ModelError(f"{path}, line {line}: {name} is {text}; every feature must be finite")
    if abs(number) > MAX_FEATURE:
        raise ModelError(f"{path}, line {line}: {name} is {text}; no feature of a sound is as large")
    return number


def _label(path: Path, line: int, text: str) -> Genre:
    genre = parse_genre(text or "")
    if genre is None:
        raise ModelError(f"{path}, line {line}: {text!r} is none of the ten genres ({', '.join(LABELS)})")
    return genre


def _group(piece: Piece) -> str:
    artist = _folded(piece.artist).casefold()
    return _ARTIST_GROUP + artist if artist else _TRACK_GROUP + _folded(piece.track)


def _folded(name: str) -> str:
    """A name without what differs between spellings of the same: forms of accents, and spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).split())


def _check(origin: Path, table: FeatureTable) -> None:
    check_genres(table, origin=origin)
    unknown = set(table.split) - _KNOWN_SPLITS
    if unknown:
        raise ModelError(f"{origin}: split {str(min(unknown))!r} is not known; it is train, valid, test or empty")
    _check_one_each(origin, table.tracks, table.labels, "has two genres")
    for names, what in ((table.groups, "group"), (table.tracks, "track")):
        _check_one_each(origin, names, table.split, "stands on both sides of the split", what=what)


def _check_one_each(
    origin: Path, names: NDArray[np.str_], values: Iterable[object], fault: str, *, what: str = "track"
) -> None:
    """Refuse a name that has two values."""
    first: dict[str, object] = {}
    for name, value in zip(names.tolist(), values, strict=True):
        if first.setdefault(name, value) != value:
            raise ModelError(f"{origin}: {what} {name!r} {fault}")

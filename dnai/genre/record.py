"""What is kept of a training: its figures, and by what the music that it learned from is known again.

A network remembers what it has learned from. Measured on that, it looks better than it is; so a
model carries short digests of the tracks, artists and numbers of its table, and whoever measures
it can leave those out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

import msgspec
import numpy as np
from numpy.typing import NDArray

from dnai.errors import ModelError
from dnai.genre.evaluation import Evaluation, Figure
from dnai.genre.plan import TrainingPlan
from dnai.genre.table import FeatureTable
from dnai.tracks import AUDIO_SUFFIXES

RECORD_FILE = "training.json"
_DIGEST_CHARS = 10
_DIGESTS = {26: 8, 200: 16}
"""So many digests are made of a piece of so many numbers."""
_ENOUGH_SHARED = 3
"""So many digests in common make two pieces the same."""


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """How a network does after so many passes: its loss while learning, and what it says of unheard artists."""

    epochs: int
    training_loss: float
    unheard_log_loss: float
    unheard_accuracy: float


@dataclass(frozen=True, slots=True)
class Heard:
    """Digests of the tracks, groups (artists) and pieces that a model has learned from."""

    tracks: frozenset[str]
    groups: frozenset[str]
    pieces: frozenset[str]

    def rows(self, table: FeatureTable) -> NDArray[np.bool_]:
        """Return which pieces of `table` are of a track or artist that the model has heard, shape ``(n,)``.

        A piece is known by its numbers, too, under whatever name: several digests are made of each, of a
        few roughly rounded numbers, and three that are known are enough. What is known of a group is known of
        all its tracks.
        """
        known_name = np.array([_digest(_stem(track)) in self.tracks for track in table.tracks])
        known_group = np.array([_digest(group) in self.groups for group in table.groups])
        shared = np.array([sum(one in self.pieces for one in digests) for digests in _piece_digests(table)])
        known = known_name | known_group | (shared >= _ENOUGH_SHARED)
        same_track, same_group = np.isin(table.tracks, table.tracks[known]), np.isin(table.groups, table.groups[known])
        rows: NDArray[np.bool_] = same_track | same_group
        return rows


def fingerprints(table: FeatureTable) -> Heard:
    """Return the digests of everything in `table`."""
    return Heard(
        tracks=_digests(_stem(track) for track in table.tracks),
        groups=_digests(table.groups.tolist()),
        pieces=frozenset(digest for digests in _piece_digests(table) for digest in digests),
    )


def _stem(track: str) -> str:
    """The name of a track without its folder and ending: what a table and a folder of sounds have in common."""
    path = PurePath(track)
    return path.stem if path.suffix.lower() in AUDIO_SUFFIXES else path.name


def _digests(names: Iterable[str]) -> frozenset[str]:
    return frozenset(_digest(name) for name in names)


def _piece_digests(table: FeatureTable) -> list[list[str]]:
    """For each piece digests of parts of its numbers, with three digits: rounding elsewhere changes few of them."""
    parts = np.array_split(np.arange(table.features.shape[1]), _DIGESTS[table.features.shape[1]])

    def digest(row: NDArray[np.float64], part: NDArray[np.intp]) -> str:
        return _digest(f"{part[0]}: " + " ".join(f"{number:.2e}" for number in row[part]))

    return [[digest(row, part) for part in parts] for row in table.features]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]


@dataclass(frozen=True, slots=True)
class Learned:
    """How much a model has learned from; `unknown_artists` tracks are kept apart from nothing but themselves."""

    pieces: int
    tracks: int
    groups: int
    unknown_artists: int


@dataclass(frozen=True, slots=True)
class CircleRow:
    """How one way of ranking did in simulated circles (`dnai.recommend.simulation`)."""

    asked_by: str
    tags: bool
    ranking: str
    preparation: str
    right_person: Figure
    fitting_first_ten: Figure
    lucky_winner: Figure
    gain: Figure


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """``training.json``: what a model was made with and what was measured on the way.

    `figures` come from cross-validation by artist; `leaky_accuracy` is what a random split over pieces
    would have shown, for pieces and for tracks.
    """

    plan: TrainingPlan
    temperature: float
    learned: Learned
    figures: Evaluation
    leaky_accuracy: tuple[float, float]
    curve: tuple[LearningPoint, ...]
    circles: tuple[CircleRow, ...]
    heard: Heard


def write_record(folder: Path, record: TrainingRecord) -> None:
    """Write the record into a model's folder."""
    (folder / RECORD_FILE).write_bytes(
        msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=1) + b"\n"
    )


def read_record(folder: Path) -> TrainingRecord:
    """Return the record in a model's folder.

    Raises
    ------
    ModelError
        When there is none, or it is not understood.
    """
    path = folder / RECORD_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrainingRecord)
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error

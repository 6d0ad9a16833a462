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
_DIGEST_CHARS = 12


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

        A track counts as heard when one of its pieces has the same numbers, too, under whatever name.
        """
        known_track = np.array([_digest(_stem(track)) in self.tracks for track in table.tracks])
        known_group = np.array([_digest(group) in self.groups for group in table.groups])
        known_piece = np.array([piece in self.pieces for piece in _piece_digests(table)])
        same_track = np.isin(table.tracks, table.tracks[known_piece])
        rows: NDArray[np.bool_] = known_track | known_group | same_track
        return rows


def fingerprints(table: FeatureTable) -> Heard:
    """Return the digests of everything in `table`."""
    return Heard(
        tracks=_digests(_stem(track) for track in table.tracks),
        groups=_digests(table.groups.tolist()),
        pieces=frozenset(_piece_digests(table)),
    )


def _stem(track: str) -> str:
    """The name of a track without its folder and ending: what a table and a folder of sounds have in common."""
    path = PurePath(track)
    return path.stem if path.suffix.lower() in AUDIO_SUFFIXES else path.name


def _digests(names: Iterable[str]) -> frozenset[str]:
    return frozenset(_digest(name) for name in names)


def _piece_digests(table: FeatureTable) -> list[str]:
    """Of the numbers as they are written with four digits, so that rounding elsewhere does not hide a copy."""
    return [_digest(" ".join(f"{number:.3e}" for number in row)) for row in table.features]


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

"""Checks the converted network against answers that were recorded with the original one.

The signals are formulas, so that nothing but the answers need be kept: a JSON file with the name of
each signal, its mean embedding over three patches and its mean tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from dnai.audio.mel import MEL_SAMPLE_RATE, PATCH_FRAMES, log_mel
from dnai.errors import ModelError
from dnai.genre.embedding import EMBEDDING_UNITS, TAGS, EmbeddingNetwork

DURATION_S = 9
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Deviation:
    """By how much the network differs from the recorded answers to one signal, at most."""

    name: str
    embedding: float
    tags: float


class _Recorded(msgspec.Struct, frozen=True):
    name: str
    embedding: tuple[float, ...]
    tags: dict[str, float]


def check_network(network: Path, reference: Path) -> list[Deviation]:
    """Return the deviation of a converted network for each signal of a file of recorded answers.

    Raises
    ------
    ModelError
        When the file of answers is not understood, or an answer is off by more than `TOLERANCE`.
    """
    recorded = _read(reference)
    opened = EmbeddingNetwork(network)
    deviations = [_deviation(opened, answers) for answers in recorded]
    for deviation in deviations:
        if not max(deviation.embedding, deviation.tags) <= TOLERANCE:
            raise ModelError(
                f"{network} does not answer {deviation.name!r} as {reference} does: its embedding is off by up to "
                f"{deviation.embedding:.1e} and its tags by up to {deviation.tags:.1e}"
            )
    return deviations


def signals() -> dict[str, NDArray[np.float64]]:
    """Return the signals by name, 9 seconds at 16 kHz: a sine, noise, a chirp, two clicks a second."""
    n = np.arange(DURATION_S * MEL_SAMPLE_RATE)
    t = n / MEL_SAMPLE_RATE
    return {
        "sine440": 0.5 * np.sin(2 * np.pi * 440 * t),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(len(n)),
        "chirp": 0.5 * np.sin(2 * np.pi * (50 * t + 100 * t**2)),
        "clicks": np.where(n % 8000 == 0, 0.9, 0.0),
    }


def _read(path: Path) -> list[_Recorded]:
    try:
        recorded = msgspec.json.decode(path.read_bytes(), type=list[_Recorded])
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    known = signals().keys()
    for answers in recorded:
        if answers.name not in known:
            raise ModelError(f"{path} has answers to {answers.name!r}; known are {', '.join(known)}")
        if len(answers.embedding) != EMBEDDING_UNITS or len(answers.tags) != TAGS:
            raise ModelError(f"{path} has not {EMBEDDING_UNITS} numbers and {TAGS} tags for {answers.name!r}")
    return recorded


def _deviation(network: EmbeddingNetwork, recorded: _Recorded) -> Deviation:
    spectrum = log_mel(signals()[recorded.name])
    patches = len(spectrum) // PATCH_FRAMES
    embeddings, tags = network.run(spectrum[: patches * PATCH_FRAMES].reshape(patches, PATCH_FRAMES, -1))
    return Deviation(
        recorded.name,
        embedding=_furthest(embeddings, recorded.embedding),
        tags=_furthest(tags, tuple(recorded.tags.values())),
    )


def _furthest(answers: NDArray[np.float32], recorded: tuple[float, ...]) -> float:
    return float(np.abs(answers.mean(axis=0, dtype=np.float64) - recorded).max())

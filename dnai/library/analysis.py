"""One sound file → what it says of itself, and what each model hears in it."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnai.audio.decode import Samples, decode
from dnai.audio.tags import read_tags
from dnai.errors import AudioError, UnusableAudioError
from dnai.genre.extraction import Extractor
from dnai.genre.model import GenreModel
from dnai.library.rows import CataloguedFile, CataloguedTrack, FileStamp, Hearing
from dnai.text import clean_text
from dnai.tracks import AUDIO_SUFFIXES

OpenExtractor = Callable[[GenreModel], Extractor]

_NO_FEATURES = np.empty(0, dtype=np.float64)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ear:
    """A model with what measures its features."""

    model: GenreModel
    extractor: Extractor


def open_ears(models: Iterable[GenreModel], open_extractor: OpenExtractor) -> tuple[Ear, ...]:
    """Return an ear for each model; raises `ModelError` where its features cannot be measured."""
    return tuple(Ear(model, open_extractor(model)) for model in models)


def analyse_file(path: Path, stamp: FileStamp, ears: Sequence[Ear]) -> CataloguedTrack:
    """Return everything that the catalogue keeps of a sound file, which is decoded once.

    Raises
    ------
    AudioError
        When the file is none, cannot be read as sound, or no ear can measure anything on it.
    OSError
        When it cannot be opened or read.
    """
    samples = decode_file(path, stamp)
    hearings = [hear(samples.y, ear, path=path) for ear in ears]
    if all(hearing.answer is None for hearing in hearings):
        raise UnusableAudioError("; ".join(dict.fromkeys(hearing.reason or "" for hearing in hearings)))
    tags = read_tags(path)
    file = CataloguedFile(
        path=path,
        size_bytes=stamp.size_bytes,
        mtime_ns=stamp.mtime_ns,
        title=tags.title,
        artist=tags.artist,
        album=tags.album,
        year=tags.year,
        tag_genre=tags.genre,
        duration_s=samples.duration_s,
        audio_type=AUDIO_SUFFIXES[path.suffix.lower()],
    )
    return CataloguedTrack(file, tuple(hearings))


def decode_file(path: Path, stamp: FileStamp) -> Samples:
    """Return the samples of a regular file that is not empty; raises as `dnai.audio.decode.decode`."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise AudioError("not a file, but a pipe, a socket or a device")
    if not stamp.size_bytes:
        raise AudioError("empty: 0 bytes")
    return decode(path)


def hear(y: NDArray[np.float32], ear: Ear, *, path: Path) -> Hearing:
    """Return what a model hears in samples, shape ``(n,)``, or why it hears nothing; `path` is for the log."""
    try:
        features = ear.extractor.extract(y)
        (answer,) = ear.model.classify(features[np.newaxis])
    except UnusableAudioError as error:
        return unheard(ear.model, reason=str(error))
    except Exception as error:  # what one model cannot do must not cost the others their file
        _logger.exception("%s failed on %s", ear.model.name, clean_text(str(path)))
        return unheard(ear.model, reason=describe_unforeseen(error))
    return Hearing(ear.model.feature_id, ear.model.space_id, ear.model.model_id, features, answer)


def unheard(model: GenreModel, *, reason: str) -> Hearing:
    """Return the note that a model could hear nothing in a file, so that it is not asked again and again."""
    return Hearing(model.feature_id, model.space_id, model.model_id, _NO_FEATURES, None, reason)


def describe_unforeseen(error: Exception) -> str:
    """Return an error that nobody thought of as a reason that the catalogue keeps."""
    return clean_text(f"the analysis failed: {type(error).__name__}: {error}")

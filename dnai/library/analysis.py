"""One sound file → what it says of itself, and what each model hears in it."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnai.audio.decode import Sink, SoundSource
from dnai.audio.kinds import read_audio_type
from dnai.audio.tags import read_tags
from dnai.errors import AudioError, UnusableAudioError
from dnai.genre.extractor import Extractor, Measurement
from dnai.genre.model import GenreModel
from dnai.library.rows import CataloguedFile, CataloguedTrack, FileStamp, Hearing
from dnai.text import clean_text

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
    check_file(path, stamp)
    source = SoundSource(path)
    hearings = hear(source, ears, path=path)
    if all(hearing.answer is None for hearing in hearings):
        raise UnusableAudioError("; ".join(dict.fromkeys(hearing.reason or "" for hearing in hearings)))
    return CataloguedTrack(_describe(path, stamp, duration_s=source.duration_s), tuple(hearings))


def describe_file(path: Path, stamp: FileStamp) -> CataloguedTrack:
    """Return what a file tells without being heard; its duration is not told.

    Raises
    ------
    AudioError
        When it is no file, or empty.
    OSError
        When it cannot be looked at.
    """
    check_file(path, stamp)
    return CataloguedTrack(_describe(path, stamp, duration_s=0.0), ())


def _describe(path: Path, stamp: FileStamp, *, duration_s: float) -> CataloguedFile:
    tags = read_tags(path)
    return CataloguedFile(
        path=path,
        size_bytes=stamp.size_bytes,
        mtime_ns=stamp.mtime_ns,
        title=tags.title,
        artist=tags.artist,
        album=tags.album,
        year=tags.year,
        tag_genre=tags.genre,
        duration_s=duration_s,
        audio_type=read_audio_type(path),
        album_artist=tags.album_artist,
        track_number=tags.track_number,
    )


def check_file(path: Path, stamp: FileStamp) -> None:
    """Raise `AudioError` for what is no regular file or empty, before it is opened; and `OSError`."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise AudioError("not a file, but a pipe, a socket or a device")
    if not stamp.size_bytes:
        raise AudioError("empty: 0 bytes")


def hear(source: SoundSource, ears: Sequence[Ear], *, path: Path) -> tuple[Hearing, ...]:
    """Return what each model hears in a sound, or why it hears nothing; `path` is for the log.

    All hear the sound while it is decoded, block by block, and those that ask for it once more.

    Raises
    ------
    AudioError, OSError
        As `SoundSource.play`: what concerns the file, and so every model.
    """
    listeners: list[_Listener] = []

    def start() -> Sink:
        listeners[:] = [_Listener(ear, path) for ear in ears]
        return partial(_add_to, listeners)

    source.play(start)
    again = [listener for listener in listeners if listener.rewind()]
    if again:
        source.play(lambda: partial(_add_to, again))
    return tuple(listener.hearing() for listener in listeners)


class _Listener:
    """One ear on one file; whatever goes wrong with it becomes the reason why it hears nothing."""

    def __init__(self, ear: Ear, path: Path) -> None:
        self._ear = ear
        self._path = path
        self._reason: str | None = None
        self._measurement: Measurement | None = None
        with self._reasoned():
            self._measurement = ear.extractor.start()

    def add(self, y: NDArray[np.float32]) -> None:
        if self._measurement is not None:
            with self._reasoned():
                self._measurement.add(y)

    def rewind(self) -> bool:
        if self._measurement is not None:
            with self._reasoned():
                return self._measurement.rewind()
        return False

    def hearing(self) -> Hearing:
        model = self._ear.model
        if self._measurement is not None:
            with self._reasoned():
                features = self._measurement.finish()
                (answer,) = model.classify(features[np.newaxis])
                return Hearing(model.feature_id, model.space_id, model.model_id, features, answer)
        return unheard(model, reason=self._reason or "")

    @contextmanager
    def _reasoned(self) -> Iterator[None]:
        try:
            yield
        except UnusableAudioError as error:
            self._give_up(str(error))
        except Exception as error:  # what one model cannot do must not cost the others their file
            _logger.exception("%s failed on %s", self._ear.model.name, clean_text(str(self._path)))
            self._give_up(describe_unforeseen(error))

    def _give_up(self, reason: str) -> None:
        self._reason = reason
        self._measurement = None


def _add_to(listeners: Sequence[_Listener], y: NDArray[np.float32]) -> None:
    for listener in listeners:
        listener.add(y)


def unheard(model: GenreModel, *, reason: str) -> Hearing:
    """Return the note that a model could hear nothing in a file, so that it is not asked again and again."""
    return Hearing(model.feature_id, model.space_id, model.model_id, _NO_FEATURES, None, reason)


def describe_unforeseen(error: Exception) -> str:
    """Return an error that nobody thought of as a reason that the catalogue keeps."""
    return clean_text(f"the analysis failed: {type(error).__name__}: {error}")

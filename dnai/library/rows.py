"""What the catalogue holds, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnai.genre.model import GenreAnswer
from dnai.tracks import AudioType, Genre


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells a changed file from an unchanged one."""

    size_bytes: int
    mtime_ns: int


class CataloguedFile(NamedTuple):
    """What a sound file says of itself, whoever hears it.

    `content_id` is the same for files of the same content, as `dnai.library.content.content_id` makes
    it; None where it has not been looked at yet.
    """

    path: Path
    size_bytes: int
    mtime_ns: int
    title: str
    artist: str
    album: str
    year: int | None
    tag_genre: Genre | None
    duration_s: float
    audio_type: AudioType
    album_artist: str = ""
    track_number: int | None = None
    content_id: str | None = None

    @property
    def stamp(self) -> FileStamp:
        """The file as it was when it was catalogued."""
        return FileStamp(self.size_bytes, self.mtime_ns)


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """What one model heard in a file.

    `features`, shape ``(d,)``, are raw, and come with the model's `answer`. Where nothing could be
    measured they are empty, there is no answer, and `reason` says why.
    """

    feature_id: str
    space_id: str
    model_id: str
    features: NDArray[np.float64]
    answer: GenreAnswer | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CataloguedTrack:
    """A file with what each model heard in it."""

    file: CataloguedFile
    hearings: tuple[Hearing, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be used, and why; `passing` when the reason may be gone next time."""

    path: Path
    stamp: FileStamp
    reason: str
    passing: bool


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What decides whether a file must be read again: its stamp, and which features it was asked for.

    `track` is the id of its row; `is_absent` when the disk that it is on was away at the last scan.
    """

    stamp: FileStamp
    feature_ids: frozenset[str]
    track: int = 0
    content_id: str | None = None
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class Recognised:
    """A new file whose content is that of the row `track`: moved or renamed, or a copy of it."""

    track: int
    path: Path
    stamp: FileStamp
    is_copy: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at the folders tells without analysing a file, to be written at once.

    `gone` are forgotten, `away` are marked absent, `back` are there again.
    """

    gone: Sequence[Path] = ()
    away: Sequence[Path] = ()
    back: Sequence[Path] = ()
    recognised: Sequence[Recognised] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Outdated:
    """Rows that another classifier has answered: ids of tracks, and their raw features, shape ``(k, d)``."""

    ids: Sequence[int]
    features: NDArray[np.float64]

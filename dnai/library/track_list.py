"""The tracks of a collection, made when somebody looks at them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from dnai.library.columns import CODES, GENRES, NO_GENRE, FileColumns
from dnai.tracks import AudioType, GenreOrigin, Track

ORIGINS = tuple(GenreOrigin)
"""An origin's place here is its code in columns."""


@dataclass(frozen=True, slots=True, eq=False)
class GenreColumns:
    """The genre of each of many files, and who said so; each column of shape ``(n,)``.

    `codes` and `answers` are those of `dnai.library.columns.GENRES`, of the file's genre and of the
    model's own answer; `origins` those of `ORIGINS`; `told_by` the number of the model that answered.
    Where there is none it is `NO_GENRE` or `NOWHERE`.
    """

    codes: NDArray[np.int8]
    origins: NDArray[np.int8]
    answers: NDArray[np.int8]
    confidences: NDArray[np.float64]
    told_by: NDArray[np.int8]


class TrackList(Sequence[Track]):
    """Tracks out of columns: one costs a few microseconds when it is asked for. Never changed.

    Whoever goes through all of them has them made once, and kept.

    Parameters
    ----------
    files, genres
        All files of a catalogue, and their genres.
    kept
        The rows of those that are tracks, ascending, shape ``(k,)``.
    model_names
        The models that `genres` numbers.
    """

    def __init__(
        self, files: FileColumns, genres: GenreColumns, kept: NDArray[np.intp], *, model_names: Sequence[str]
    ) -> None:
        self._files = files
        self._genres = genres
        self._kept = kept
        self._model_names = (*model_names, "")  # NOWHERE is the last
        self._all: tuple[Track, ...] | None = None
        self.genre_codes: NDArray[np.int8] = genres.codes[kept]

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> Track: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Track]: ...

    def __getitem__(self, index: int | slice) -> Track | Sequence[Track]:
        if isinstance(index, slice):
            return tuple(self._make(row) for row in self._kept[index].tolist())
        return self._make(int(self._kept[index]))

    def __iter__(self) -> Iterator[Track]:
        if self._all is None:
            self._all = tuple(map(self._make, self._kept.tolist()))
        return iter(self._all)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TrackList):
            return self is other or self._has_columns_of(other)
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Track.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # long, and equal to other sequences

    def find(self, path: Path) -> int | None:
        """Return the index of the track of a file, or None."""
        row = self._files.row(os.fsencode(path))
        if row is None:
            return None
        index = int(np.searchsorted(self._kept, row))
        return index if index < len(self) and self._kept[index] == row else None

    def _make(self, row: int) -> Track:
        files, genres = self._files, self._genres
        title, artist, album, year, kind, album_artist, track_number = msgspec.json.decode(files.details[row])
        answer = int(genres.answers[row])
        return Track(
            path=Path(os.fsdecode(files.paths[row])),
            title=title,
            artist=artist,
            album=album,
            year=year,
            genre=GENRES[genres.codes[row]],
            genre_origin=ORIGINS[genres.origins[row]],
            model_genre=None if answer == NO_GENRE else GENRES[answer],
            confidence=float(genres.confidences[row]),
            duration_s=float(files.durations[row]),
            audio_type=AudioType(kind),
            size_bytes=int(files.sizes[row]),
            mtime_ns=int(files.mtimes[row]),
            told_by=self._model_names[genres.told_by[row]],
            album_artist=album_artist,
            track_number=track_number,
        )

    def _has_columns_of(self, other: TrackList) -> bool:
        """Whether the tracks are the same, without making them."""
        return len(self) == len(other) and all(
            np.array_equal(mine, theirs) for mine, theirs in zip(self._columns(), other._columns(), strict=True)
        )

    def _columns(self) -> Iterator[NDArray[np.generic]]:
        files, genres, names = self._files, self._genres, np.array(self._model_names, dtype=object)
        yield self.genre_codes
        for column in (genres.origins, genres.answers, genres.confidences, names[genres.told_by]):
            yield column[self._kept]
        for column in (files.sizes, files.mtimes, files.durations, files.details, files.paths):
            yield column[self._kept]


def genre_codes(tracks: Sequence[Track]) -> NDArray[np.int8]:
    """Return the code of each track's genre, shape ``(n,)``; of a `TrackList` without making its tracks."""
    if isinstance(tracks, TrackList):
        return tracks.genre_codes
    return np.array([CODES[track.genre] for track in tracks], dtype=np.int8)

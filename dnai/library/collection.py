"""A user's collection as the rest of the program uses it: a snapshot that is renewed when the catalogue changes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnai.genre.model import GenreAnswer, GenreModel
from dnai.library.catalogue import Catalogue, Under
from dnai.library.rows import CataloguedFile, Snapshot
from dnai.tracks import GenreOrigin, Track


@dataclass(frozen=True, slots=True, eq=False)
class SpaceVectors:
    """The vectors of one feature space, of those tracks that have one.

    `rows`, shape ``(k,)``, ascend and say which tracks they are; `vectors` have shape ``(k, d)``. The
    classifier `model_id` only informs.
    """

    space_id: str
    model_id: str
    rows: NDArray[np.intp]
    vectors: NDArray[np.float32]

    def vector(self, row: int) -> NDArray[np.float32] | None:
        """Return the vector, shape ``(d,)``, of the track at `row`, or None where it has none."""
        place = int(np.searchsorted(self.rows, row))
        if place == len(self.rows) or self.rows[place] != row:
            return None
        vector: NDArray[np.float32] = self.vectors[place]
        return vector


def vectors_of_all(space_id: str, vectors: NDArray[np.float32], *, model_id: str) -> SpaceVectors:
    """Return the vectors of a space in which every track has one, shape ``(n, d)``."""
    return SpaceVectors(space_id, model_id, np.arange(len(vectors)), vectors)


class Collection:
    """The tracks of a catalogue at one moment, with their vectors in each feature space; never changed.

    The genre of a track is that of its tag, if tags count and it has one; else what the first of the
    models that have heard it says, which is marked where that model is not sure. A track without a
    tag that no model has heard has no genre yet, and is not in the collection. Of files with the same
    content only the first is.

    Parameters
    ----------
    snapshot
        What the catalogue holds.
    models
        In order of preference.
    use_tags
        Whether a tag comes before what the models hear.

    Attributes
    ----------
    tracks
        Length ``n``.
    spaces
        The vectors of each model's space, the preferred one first.
    """

    def __init__(self, snapshot: Snapshot, models: Sequence[GenreModel], *, use_tags: bool = True) -> None:
        told = _first_answers(snapshot, models)
        again = _repeated(snapshot.files)
        tracks = [
            None if i in again else _track(file, told.get(i), use_tags=use_tags)
            for i, file in enumerate(snapshot.files)
        ]
        kept = np.array([track is not None for track in tracks], dtype=bool)
        self.tracks: tuple[Track, ...] = tuple(track for track in tracks if track is not None)
        self.spaces: tuple[SpaceVectors, ...] = tuple(_space(snapshot, model, kept) for model in models)
        self._rows = {track.path: row for row, track in enumerate(self.tracks)}

    def __len__(self) -> int:
        return len(self.tracks)

    def vectors(self, track: Track) -> dict[str, NDArray[np.float32]]:
        """Return the vector of one of the tracks in each space that it has one in, shape ``(d,)``; preferred first.

        Raises
        ------
        KeyError
            For a track that is not in the collection.
        """
        row = self._rows[track.path]
        found = {space.space_id: space.vector(row) for space in self.spaces}
        return {space_id: vector for space_id, vector in found.items() if vector is not None}


def read_collection(
    catalogue: Catalogue, models: Sequence[GenreModel], *, use_tags: bool = True, under: Under = None
) -> Collection:
    """Return the collection as the catalogue has it now; raises `CatalogueError`."""
    snapshot = catalogue.snapshot([model.feature_id for model in models], under=under)
    return Collection(snapshot, models, use_tags=use_tags)


class LiveCollection:
    """Gives the collection as it stands now; for several threads.

    Parameters
    ----------
    catalogue_path
        The catalogue; while it does not exist the collection is empty.
    models, use_tags
        As for `Collection`.
    under
        Only tracks below this folder, or these, belong to it.
    """

    def __init__(
        self,
        catalogue_path: Path,
        models: Sequence[GenreModel],
        *,
        use_tags: bool = True,
        under: Under = None,
    ) -> None:
        self._path = catalogue_path
        self._models = tuple(models)
        self._use_tags = use_tags
        self._under = under
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self._version: int | None = None
        self._current = Collection(Snapshot(), models)

    def current(self) -> Collection:
        """Return the collection; the same object as before while the catalogue has not changed.

        Raises
        ------
        CatalogueError
            When the catalogue cannot be read.
        """
        with self._lock:
            if self._catalogue is None:
                if not self._path.is_file():
                    return self._current
                self._catalogue = Catalogue(self._path, shared=True)
            version = self._catalogue.version()
            if version != self._version:
                self._current = read_collection(
                    self._catalogue, self._models, use_tags=self._use_tags, under=self._under
                )
                self._version = version
            return self._current

    def close(self) -> None:
        """Close the catalogue."""
        with self._lock:
            if self._catalogue is not None:
                self._catalogue.close()
                self._catalogue = None
                self._version = None


def _first_answers(snapshot: Snapshot, models: Sequence[GenreModel]) -> Mapping[int, tuple[GenreAnswer, str]]:
    """For each file that a model has heard, the answer of the preferred one, and its name."""
    told: dict[int, tuple[GenreAnswer, str]] = {}
    for model in models:
        heard = snapshot.heard.get(model.feature_id)
        for i, row in enumerate(heard.rows.tolist() if heard else ()):
            if heard and row not in told:
                told[row] = (heard.answer(i), model.name)
    return told


def _repeated(files: Sequence[CataloguedFile]) -> set[int]:
    """The files whose content is that of one before them."""
    seen: set[str] = set()
    repeated: set[int] = set()
    for i, file in enumerate(files):
        if file.content_id in seen:
            repeated.add(i)
        elif file.content_id is not None:
            seen.add(file.content_id)
    return repeated


def _track(file: CataloguedFile, told: tuple[GenreAnswer, str] | None, *, use_tags: bool) -> Track | None:
    answer, told_by = told or (None, "")
    if use_tags and file.tag_genre is not None:
        genre, origin = file.tag_genre, GenreOrigin.TAG
    elif answer is not None:
        genre, origin = answer.genre, GenreOrigin.MODEL if answer.is_sure else GenreOrigin.UNSURE
    else:
        return None
    return Track(
        path=file.path,
        title=file.title,
        artist=file.artist,
        album=file.album,
        year=file.year,
        genre=genre,
        genre_origin=origin,
        model_genre=answer.genre if answer else None,
        confidence=answer.confidence if answer else 0.0,
        duration_s=file.duration_s,
        audio_type=file.audio_type,
        size_bytes=file.size_bytes,
        mtime_ns=file.mtime_ns,
        told_by=told_by,
    )


def _space(snapshot: Snapshot, model: GenreModel, kept: NDArray[np.bool_]) -> SpaceVectors:
    """The vectors of a model's space; `kept` says which files of the snapshot became tracks, shape ``(n,)``."""
    heard = snapshot.heard.get(model.feature_id)
    if heard is None or not len(heard.rows):
        none = np.empty((0, model.dimension), dtype=np.float32)
        return SpaceVectors(model.space_id, model.model_id, np.empty(0, dtype=np.intp), none)
    # Whatever a model has heard has an answer, and so is a track, unless its content is there already.
    which = kept[heard.rows]
    rows = (np.cumsum(kept) - 1)[heard.rows[which]]
    features = heard.features if which.all() else heard.features[which]
    return SpaceVectors(model.space_id, model.model_id, rows, model.vectors(features))

"""A user's collection as the rest of the program uses it: a snapshot that is renewed when the catalogue changes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue, Under
from dnai.library.columns import NO_GENRE, NOWHERE, Objects
from dnai.library.register import Register, Snapshot
from dnai.library.track_list import ORIGINS, GenreColumns, TrackList
from dnai.tracks import GenreOrigin, Track


@dataclass(frozen=True, slots=True, eq=False)
class SpaceVectors:
    """The vectors of one feature space, of those tracks that have one.

    `rows`, shape ``(k,)``, ascend and say which tracks they are. Their vectors are rows of `matrix`,
    shape ``(m, d)``: those that `places`, shape ``(k,)``, names, or all of it. The classifier
    `model_id` only informs.
    """

    space_id: str
    model_id: str
    rows: NDArray[np.intp]
    matrix: NDArray[np.float32]
    places: NDArray[np.intp] | None = None

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The vectors in the order of `rows`, shape ``(k, d)``; made anew each time where `places` are given."""
        return self.matrix if self.places is None else self.matrix[self.places]

    def vector(self, row: int) -> NDArray[np.float32] | None:
        """Return the vector, shape ``(d,)``, of the track at `row`, or None where it has none."""
        i = int(np.searchsorted(self.rows, row))
        if i == len(self.rows) or self.rows[i] != row:
            return None
        vector: NDArray[np.float32] = self.matrix[i if self.places is None else self.places[i]]
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
        files = snapshot.files
        genres = _genres(snapshot, models, use_tags=use_tags)
        kept = np.flatnonzero((genres.codes != NO_GENRE) & ~_repeated(files.contents))
        self._tracks = TrackList(files, genres, kept, model_names=[model.name for model in models])
        self.tracks: Sequence[Track] = self._tracks
        self.spaces: tuple[SpaceVectors, ...] = tuple(_space(snapshot, model, kept) for model in models)

    def __len__(self) -> int:
        return len(self.tracks)

    def vectors(self, track: Track) -> dict[str, NDArray[np.float32]]:
        """Return the vector of one of the tracks in each space that it has one in, shape ``(d,)``; preferred first.

        Raises
        ------
        KeyError
            For a track that is not in the collection.
        """
        row = self._tracks.find(track.path)
        if row is None:
            raise KeyError(track.path)
        found = {space.space_id: space.vector(row) for space in self.spaces}
        return {space_id: vector for space_id, vector in found.items() if vector is not None}


def read_collection(
    catalogue: Catalogue, models: Sequence[GenreModel], *, use_tags: bool = True, under: Under = None
) -> Collection:
    """Return the collection as the catalogue has it now; raises `CatalogueError`."""
    return Collection(Register(models, under=under).read(catalogue), models, use_tags=use_tags)


class LiveCollection:
    """Gives the collection as it stands now; for several threads.

    Of a catalogue that has been read before, only what has changed since is read.

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
        self._register = Register(models, under=under)
        self._snapshot = Snapshot()
        self._current = Collection(self._snapshot, models)

    def current(self) -> Collection:
        """Return the collection; the same object as before while no track in the catalogue has changed.

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
                self._register = Register(self._models, under=self._under)
            version = self._catalogue.version()
            if version != self._version:
                snapshot = self._register.read(self._catalogue)
                if snapshot is not self._snapshot:
                    self._current = Collection(snapshot, self._models, use_tags=self._use_tags)
                    self._snapshot = snapshot
                self._version = version
            return self._current

    def close(self) -> None:
        """Close the catalogue."""
        with self._lock:
            if self._catalogue is not None:
                self._catalogue.close()
                self._catalogue = None
                self._version = None


def _genres(snapshot: Snapshot, models: Sequence[GenreModel], *, use_tags: bool) -> GenreColumns:
    """The genre of each file: of its tag, or what the preferred of the models that have heard it says."""
    files = snapshot.files
    answers, told_by = np.full(len(files), NO_GENRE, dtype=np.int8), np.full(len(files), NOWHERE, dtype=np.int8)
    confidences, are_sure = np.zeros(len(files)), np.zeros(len(files), dtype=bool)
    for i, model in enumerate(models):
        heard = snapshot.heard.get(model.feature_id)
        if heard is not None:
            new = np.flatnonzero((told_by == NOWHERE) & (heard.answers["code"] != NO_GENRE))
            found = heard.answers[new]
            answers[new], confidences[new], are_sure[new] = found["code"], found["confidence"], found["is_sure"]
            told_by[new] = i
    by_tag = (files.tags != NO_GENRE) & use_tags
    unsure = np.where(are_sure, ORIGINS.index(GenreOrigin.MODEL), ORIGINS.index(GenreOrigin.UNSURE))
    return GenreColumns(
        codes=np.where(by_tag, files.tags, answers),
        origins=np.where(by_tag, ORIGINS.index(GenreOrigin.TAG), unsure).astype(np.int8),
        answers=answers,
        confidences=confidences,
        told_by=told_by,
    )


def _repeated(contents: Objects) -> NDArray[np.bool_]:
    """Whether the content of each file is that of one before it, shape ``(n,)``."""
    repeated = np.zeros(len(contents), dtype=bool)
    known = [content for content in contents if content is not None]
    if len(set(known)) < len(known):
        seen: set[object] = {None}
        for row, content in enumerate(contents):
            repeated[row] = content in seen and content is not None
            seen.add(content)
    return repeated


def _space(snapshot: Snapshot, model: GenreModel, kept: NDArray[np.intp]) -> SpaceVectors:
    """The vectors of a model's space; `kept` are the rows of the files that are tracks."""
    heard = snapshot.heard.get(model.feature_id)
    if heard is None:
        none = np.empty((0, model.dimension), dtype=np.float32)
        return SpaceVectors(model.space_id, model.model_id, np.empty(0, dtype=np.intp), none)
    places = heard.answers["place"][kept]
    rows = np.flatnonzero(places != NOWHERE)
    return SpaceVectors(model.space_id, model.model_id, rows, heard.vectors, places[rows])

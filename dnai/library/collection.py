"""A user's collection as the rest of the program uses it: a snapshot that is renewed when the catalogue changes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue, CataloguedTrack
from dnai.tracks import Track


class Collection:
    """The tracks of a catalogue at one moment, with their standardised vectors; never changed.

    Attributes
    ----------
    tracks
        Length ``n``.
    vectors
        Shape ``(n, d)``, in the space of the model.
    """

    def __init__(self, catalogued: Sequence[CataloguedTrack], model: GenreModel) -> None:
        self.tracks: tuple[Track, ...] = tuple(one.track for one in catalogued)
        if catalogued:
            self.vectors: NDArray[np.float32] = model.vectors(np.array([one.features for one in catalogued]))
        else:
            self.vectors = np.empty((0, model.dimension), dtype=np.float32)
        self._rows = {track.path: row for row, track in enumerate(self.tracks)}

    def __len__(self) -> int:
        return len(self.tracks)

    def vector(self, track: Track) -> NDArray[np.float32]:
        """Return the vector of one of the tracks, shape ``(d,)``; raises KeyError for a stranger."""
        row: NDArray[np.float32] = self.vectors[self._rows[track.path]]
        return row


class LiveCollection:
    """Gives the collection as it stands now; for several threads.

    Parameters
    ----------
    catalogue_path
        The catalogue; while it does not exist the collection is empty.
    under
        Only tracks below this folder belong to it.
    """

    def __init__(self, catalogue_path: Path, model: GenreModel, *, under: Path | None = None) -> None:
        self._path = catalogue_path
        self._model = model
        self._under = under
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self._version: int | None = None
        self._current = Collection((), model)

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
                self._current = Collection(self._catalogue.tracks(under=self._under), self._model)
                self._version = version
            return self._current

    def close(self) -> None:
        """Close the catalogue."""
        with self._lock:
            if self._catalogue is not None:
                self._catalogue.close()
                self._catalogue = None
                self._version = None

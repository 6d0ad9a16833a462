"""What is known of a catalogue in memory, brought up to date with what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue, Under
from dnai.library.columns import NOWHERE, FileColumns, make_columns, merge_columns
from dnai.library.heard import HeardColumns, HeardFilling, nothing_heard
from dnai.library.moment import Moment


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A catalogue at one moment: its files, and what was heard, by the id of the features; never changed."""

    files: FileColumns = field(default_factory=lambda: make_columns(()))
    heard: Mapping[str, HeardColumns] = field(default_factory=dict)


class Register:
    """Keeps a snapshot of a catalogue, and reads only what has changed since; for one thread at a time.

    Parameters
    ----------
    models
        Whose hearings are wanted.
    under
        Only files below this folder, or these.
    """

    def __init__(self, models: Sequence[GenreModel], *, under: Under = None) -> None:
        self._models = {model.feature_id: model for model in models}
        self._under = under
        self._revision: int | None = None
        self._snapshot = Snapshot(
            heard={model.feature_id: nothing_heard(0, dimension=model.dimension) for model in models}
        )

    def read(self, catalogue: Catalogue) -> Snapshot:
        """Return what the catalogue holds now; the same object as before where nothing has changed.

        It must be the same catalogue each time.

        Raises
        ------
        CatalogueError
            When it cannot be read or is damaged; what was known before is kept.
        """
        with catalogue.moment(under=self._under, since=self._revision) as moment:
            if moment.changed is None or len(moment.changed):
                self._snapshot = self._renew(moment)
            self._revision = moment.revision
        return self._snapshot

    def _renew(self, moment: Moment) -> Snapshot:
        files = moment.files()
        origin = np.full(len(files), NOWHERE, dtype=np.intp)
        if moment.changed is not None:
            files, origin = merge_columns(self._snapshot.files, files, changed=moment.changed)
        fillings = {one: HeardFilling(heard, origin) for one, heard in self._snapshot.heard.items()}
        awaited = np.flatnonzero(origin == NOWHERE)
        self._hear(moment, files.ids[awaited], awaited, fillings)
        return Snapshot(files, {one: filling.columns() for one, filling in fillings.items()})

    def _hear(
        self, moment: Moment, ids: NDArray[np.int64], rows: NDArray[np.intp], fillings: Mapping[str, HeardFilling]
    ) -> None:
        """Fill in what was heard in the files of these ids, which are at these rows."""
        dimensions = {one: model.dimension for one, model in self._models.items()}
        order = np.argsort(ids)
        ids, rows = ids[order], rows[order]
        for feature_id, block in moment.heard(dimensions) if len(ids) else ():
            model = self._models[feature_id]
            places = np.minimum(np.searchsorted(ids, block.ids), len(ids) - 1)
            wanted = ids[places] == block.ids
            kept = block if wanted.all() else block.only(wanted)
            fillings[feature_id].add(rows[places[wanted]], kept, model.vectors(kept.features))

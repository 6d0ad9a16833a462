"""What measures the raw features of a song that comes in blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Measurement(Protocol):
    """The measurement of one song.

    All of the song is added; `rewind` says whether it is to be added once more, from the beginning, because something
    is known only when it has ended; `finish` gives the features.
    """

    def add(self, y: NDArray[np.float32]) -> None:
        """Hear the next samples, shape ``(n,)``, mono, at `dnai.audio.decode.SAMPLE_RATE`."""

    def rewind(self) -> bool:
        """Be told that the song is over; return whether it must be heard once more.

        Raises
        ------
        UnusableAudioError
            When nothing can be measured on it.
        """

    def finish(self) -> NDArray[np.float64]:
        """Return the raw features, shape ``(d,)``.

        Raises
        ------
        UnusableAudioError
            When nothing can be measured on it.
        """


class Extractor(ABC):
    """Measures the raw features of one space."""

    feature_id: str
    """The id of the raw features, as `GenreModel.feature_id` has it."""

    @abstractmethod
    def start(self) -> Measurement:
        """Return the measurement of a song that is about to begin."""

    def extract(self, y: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the raw features, shape ``(d,)``, of a whole song, shape ``(n,)``.

        Raises
        ------
        UnusableAudioError
            When nothing can be measured on it.
        """
        measurement = self.start()
        measurement.add(y)
        if measurement.rewind():
            measurement.add(y)
        return measurement.finish()

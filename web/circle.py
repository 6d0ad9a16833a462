"""The web app's line to the broker, which may be away, or refuse us, at any time: the page goes on working."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from dnai.broker.scatter import Scatter
from dnai.errors import BrokerError, BrokerRefusedError, BrokerUnreachableError, ConfigurationError
from dnai.recommend.gather import GatherResult
from dnai.recommend.requester import PresentProvider
from dnai.tracks import Genre

logger = logging.getLogger(__name__)

RETRY_S = 5.0
"""How long after a refusal (wrong password, missing rights) the broker is tried again, seconds."""


class KeptCircle:
    """A `Scatter` that is started in the background, and again after the broker has refused it.

    A scatter that was connected once comes back by itself; one that was refused does not.

    Parameters
    ----------
    make
        Returns a new scatter, not yet started.
    """

    def __init__(self, make: Callable[[], Scatter]) -> None:
        self._make = make
        self._scatter: Scatter | None = None
        self._error: BrokerError = BrokerUnreachableError("the broker is still being connected to; ask again")
        self._tried = threading.Event()
        self._closing = threading.Event()

    def start(self, *, wait_s: float) -> None:
        """Begin to connect; return after the first attempt, at the latest after `wait_s`.

        Raises
        ------
        ConfigurationError
            When the broker's URL, or the file of its certificates, cannot be used.
        """
        first = self._make()
        threading.Thread(target=self._keep, args=(first,), name="dnai-circle", daemon=True).start()
        self._tried.wait(wait_s)

    def close(self) -> None:
        """End the connection."""
        self._closing.set()
        scatter = self._scatter
        if scatter is not None:
            scatter.close()

    @property
    def connected(self) -> bool:
        """Whether the broker is there at this moment."""
        return self._scatter is not None and self._scatter.connected

    def ask(self, genre: Genre, vectors: Mapping[str, NDArray[np.float32]]) -> GatherResult:
        """Ask everybody, and wait for their answers.

        Raises
        ------
        BrokerError
            When the broker is away, or does not let us in.
        """
        return self._started().ask(genre, vectors)

    def who(self) -> tuple[PresentProvider, ...]:
        """Return who else is present; raises `BrokerError`."""
        return self._started().who()

    def _started(self) -> Scatter:
        if self._scatter is None:
            raise type(self._error)(str(self._error))
        return self._scatter

    def _keep(self, first: Scatter) -> None:
        """Start a scatter; when it is refused, try again later."""
        scatter: Scatter | None = first
        while not self._closing.is_set():
            try:
                scatter = scatter or self._make()
                scatter.start(patient=True)
            except BrokerError as error:
                scatter = None
                self._wait_after(error)
            except ConfigurationError as error:  # it was right at the start: a file has gone since then
                self._wait_after(BrokerRefusedError(str(error)))
            else:
                self._scatter = scatter
                self._tried.set()
                if self._closing.is_set():
                    scatter.close()
                return

    def _wait_after(self, error: BrokerError) -> None:
        if str(error) != str(self._error):
            logger.warning("the circle cannot be joined: %s", error)
        self._error = error
        self._tried.set()
        self._closing.wait(RETRY_S)

"""The pieces of one read that are on their way, a few at a time."""

from __future__ import annotations

import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from dnai.stream.payloads import PIECE_BYTES

SMALL_PIECE_BYTES: Final = 64 * 1024
"""The first pieces of a read are small, so that the first sound comes soon, and all pieces on a slow line."""
SLOW_PIECE_S: Final = 0.5
"""A line on which a piece takes longer is slow."""
PIECES_AHEAD: Final = 4

Piece = concurrent.futures.Future[bytes]


class Window:
    """The bytes of a track from `start` up to `stop`, asked for piece after piece.

    Parameters
    ----------
    ask
        Starts to fetch a piece, by its offset and length.
    wait
        Returns a piece that was asked for.
    """

    def __init__(
        self, start: int, stop: int, *, ask: Callable[[int, int], Piece], wait: Callable[[Piece], bytes]
    ) -> None:
        self._next = start
        self._stop = stop
        self._fetch = ask
        self._wait = wait
        self._asked: deque[Piece] = deque()

    def pieces(self) -> Iterator[bytes]:
        """Return the pieces in order, asking for the next ones meanwhile."""
        for _ in range(PIECES_AHEAD):
            self._ask(SMALL_PIECE_BYTES)
        while self._asked:
            since = time.monotonic()
            piece = self._wait(self._asked[0])
            self._asked.popleft()
            # A small piece arrives in time where a large one would not.
            self._ask(SMALL_PIECE_BYTES if time.monotonic() - since > SLOW_PIECE_S else PIECE_BYTES)
            yield piece

    def close(self) -> None:
        """Call off what is still on its way."""
        while self._asked:
            self._asked.popleft().cancel()

    def _ask(self, length: int) -> None:
        length = min(length, self._stop - self._next)
        if length > 0:
            self._asked.append(self._fetch(self._next, length))
            self._next += length

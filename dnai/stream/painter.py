"""Covers for listeners: looked for in a thread of their own, with a time limit for whoever waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from dataclasses import dataclass
from typing import Final

from dnai.audio.covers import Covers
from dnai.text import clean_text
from dnai.tracks import Track

TIMEOUT_S: Final = 1.0
"""A connection's music waits while a cover of it is looked for; so long it may."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    track: Track
    asker: str
    loop: asyncio.AbstractEventLoop
    cover: asyncio.Future[bytes | None]


class Painter:
    """Looks for one cover after the other; lives on the server's loop.

    The thread is a daemon, as those of an executor are not: a picture that hangs does not keep the process alive.
    """

    def __init__(self, covers: Covers, *, timeout_s: float = TIMEOUT_S) -> None:
        self._covers = covers
        self._timeout_s = timeout_s
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._askers: set[str] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def cover(self, track: Track, *, asker: str) -> bytes | None:
        """Return the cover of `track`, None where there is none, or none in time.

        What comes too late is kept for the next time. Until then `asker` gets no other: so a user has at most
        one cover waiting, and those of the others come soon.
        """
        if self._closed or asker in self._askers:
            return None
        loop = asyncio.get_running_loop()
        order = _Order(track, asker, loop, loop.create_future())
        self._askers.add(asker)
        self._start()
        self._orders.put(order)
        await asyncio.wait([order.cover], timeout=self._timeout_s)
        return order.cover.result() if order.cover.done() else None

    def close(self) -> None:
        """Begin no further cover; waits for nothing."""
        self._closed = True
        self._orders.put(None)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dnai-covers", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (order := self._orders.get()) is not None and not self._closed:
            cover = self._look(order.track)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                order.loop.call_soon_threadsafe(self._deliver, order, cover)

    def _look(self, track: Track) -> bytes | None:
        try:
            return self._covers.of(track)
        except Exception:  # the thread's edge: one picture must not cost the others
            logger.exception("the cover of %s cannot be had", clean_text(str(track.path)))
            return None

    def _deliver(self, order: _Order, cover: bytes | None) -> None:
        self._askers.discard(order.asker)
        if not order.cover.done():
            order.cover.set_result(cover)

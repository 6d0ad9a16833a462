"""Futures that one thread waits for and another, the one that serves the broker, completes."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, TypeVar

from dnai.errors import DnaiError

_T = TypeVar("_T")


class PendingCalls:
    """The futures that are not completed yet; each is completed once, whoever comes first."""

    def __init__(self) -> None:
        self._futures: set[Future[Any]] = set()
        self._lock = threading.Lock()

    def add(self, future: Future[_T]) -> Future[_T]:
        """Take `future` on; it can no longer be cancelled."""
        future.set_running_or_notify_cancel()
        with self._lock:
            self._futures.add(future)
        return future

    def forget(self, future: Future[Any]) -> bool:
        """Give `future` up; return False where it was completed or given up before."""
        with self._lock:
            known = future in self._futures
            self._futures.discard(future)
        return known

    def succeed(self, future: Future[_T], result: _T) -> None:
        """Complete `future` with a result, unless it is completed."""
        if self.forget(future):
            future.set_result(result)

    def fail(self, future: Future[Any], error: DnaiError) -> None:
        """Complete `future` with an error, unless it is completed."""
        if self.forget(future):
            future.set_exception(error)

    def fail_all(self, error: DnaiError) -> None:
        """Complete all futures with errors of the same kind and words."""
        with self._lock:
            futures, self._futures = self._futures, set()
        for future in futures:
            future.set_exception(type(error)(str(error)))

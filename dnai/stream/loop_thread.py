"""An asyncio loop in a thread of its own, for callers that live in ordinary threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from dnai.errors import PeerBrokeOffError, UsageError

T = TypeVar("T")

_CANCEL_TIMEOUT_S = 0.3
_JOIN_TIMEOUT_S = 0.5

logger = logging.getLogger(__name__)


class LoopThread:
    """Runs coroutines for other threads until it is closed."""

    def __init__(self, name: str) -> None:
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_log_stray_error)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is run."""
        return self._closed

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start `coroutine` on the loop; raises `UsageError` after `close`."""
        try:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError as error:  # closed by another thread at this very moment
            logger.debug("too late for %s: %s", coroutine, error)
        coroutine.close()
        raise UsageError("the client of this session is closed")

    def wait(self, future: concurrent.futures.Future[T], *, timeout_s: float, waiting_for: str) -> T:
        """Return the result of what was submitted.

        Raises
        ------
        PeerBrokeOffError
            When there is none within `timeout_s` (its cause is a `TimeoutError`), or it was called off.
        """
        try:
            return future.result(timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise PeerBrokeOffError(f"{waiting_for} did not come within {timeout_s:g} s") from error
        except concurrent.futures.CancelledError as error:
            raise PeerBrokeOffError(f"{waiting_for} was called off: the session was closed") from error

    def close(self, farewell: Coroutine[Any, Any, None], *, timeout_s: float) -> None:
        """Run `farewell` for at most `timeout_s`, then end every task and the thread; twice does nothing."""
        if self._closed:
            farewell.close()
            return
        last = self.submit(farewell)
        self._closed = True
        try:
            last.result(timeout_s)
        except TimeoutError:
            logger.warning("connections did not end within %g s; they are dropped", timeout_s)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CANCEL_TIMEOUT_S + _JOIN_TIMEOUT_S)

    def _run(self) -> None:
        try:
            self._loop.run_forever()
            self._cancel_rest()
        finally:
            self._loop.close()

    def _cancel_rest(self) -> None:
        rest = asyncio.all_tasks(self._loop)
        for task in rest:
            task.cancel()
        if rest:
            self._loop.run_until_complete(asyncio.wait(rest, timeout=_CANCEL_TIMEOUT_S))


def _log_stray_error(_loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
    """Log the kind of an error that nobody waits for, such as one of the library over a lying server's packet."""
    logger.debug("%s (%s)", context.get("message"), type(context.get("exception")).__name__)

"""Counting and logging what is dropped, without letting a hostile member fill the log."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from dnai.text import clean_text

LOG_INTERVAL_S = 5.0
"""At most one line of each kind is logged in this time."""


class DropLog:
    """Counts dropped messages by kind; logs the first of a kind, and then one every `LOG_INTERVAL_S`.

    Parameters
    ----------
    log
        Where the lines go.
    clock
        Steady seconds.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        self._log = log
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def drop(self, kind: str, *, user_id: object, correlation_id: object, reason: object) -> None:
        """Count a dropped message of this kind, and log who sent it and why it was dropped, if not too often."""
        self.counts[kind] += 1
        self.note(kind, user_id=user_id, correlation_id=correlation_id, reason=reason)

    def note(self, kind: str, *, user_id: object, correlation_id: object, reason: object) -> None:
        """Log without counting, for what somebody else counts."""
        now = self._clock()
        if now - self._logged_at.get(kind, float("-inf")) < LOG_INTERVAL_S:
            return
        self._logged_at[kind] = now
        self._log.warning(
            "dropped a %s message of user %s, request %s: %s",
            kind,
            clean_text(str(user_id), max_chars=64),
            clean_text(str(correlation_id), max_chars=64),
            clean_text(str(reason)),
        )

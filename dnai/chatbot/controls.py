"""What acts on the player or asks about it; the wordings stand in ``corpus/commands.yaml``.

A wording is a whole message: a sentence that merely holds "stop" or "next" is none of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from dnai.chatbot.intents import Intent
from dnai.chatbot.phrases import load_wordings

MAX_COMMAND_CHARS = 110
"""Nobody commands in more; long texts would only keep the patterns busy."""


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    return {key: re.compile(pattern) for key, pattern in load_wordings("commands").items()}


def _matches(key: str, words: str) -> bool:
    return len(words) <= MAX_COMMAND_CHARS and _patterns()[key].fullmatch(f"{words} ") is not None


def find_control(words: str) -> Intent | None:
    """Return the command to the player or the question about it that folded `words` are, or None."""
    if not words:
        return None
    keys = (key for key in _patterns() if key not in {"cancel", "agree"})
    return next((Intent(key) for key in keys if _matches(key, words)), None)


def is_yes(folded: str) -> bool:
    """Return whether `folded` agrees, and says nothing else."""
    return bool(folded) and _matches("agree", folded)


def is_cancel(folded: str) -> bool:
    """Return whether `folded` waves a question away, and says nothing else."""
    return bool(folded) and _matches("cancel", folded)

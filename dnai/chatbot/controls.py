"""What acts on the player or asks about it; the wordings stand in ``corpus/commands.yaml``.

A wording is a whole message: a sentence that merely holds "stop" or "next" is none of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from dnai.chatbot.intents import Intent
from dnai.chatbot.phrases import load_wordings, read_corpus
from dnai.errors import ConfigurationError

MAX_COMMAND_CHARS = 110
"""Nobody commands in more; long texts would only keep the patterns busy."""

MAX_HINT_WORDS = 8
"""In longer messages, single words say too little about what is wanted."""


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


@cache
def _hints() -> tuple[frozenset[str], Mapping[Intent, tuple[frozenset[str], ...]]]:
    content = read_corpus("hints")
    if not isinstance(content, dict):
        raise ConfigurationError("corpus/hints.yaml is not a mapping; install DN.ai again")
    telling = frozenset(content.pop("telling"))
    return telling, {Intent(key): tuple(map(frozenset, groups)) for key, groups in content.items()}


def find_hint(folded: str) -> Intent | None:
    """Return the command or question that the words of a short message point to, or None."""
    words = folded.split()
    telling, hints = _hints()
    if not 2 <= len(words) <= MAX_HINT_WORDS or telling.intersection(words):
        return None
    return next(
        (intent for intent, groups in hints.items() if all(group.intersection(words) for group in groups)), None
    )

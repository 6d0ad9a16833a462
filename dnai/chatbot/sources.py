"""Whose music: the listener's own collection, or the peers'; the words stand in ``corpus/sources.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from dnai.chatbot.intents import Source
from dnai.chatbot.phrases import load_wordings

_MAX_ANSWER_WORDS = 12  # a longer message is no answer, and the frame's pattern would be slow on it


@dataclass(frozen=True, slots=True)
class Sourced:
    """The words of a request without those that said whose music it is."""

    rest: str
    source: Source | None


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    words = load_wordings("sources")
    mine, peers = f"(?P<mine>{words['mine']})", f"(?P<peers>{words['peers']})"
    either = f"(?P<either>{words['either']})"
    before = f"(?:{words['preposition']})"
    start = r"(?:^|(?<= ))"
    patterns = {
        "negated": f"{start}(?:{words['negation']}){before}?(?:{mine}|{peers})",
        "preposed": f"{start}{before}(?:{mine}|{peers}|{either})",
        "held": f"(?<= )(?:(?P<mine>{words['held_mine']})|(?P<peers>{words['held_peers']}))$",
        "trailing": f"(?<= )(?:(?P<mine>{words['trailing_mine']})|(?P<peers>{words['trailing_peers']}))$",
        "possessive": f"^(?:(?P<peers>{words['possessive_peers']})|(?P<mine>{words['possessive_mine']}))(?=.)",
        "alone": f"(?:{words['frame']})*(?:{mine}|{peers}|{either})(?:{words['frame']})*",
        "negated_alone": f"(?:no )?(?:but |and )?(?:not |never ){before}?(?:{mine}|{peers})",
        "first": words["first"],
        "second": words["second"],
    }
    return {name: re.compile(pattern) for name, pattern in patterns.items()}


def split_source(words: str) -> Sourced:
    """Return folded `words` of a request, cut in source and the rest. "From anywhere" is from peers."""
    negated = _patterns()["negated"].search(f"{words} ")
    if negated:
        rest = split_source(_without(words, negated))
        return Sourced(rest.rest, rest.source or _other(_source_of(negated)))
    for name in ("preposed", "held", "trailing"):
        found = _patterns()[name].search(f"{words} ")
        if found:
            return Sourced(_without(words, found), _source_of(found))
    return Sourced(words, None)


def split_possessive(words: str) -> Sourced:
    """Return the object `words` of a request without "my" or "my friends'" before it."""
    found = _patterns()["possessive"].search(f"{words} ")
    if not found:
        return Sourced(words, None)
    return Sourced(_without(words, found), _source_of(found))


def source_alone(folded: str, *, asked: bool) -> Source | None:
    """Return the source that `folded` names and nothing else, or None.

    With `asked`, the listener answers "from your collection or from peers?": then "either" and "the
    first" are answers as well. Either one is peers, for that is what DN.ai is for.
    """
    words = f"{folded} "
    if len(folded.split()) > _MAX_ANSWER_WORDS:
        return None
    if asked and _patterns()["first"].fullmatch(words):
        return Source.MINE
    if asked and _patterns()["second"].fullmatch(words):
        return Source.PEERS
    negated = _patterns()["negated_alone"].fullmatch(words)
    if negated:
        return _other(_source_of(negated))
    found = _patterns()["alone"].fullmatch(words)
    if not found or not (asked or _stands_alone(folded, found)):
        return None
    return _source_of(found)


def _stands_alone(folded: str, found: re.Match[str]) -> bool:
    """Return whether the words say a source to somebody who was not asked for one."""
    return not found["either"] and (
        folded in {"peers", "mine", "peer"}
        or re.search(r"\b(?:from|peers?|mine|collection|my own)\b", folded) is not None
    )


def _without(words: str, found: re.Match[str]) -> str:
    return " ".join((words[: found.start()] + " " + words[found.end() :]).split())


def _source_of(found: re.Match[str]) -> Source:
    return Source.MINE if found["mine"] else Source.PEERS


def _other(source: Source) -> Source:
    return Source.PEERS if source is Source.MINE else Source.MINE

"""A message that asks for music, cut into verb, object and source; the words stand in ``corpus/requests.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from dnai.chatbot.intents import Source
from dnai.chatbot.phrases import load_wordings
from dnai.chatbot.sources import Sourced, split_possessive, split_source
from dnai.chatbot.wording import Utterance, fold, unpolite

MAX_OBJECT_CHARS = 200


class Strength(IntEnum):
    """How plainly a message asks for music: by naming it, by wanting something, by saying "play"."""

    BARE = 1
    WEAK = 2
    STRONG = 3


@dataclass(frozen=True, slots=True)
class Ask:
    """What a message asks for, in folded words.

    `names` are the forms of the object that may be a title as they stand, the longest first: with
    "from my friends" still in it, or with "please".
    """

    words: str
    strength: Strength
    source: Source | None
    names: tuple[str, ...]
    quoted: str | None = None


_VERBS = {"strong": Strength.STRONG, "weak": Strength.WEAK}


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    return {key: re.compile(pattern) for key, pattern in load_wordings("requests").items()}


def matches(key: str, words: str) -> bool:
    """Return whether folded `words` as a whole are one of the wordings under `key`."""
    return len(words) <= MAX_OBJECT_CHARS and _patterns()[key].fullmatch(f"{words} ") is not None


def after(key: str, words: str) -> str | None:
    """Return what follows a wording under `key` at the start of folded `words`, or None."""
    if len(words) > MAX_OBJECT_CHARS:
        return None
    found = _patterns()[key].match(f"{words} ")
    rest = words[found.end() :].strip() if found else ""
    return rest or None


def find_ask(said: Utterance) -> Ask | None:
    """Return what `said` asks for, or None where it is too long to be a request.

    Every message is at least a bare ask: whether its object is music at all is for the caller to
    find out.
    """
    if not said.core or len(said.core) > MAX_OBJECT_CHARS:
        return None
    whole = split_source(said.core)
    strength, words = _split_verb(whole.rest if whole.source is None else unpolite(whole.rest))
    possessive = split_possessive(words) if whole.source is None else Sourced(words, None)
    return Ask(
        words=_without_praise(possessive.rest),
        strength=strength,
        source=whole.source or possessive.source,
        names=tuple(dict.fromkeys(_names(said, words, possessive.rest))),
        quoted=said.quoted if said.quoted and len(said.quoted.split()) >= 1 else None,
    )


def _names(said: Utterance, words: str, unpossessed: str) -> Iterator[str]:
    """Yield the object with more and more taken off."""
    if said.quoted:
        yield fold(said.quoted)
    yield said.folded
    for form in (said.lead, said.core):
        yield _split_verb(form)[1]
    yield words
    yield unpossessed
    yield _without_praise(unpossessed)


def _split_verb(words: str) -> tuple[Strength, str]:
    """Return how plainly folded `words` ask, and their object: "i want you to play some jazz" asks twice."""
    strength, rest = Strength.BARE, words
    while strength is not Strength.STRONG:
        key, found = next(((key, found) for key in _VERBS if (found := _patterns()[key].match(f"{rest} "))), ("", None))
        if found is None:
            break
        strength, rest = _VERBS[key], rest[found.end() :].strip()
    return (strength, rest) if strength > Strength.BARE else _split_around(words)


def _split_around(words: str) -> tuple[Strength, str]:
    """Return the object of "put some jazz on"."""
    around = after("around", words)
    ending = re.search(rf" (?:{load_wordings('requests')['around_end']})$", f"{around} ") if around else None
    return (Strength.WEAK, around[: ending.start()].strip()) if around and ending else (Strength.BARE, words)


def _without_praise(words: str) -> str:
    """Return `words` without "would be nice" and the like after them."""
    found = re.search(rf"(?<= )(?:{load_wordings('requests')['praised']})$", f"{words} ")
    return words[: found.start()].strip() if found else words

"""Everyday wordings as data: a small notation for phrases, compiled to patterns over folded words.

In ``corpus/*.yaml`` a wording is written as people say it::

    [the] next [one|{song}]        words in brackets may be left out, | stands between choices
    (stop|halt) [{this}|now]*      a star: up to five times
    why did you ...                three dots are up to eight words of any kind
    when i say <phrase>            the words of a slot are found again by its name

Repetitions are bounded, since an unbounded one over choices that overlap would take a time that
doubles with every word of a message. A pattern matches words that each end in one space, so every
text is matched as ``words + " "``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

import yaml

from dnai.errors import ConfigurationError

_TOKEN = re.compile(
    r"\{(?P<name>\w+)\}|(?P<any>\.\.\.)|<(?P<slot>\w+)>|(?P<word>\w+|,)|(?P<mark>[\[\]()|*])|(?P<space>\s+)"
)
_MARKS = {"[": "(?:", "]": ")?", "(": "(?:", ")": ")", "|": "|", "*": "{0,5}"}
_ANY_WORDS = r"(?:\w+ ){0,8}"


def match_wording(patterns: Iterable[re.Pattern[str]], words: str) -> re.Match[str] | None:
    """Return the match of the first of `patterns` that all of `words` fit, or None."""
    return next((found for pattern in patterns if (found := pattern.fullmatch(f"{words} "))), None)


def _one_pattern(wording: str, definitions: Mapping[str, str]) -> str:
    """Return the regular expression, as text, of one wording; ``{name}`` stands for a definition."""
    parts: list[str] = []
    position = 0
    while position < len(wording):
        token = _TOKEN.match(wording, position)
        if token is None or (token["name"] and token["name"] not in definitions):
            raise ConfigurationError(f"the wording {wording!r} of the chatbot's corpus cannot be read at {position}")
        parts.append(_token_pattern(token, definitions))
        position = token.end()
    # "[x]*" repeats a whole group: the question mark of the bracket goes.
    return "".join(parts).replace(")?{0,5}", "){0,5}")


def _token_pattern(token: re.Match[str], definitions: Mapping[str, str]) -> str:
    if token["name"]:
        return f"(?:{definitions[token['name']]})"
    if token["any"]:
        return _ANY_WORDS
    if token["slot"]:
        return rf"(?P<{token['slot']}>(?:\S+ ){{1,24}}?)"
    if token["word"]:
        return f"{token['word']} "
    return _MARKS[token["mark"]] if token["mark"] else ""


def read_corpus(name: str) -> object:
    """Return what ``corpus/NAME.yaml`` holds; every word in it stays text, "yes", "no" and "on" too."""
    text = (files("dnai.chatbot") / "corpus" / f"{name}.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # they make strings, lists and mappings, nothing else
    return yaml.load(text, Loader=loader)  # noqa: S506 - see above


def read_word_list(name: str, key: str) -> frozenset[str]:
    """Return the words under `key` of ``corpus/NAME.yaml``, which are separated by spaces."""
    content = read_corpus(name)
    if not isinstance(content, dict) or key not in content:
        raise ConfigurationError(f"corpus/{name}.yaml has no {key}; install DN.ai again")
    return frozenset(str(content[key]).split())


@cache
def load_wordings(name: str) -> Mapping[str, str]:
    """Return the patterns of ``corpus/NAME.yaml`` by their keys, all the wordings of a key in one."""
    return {key: "|".join(patterns) for key, patterns in load_wording_lists(name).items()}


@cache
def load_wording_lists(name: str) -> Mapping[str, tuple[str, ...]]:
    """Return the patterns of ``corpus/NAME.yaml`` by their keys, one for each wording, in their order.

    The key ``definitions`` of the file holds the names that its wordings use, each after those it uses itself.

    Raises
    ------
    ConfigurationError
        Where the file is not a mapping of lists of wordings.
    """
    content = read_corpus(name)
    if not isinstance(content, dict) or not isinstance(content.get("definitions"), dict):
        raise ConfigurationError(f"corpus/{name}.yaml is not a mapping with definitions; install DN.ai again")
    definitions: dict[str, str] = {}
    for key, wordings in content.pop("definitions").items():
        definitions[key] = "|".join(_one_pattern(wording, definitions) for wording in wordings)
    return {key: tuple(_one_pattern(wording, definitions) for wording in wordings) for key, wordings in content.items()}

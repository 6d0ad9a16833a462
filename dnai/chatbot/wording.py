"""A message as words: lower case, contractions spelled out, politeness taken off, cut into clauses.

Everything that compares words (messages, titles, artists, taught phrases) compares the form that
:func:`fold` gives, so that case, accents, quotes and hyphens never matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from rapidfuzz.distance import OSA

from dnai.chatbot.phrases import load_wordings, read_corpus, read_word_list
from dnai.errors import ConfigurationError
from dnai.text import clean_text

MAX_MESSAGE_CHARS = 600
"""How much of a message is read; the rest is cut off."""

_CONTRACTIONS = {
    "what": "is", "who": "is", "how": "is", "where": "is", "that": "is", "it": "is", "there": "is", "here": "is",
    "when": "is", "why": "is", "he": "is", "she": "is", "let": "us",
}  # fmt: skip
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})
_TAG = re.compile(r"<[^<>]{0,80}>")
_QUOTED = re.compile(r'"([^"]{1,200})"|(?:(?<=\s)|^)\'([^\']{2,200})\'(?=[\s.,!?]|$)')
_CLAUSE_END = re.compile(
    r"[.!?;:,]+(?=\s|$)|\s[-–—]+\s|\s(?=(?:and|then|but|so) (?:then )?(?:please )?(?:play|put on)\b)"
)


def fold(text: str) -> str:
    """Return the words of `text` in lower case, without accents and punctuation, contractions spelled out."""
    return " ".join(word for word in fold_marked(text).split() if word != ",")


def fold_marked(text: str) -> str:
    """Return what :func:`fold` gives, with ``,`` as a word of its own where the text pauses."""
    plain = unicodedata.normalize("NFKD", _TAG.sub(" ", text).translate(_QUOTES)).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"\brock\s*'?\s*n\s*'?\s*roll\b", "rock and roll", plain.replace("&", " and "))
    plain = re.sub(r"[.!?;:,]+(?=\s|$)|\s[-–—]+\s", " , ", plain)
    plain = re.sub(r"(\w)n't\b", r"\1 not", plain.replace("can't", "can not").replace("won't", "will not"))
    plain = re.sub(r"'(ll|d|ve|re|m)\b", lambda m: f" {_ENDINGS[m[1]]}", plain)
    plain = re.sub(
        r"\b(\w+)'s\b", lambda m: f"{m[1]} {_CONTRACTIONS[m[1]]}" if m[1] in _CONTRACTIONS else f"{m[1]}s", plain
    )
    plain = re.sub(r"[^\w,]+|_", " ", plain.replace("'", ""))
    plain = re.sub(r"(?<=\S),(?=\S)", "", plain)
    return " ".join(_short_forms().get(word, word) for word in map(_unstretched, plain.split()))


@cache
def _short_forms() -> Mapping[str, str]:
    content = read_corpus("spellings")
    if not isinstance(content, dict):
        raise ConfigurationError("corpus/spellings.yaml is not a mapping; install DN.ai again")
    return dict(content["short_forms"])


def _unstretched(word: str) -> str:
    """Return "please" for "pleeease"; short words, such as roman numerals, stay."""
    return re.sub(r"([^\W\d])\1{2,}", r"\1", word) if len(word) > 3 else word


_ENDINGS = {"ll": "will", "d": "would", "ve": "have", "re": "are", "m": "am"}


@dataclass(frozen=True, slots=True)
class Utterance:
    """One message, or one clause of it, in the forms that the rules look at.

    `lead` has the politeness before the words taken off, `core` also the one after them. `marked`
    keeps pauses. `quoted` is what stood in quotation marks, as it was written.
    """

    text: str
    folded: str
    marked: str
    lead: str
    core: str
    question: bool
    quoted: str | None = None


def utterance(text: str) -> Utterance:
    """Return `text` as an utterance; any text at all will do."""
    clean = clean_text(text[: MAX_MESSAGE_CHARS * 8], max_chars=MAX_MESSAGE_CHARS)
    folded = fold(clean)
    lead = _strip_leading(folded)
    found = _QUOTED.search(clean.translate(_QUOTES))
    quoted = (found[1] or found[2]) if found else None
    return Utterance(
        text=clean,
        folded=folded,
        marked=fold_marked(clean).strip(" ,"),
        lead=lead,
        core=unpolite(folded),
        question=clean.rstrip().endswith("?"),
        quoted=quoted,
    )


def unpolite(words: str) -> str:
    """Return folded `words` without the politeness before and after them."""
    return _strip_trailing(_strip_leading(words))


def clauses(whole: Utterance) -> Sequence[Utterance]:
    """Return the clauses of `whole`, none where it is a single one."""
    parts = [part.strip() for part in _CLAUSE_END.split(whole.text)]
    kept = [utterance(part) for part in parts if fold(part)]
    return kept if len(kept) > 1 else []


@cache
def _politeness() -> tuple[re.Pattern[str], re.Pattern[str]]:
    words = load_wordings("politeness")
    return re.compile(f"(?:{words['leading']})"), re.compile(f"(?:^|(?<= ))(?:{words['trailing']})$")


def _strip_leading(folded: str) -> str:
    """Return `folded` without what is said before the point; all of it where nothing else is there."""
    words = f"{folded} "
    while (found := _politeness()[0].match(words)) and found.end() < len(words):
        words = words[found.end() :]
    return words.strip()


def _strip_trailing(lead: str) -> str:
    words = f"{lead} "
    while (found := _politeness()[1].search(words)) and found.start() > 0:
        words = words[: found.start()]
    return words.strip()


def corrected(words: str) -> str:
    """Return `words` with slips in command words mended: a letter left out, doubled or swapped, never the first."""
    return " ".join(_corrected_word(word) for word in words.split())


@cache
def _command_words() -> frozenset[str]:
    return read_word_list("spellings", "command_words")


@cache
def _real_words() -> frozenset[str]:
    return read_word_list("spellings", "real_words")


@lru_cache(maxsize=4096)
def _corrected_word(word: str) -> str:
    if len(word) < 3 or word in _real_words() or word in _command_words():
        return word
    for known in sorted(_command_words()):
        if word[0] == known[0] and len(known) > 3 and _is_slip(word, known):
            return known
    return word


def _is_slip(word: str, known: str) -> bool:
    if word == f"{known}s" or OSA.distance(word, known, score_cutoff=1) > 1:
        return False
    same_length = len(word) == len(known)
    return len(known) > 6 or not same_length or sorted(word) == sorted(known)

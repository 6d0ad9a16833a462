"""Genre names in the words of a request: everyday spellings, slips of the keyboard, and names outside the ten.

The words around them stand in ``corpus/genres.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from rapidfuzz.distance import OSA

from dnai.chatbot.phrases import read_corpus
from dnai.chatbot.wording import fold
from dnai.errors import ConfigurationError
from dnai.tracks import GENRE_SPELLINGS, Genre

_WORD_FORMS = {
    "jazzy": Genre.JAZZ,
    "jazzier": Genre.JAZZ,
    "jass": Genre.JAZZ,
    "jas": Genre.JAZZ,
    "bluesy": Genre.BLUES,
    "poppy": Genre.POP,
}
_LAST_WORDS = {
    **{genre.value: genre for genre in Genre},
    "hop": Genre.HIPHOP,
    "rap": Genre.HIPHOP,
    "opera": Genre.CLASSICAL,
    "symphony": Genre.CLASSICAL,
}
_TOO_NEAR_TO_WORDS = frozenset({"swing", "trap", "rap", "thrash", "dub", "ska", "opera"})
_MAX_WORDS_BEFORE = 7
_MAX_OBJECT_CHARS = 200


@dataclass(frozen=True, slots=True)
class GenreMatch:
    """A genre that words named, `others` where they named several.

    `exact` where the words are a known spelling, `own_name` where they are the genre's plain name.
    """

    genre: Genre
    exact: bool
    own_name: bool
    others: tuple[Genre, ...] = ()


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of the corpus, as sets and patterns."""

    before: frozenset[str]
    ambiguous: frozenset[str]
    not_slips: frozenset[str]
    unknown: frozenset[str]
    unknown_words: frozenset[str]
    noun: str
    purpose: str
    tail: re.Pattern[str]
    joined: re.Pattern[str]
    daily: re.Pattern[str]
    marks: re.Pattern[str]


@cache
def _words() -> _Words:
    content = read_corpus("genres")
    if not isinstance(content, dict):
        raise ConfigurationError("corpus/genres.yaml is not a mapping; install DN.ai again")
    lists = {key: value.split() if isinstance(value, str) else list(value) for key, value in content.items()}
    noun, purpose = f"(?:{'|'.join(lists['nouns'])})", f"(?:{'|'.join(lists['purpose'])})"
    then = r"(?:and then|and also|and|or maybe|or even|or|plus|then|mixed with|with)"
    return _Words(
        before=frozenset(lists["before"]),
        ambiguous=frozenset(lists["ambiguous"]),
        not_slips=frozenset(lists["not_slips"]),
        unknown=frozenset(lists["unknown"]),
        unknown_words=frozenset(lists["unknown_words"]),
        noun=noun,
        purpose=purpose,
        tail=re.compile(
            rf"(?:{noun}(?: {noun})?)?(?: ?\b(?:{purpose}|and (?:relax|chill|dance|make|turn|crank|keep|do))\b.*)?"
        ),
        joined=re.compile(rf"(?:(?:music|songs) )?{then} (?:some |a bit of |maybe )?(.+)"),
        daily=re.compile(rf"\b(?:{'|'.join(lists['daily'])})\b"),
        marks=re.compile(rf"\b(?:some|any|anything|something|more|bit|{noun})\b"),
    )


@cache
def _spellings() -> dict[str, Genre]:
    return {fold(spelling): genre for spelling, genre in GENRE_SPELLINGS.items()}


def name_genre(words: str) -> tuple[Genre, bool] | None:
    """Return the genre that folded `words` are a spelling of and whether exactly, or None."""
    if words in _spellings():
        return _spellings()[words], True
    if words in _WORD_FORMS:
        return _WORD_FORMS[words], True
    genre = _slip_of(words)
    return (genre, False) if genre else None


@lru_cache(maxsize=4096)
def _slip_of(words: str) -> Genre | None:
    if (
        len(words) < 3
        or len(words) > 24
        or words in _words().not_slips
        or words in _words().unknown | _words().unknown_words
    ):
        return None
    near = [(_slips(words, spelling), genre) for spelling, genre in _spellings().items() if words[0] == spelling[0]]
    best = min(((slips, genre) for slips, genre in near if slips is not None), default=None)
    return best[1] if best else None


def _slips(words: str, spelling: str) -> int | None:
    """Return how many slips of the keyboard turn `spelling` into `words`; None where it is too many."""
    if _squeezed(words) == _squeezed(spelling):
        return 0
    pairs = list(zip(words.split(), spelling.split(), strict=False))
    if len(pairs) != len(words.split()) or len(pairs) != len(spelling.split()) or spelling in _TOO_NEAR_TO_WORDS:
        return None
    slips = [_slips_in_word(word, meant) for word, meant in pairs]
    return None if None in slips else sum(filter(None, slips))


def _slips_in_word(word: str, meant: str) -> int | None:
    allowed = 0 if len(meant) < 4 else 1 if len(meant) < 7 else 2
    distance = OSA.distance(word, meant, score_cutoff=allowed)
    return distance if distance <= allowed and word[0] == meant[0] else None


def _squeezed(words: str) -> str:
    """Return `words` without doubled letters and spaces: "jazzz" and "heavymetal" are slips of one kind."""
    return re.sub(r"(\w)\1+", r"\1", words.replace(" ", ""))


def find_genre(words: str, *, request: bool, bare: bool = False) -> GenreMatch | None:
    """Return the genre that folded `words`, the object of a request, ask for.

    The words may be wrapped: ``"some really good jazz music for dinner"``. With `request` false
    (nobody said "play"), an ordinary word such as "rock" needs company that is about music. With
    `bare` (nobody asked at all), little may follow: ``"jazz in the park was nice"`` asks for nothing.
    """
    if len(words) > _MAX_OBJECT_CHARS or find_unknown_genre(words, request=True):
        return None
    parts = words.split()
    for start in range(min(len(parts), _MAX_WORDS_BEFORE)):
        if any(word not in _words().before for word in parts[:start]):
            break
        found = _genre_at(parts, start, request=request)
        if found and not (bare and _says_more(parts[start:])):
            return found
    return None


def _says_more(parts: Sequence[str]) -> bool:
    """Return whether bare words go on to tell something, rather than to say what the music is for."""
    words = " ".join(parts)
    purpose = re.search(r" (?:for|to|while|please|tonight|today|now|instead|again|then|too|first|maybe|this)\b", words)
    rest = words[purpose.start() :] if purpose else ""
    before = words[: purpose.start()] if purpose else words
    stray = re.search(rf" {_words().purpose}\b", before) is not None
    return (
        stray
        or len(rest.split()) > 6
        or re.search(r"\b(?:is|are|was|were|means?|has|had|have|will|would|me|not)\b", rest) is not None
    )


def _genre_at(parts: Sequence[str], start: int, *, request: bool) -> GenreMatch | None:
    for end in range(min(len(parts), start + 4), start, -1):
        name, tail = " ".join(parts[start:end]), " ".join(parts[end:])
        named = name_genre(name)
        if named and _tail_fits(tail, name, before=parts[:start], request=request):
            own = name in {"hip hop", "rap"} or (name in set(Genre) and named[1])
            return GenreMatch(named[0], exact=named[1], own_name=own, others=tuple(_others(tail)))
    return None


def _tail_fits(tail: str, name: str, *, before: Sequence[str], request: bool) -> bool:
    words = _words()
    if any(_others(tail)):
        return True
    if not words.tail.fullmatch(tail):
        return False
    if request or name not in words.ambiguous:
        return True
    noun = re.match(rf"{words.noun}\b", tail)
    if before and before[-1] in {"a", "the", "my", "your", "our", "this"} and not noun:
        return False
    return not tail or bool(noun) or bool(words.daily.search(tail))


def _others(tail: str) -> Iterator[Genre]:
    joined = _words().joined.fullmatch(tail)
    found = find_genre(joined[1], request=True) if joined else None
    if found:
        yield found.genre
        yield from found.others


def kind_of_genre(words: str) -> Genre | None:
    """Return the genre whose name ends folded `words`: ``"norwegian folk metal"`` is metal."""
    name = strip_wrapping(words).split()
    if not 2 <= len(name) <= 4 or find_unknown_genre(words, request=True):
        return None
    return _LAST_WORDS.get(name[-1])


def strip_wrapping(words: str) -> str:
    """Return `words` without determiners and the like before, and words for music after."""
    parts = words.split()
    while parts and parts[0] in _words().before:
        parts.pop(0)
    return re.sub(rf"(?:(?:^| )(?:{_words().noun}|please))+$", "", " ".join(parts))


@lru_cache(maxsize=1024)
def find_unknown_genre(words: str, *, request: bool) -> str | None:
    """Return the genre outside the ten that folded `words` ask for, or None."""
    if len(words) > _MAX_OBJECT_CHARS:
        return None
    purposeless = re.sub(rf" {_words().purpose}\b.*$", "", words)
    for candidate in dict.fromkeys((words, purposeless)):
        name = _unknown_name(candidate)
        if name and (request or name in _words().unknown or _words().marks.search(candidate)):
            return name
    return None


def _unknown_name(words: str) -> str | None:
    every = _words().unknown | _words().unknown_words
    stripped = strip_wrapping(words)
    unwrapped = re.sub(r"^(?:some|a|an|the|any|a bit of|a little|more|good|nice|me) ", "", words)
    exact = next((name for name in (words, unwrapped, stripped) if name in every), None)
    if exact:
        return exact
    parts = stripped.split()
    ends_in_one = " ".join(parts[-2:]) in every or " ".join(parts[-1:]) in _words().unknown
    return stripped if 2 <= len(parts) <= 3 and ends_in_one else None


def genre_like(words: str) -> str | None:
    """Return what stands before "music" in folded `words` such as ``"some zydeco music"``, or None."""
    found = re.fullmatch(r"(.+) (?:music|beats)", words)
    name = strip_wrapping(found[1]) if found else ""
    return name if name and len(name.split()) <= 2 else None


def spoken_list() -> str:
    """Return the ten genres in one phrase: ``"blues, classical, … reggae and rock"``."""
    names = [genre.spoken for genre in Genre]
    return f"{', '.join(names[:-1])} and {names[-1]}"

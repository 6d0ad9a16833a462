"""From what a message asks for to the genre or the track that it means.

The order in which things are tried decides what ambiguous words mean: a title of the collection,
word for word; a genre; a title or an artist with typos; a genre outside the ten; nothing known.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dnai.chatbot.genres import (
    find_genre,
    find_unknown_genre,
    genre_like,
    kind_of_genre,
    name_genre,
    strip_wrapping,
)
from dnai.chatbot.intents import Intent, Reading, Wish
from dnai.chatbot.naming import (
    BARE_TITLE,
    CLEAR_TITLE,
    EXACT_GENRE,
    EXACT_TITLE,
    FAIR,
    QUOTED_TITLE,
    SURE,
    UNKNOWN,
    Known,
    as_written,
    chosen,
    genre_reading,
    of_artist,
    resolve,
    unknown_title,
    wished,
)
from dnai.chatbot.requests import Ask, Strength, after, find_ask, matches
from dnai.chatbot.sources import split_source
from dnai.chatbot.wording import Utterance, fold, utterance

_TITLE_CUTOFFS = {Strength.STRONG: 0.0, Strength.WEAK: 88.0, Strength.BARE: 90.0}
_MIN_BARE_CHARS = 4
_ASKED_CUTOFF = 80.0
_MAX_NAME_WORDS = 5
_MAX_PLAIN_WORDS = 3
_ABOUT_PEOPLE = re.compile(
    r"\b(?:i|you|he|she|we|they|me|my|your|is|are|was|were|am|have|has|had|do|does|did|will|would|be|if|because|that|not)\b"
)

_ASKS_YOU = re.compile(r"(?:can|could|do|will|would|are) you\b")


def find_music(said: Utterance, known: Known) -> Reading | None:
    """Return what music `said` asks for, or None where it does not ask for any."""
    ask = find_ask(said)
    if ask is None:
        return None
    finders: tuple[Callable[[Ask, Utterance, Known], Reading | None], ...] = (
        _exact_title,
        _again,
        _something_like,
        _by_somebody,
        _nothing_named,
        _named_song,
        _genre,
        _title_or_artist,
        _genre_by_its_last_word,
        _unknown,
    )
    reading = next((reading for find in finders if (reading := find(ask, said, known)) is not None), None)
    return as_written(reading, said) if reading is not None and reading.intent is Intent.UNKNOWN_TITLE else reading


def find_answer(said: Utterance, known: Known, *, fresh: bool) -> Reading | None:
    """Return the music that `said` names in answer to "a genre or a song?", where it may be a bare name.

    With `fresh`, the question was the last thing said: then what is not known is an unknown title.
    """
    ask = find_ask(said)
    if ask is None or ask.strength > Strength.BARE or said.question or not may_be_a_name(ask.words):
        return None
    found = resolve(ask.words, ask, known, cutoff=_ASKED_CUTOFF)
    if found or not fresh or not _looks_like_a_title(ask.words, said):
        return found
    return as_written(unknown_title(ask.words, ask, confidence=UNKNOWN), said)


def _looks_like_a_title(words: str, said: Utterance) -> bool:
    capitals = sum(word[:1].isupper() for word in said.text.split())
    return len(words.split()) <= _MAX_PLAIN_WORDS or capitals > 1


def may_be_a_name(words: str) -> bool:
    """Return whether folded `words` are few, and say nothing about anybody."""
    return 0 < len(words.split()) <= _MAX_NAME_WORDS and not _ABOUT_PEOPLE.search(words)


def _exact_title(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    for name in ask.names:
        if name != fold(ask.quoted or "") and name_genre(strip_wrapping(name)) is not None:
            continue
        found = known.index.title(name, cutoff=100.0)
        if found and found.score == 100.0:
            bare = ask.strength is Strength.BARE and ask.source is None and not ask.quoted
            source = None if split_source(name).source else ask.source
            wish = Wish(source=source)
            confidence = QUOTED_TITLE if ask.quoted else BARE_TITLE if bare else EXACT_TITLE
            return chosen(found, wish, confidence=confidence, heard=name, exact=True)
    return None


def _nothing_named(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    named = bool(ask.words) and not matches("anything", ask.words) and not _asks_for_anything(ask, said)
    if named or (ask.strength is Strength.BARE and not _wants_anything(ask, said)):
        return None
    return Reading(Intent.ASK_WHAT, FAIR, Wish(source=ask.source), heard=ask.words)


def _wants_anything(ask: Ask, said: Utterance) -> bool:
    music = re.search(r"\b(?:something|anything|music|songs?|tunes?|tracks?)\b", ask.words)
    return _asks_for_anything(ask, said) or (bool(music) and not said.question)


def _asks_for_anything(ask: Ask, said: Utterance) -> bool:
    return matches("anything_alone", said.core) or matches("anything_alone", ask.words)


def _again(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    if not matches("again", ask.words):
        return None
    if known.last is None or known.last.kind is None:
        return Reading(Intent.ASK_WHAT, FAIR, Wish(source=ask.source))
    return wished(known.last.sourced(ask.source), EXACT_GENRE, heard="", exact=True)


def _something_like(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    model = fold(ask.quoted) if ask.quoted and after("like", ask.words) else after("like", ask.words)
    if model is None:
        return None
    model = after("named", model) or model
    if matches("this", model):
        return _like_what_is_on(ask, known)
    found = resolve(model, ask, known, cutoff=0.0)
    if found or ask.words.startswith("like "):
        return found
    return unknown_title(model, ask, confidence=FAIR if ask.strength > Strength.BARE else 0.8)


def _like_what_is_on(ask: Ask, known: Known) -> Reading:
    playing = known.situation.playing if known.situation else None
    if playing:
        found = known.index.title(fold(playing.title), artist=fold(playing.artist) or None)
        if found:
            return chosen(found, Wish(source=ask.source), confidence=SURE, heard="", exact=True)
    if known.last is not None and known.last.kind is not None:
        return wished(known.last.sourced(ask.source), SURE, heard="", exact=True)
    return Reading(Intent.ASK_WHAT, FAIR, Wish(source=ask.source))


def _by_somebody(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    artist = after("by", ask.words)
    if artist:
        found = known.index.artist(artist, part=True)
        if found:
            return of_artist(found, ask, heard=artist)
        plainly = re.search(r"\bby\b", ask.words.removesuffix(artist)) is not None
        return (
            unknown_title("", ask, artist=artist, confidence=FAIR)
            if plainly and not find_genre(artist, request=True)
            else None
        )
    return _title_by_somebody(ask, said, known)


def _title_by_somebody(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    unknown: Reading | None = None
    for words in dict.fromkeys((ask.words, *ask.names)):
        title, _, by = words.rpartition(" by ")
        found = _title_by(title, by, ask, said, known) if title and by else None
        if found is not None and found.intent is not Intent.UNKNOWN_TITLE:
            return found
        unknown = found if ask.words == words else unknown
    return unknown


def _title_by(title: str, by: str, ask: Ask, said: Utterance, known: Known) -> Reading | None:
    quoted = fold(ask.quoted) if ask.quoted else None
    name = quoted or after("named", title) or title
    found = known.index.title(
        name, artist=by, part=ask.strength is Strength.STRONG, cutoff=80.0 if ask.strength is Strength.BARE else 0.0
    )
    if found:
        return chosen(
            found, Wish(source=ask.source), confidence=EXACT_TITLE, heard=ask.words, exact=found.score == 100.0
        )
    if find_genre(title, request=True):
        artist = known.index.artist(by)
        return of_artist(artist, ask, heard=by) if artist else None
    capitals = re.match(r"[^a-z]*[A-Z].* by [A-Z]", said.text) is not None
    return unknown_title(name, ask, artist=by, confidence=FAIR) if ask.strength is Strength.STRONG or capitals else None


def _named_song(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    artist = after("artist_named", ask.words)
    if artist and ask.strength > Strength.BARE:
        found = known.index.artist(artist, part=True)
        return of_artist(found, ask, heard=artist) if found else unknown_title("", ask, artist=artist, confidence=FAIR)
    named = after("named", ask.words)
    name = fold(ask.quoted) if ask.quoted else named
    if not name or (ask.strength is Strength.BARE and not ask.quoted):
        return None
    title = known.index.title(name, part=True)
    if title:
        return chosen(title, Wish(source=ask.source), confidence=EXACT_TITLE, heard=name, exact=title.score == 100.0)
    if find_genre(name, request=True) or ask.strength is Strength.BARE:
        return None
    return unknown_title(name, ask, confidence=FAIR)


def _genre(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    if (
        ask.strength is Strength.BARE
        and said.question
        and (_ABOUT_PEOPLE.search(ask.words) or _ASKS_YOU.match(said.folded))
    ):
        return None
    unknown = find_unknown_genre(ask.words, request=ask.strength is Strength.STRONG)
    if unknown:
        title = known.index.title(ask.words, cutoff=CLEAR_TITLE)
        return None if title else Reading(Intent.UNKNOWN_GENRE, SURE, Wish(source=ask.source), heard=unknown)
    match = find_genre(ask.words, request=ask.strength is Strength.STRONG, bare=ask.strength is Strength.BARE)
    if match is None or (not match.exact and _is_clearly_a_title(ask, known)):
        return None
    return genre_reading(match, ask)


def _is_clearly_a_title(ask: Ask, known: Known) -> bool:
    return (
        known.index.title(ask.words, cutoff=CLEAR_TITLE) is not None
        or known.index.artist(ask.words, cutoff=CLEAR_TITLE) is not None
    )


def _title_or_artist(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    if ask.strength is Strength.BARE and (len(ask.words) < _MIN_BARE_CHARS or said.question):
        return None
    unwrapped = strip_wrapping(ask.words) if ask.strength is Strength.STRONG else ask.words
    for words in dict.fromkeys((ask.words, unwrapped)):
        found = resolve(words, ask, known, cutoff=_TITLE_CUTOFFS[ask.strength]) if words else None
        if found:
            return found
    pairs = (known.index.title_and_artist(name, cutoff=CLEAR_TITLE) for name in ask.names)
    pair = next((pair for pair in pairs if pair), None)
    return chosen(pair, Wish(source=ask.source), confidence=FAIR, heard=ask.words, exact=True) if pair else None


def _genre_by_its_last_word(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    genre = kind_of_genre(ask.words) if ask.strength is Strength.STRONG else None
    return wished(Wish(genre=genre, source=ask.source), SURE, heard=ask.words, exact=False) if genre else None


def _unknown(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    if ask.strength is not Strength.STRONG or matches("idioms", ask.words) or matches("not_heard", ask.words):
        return None
    if not strip_wrapping(ask.words):
        return Reading(Intent.ASK_WHAT, FAIR, Wish(source=ask.source), heard=ask.words)
    kind = genre_like(ask.words)
    if kind:
        return Reading(Intent.UNKNOWN_GENRE, FAIR, Wish(source=ask.source), heard=kind)
    return unknown_title(fold(ask.quoted) if ask.quoted else ask.words, ask, confidence=UNKNOWN)


def find_named(words: str, known: Known) -> Reading | None:
    """Return the music that `words` name, as after "play", or None where they name none."""
    reading = find_music(utterance(f"play {words}"), known)
    return (
        None
        if reading is None or (reading.intent is Intent.ASK_WHAT and not reading.candidates and not reading.genres)
        else reading
    )

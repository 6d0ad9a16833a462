"""From what a message asks for to the genre or the track that it means.

The order in which things are tried decides what ambiguous words mean: a title of the collection,
word for word; a genre; a title or an artist with typos; a genre outside the ten; nothing known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from dnai.chatbot.genres import GenreMatch, find_genre, find_unknown_genre, genre_like, kind_of_genre, name_genre, strip_wrapping
from dnai.chatbot.intents import Intent, Reading, Situation, Wish
from dnai.chatbot.requests import Ask, Strength, after, find_ask, matches
from dnai.chatbot.sources import split_source
from dnai.chatbot.titles import Match, TitleIndex
from dnai.chatbot.wording import Utterance, fold, utterance
from dnai.tracks import Track

QUOTED_TITLE = 0.96
EXACT_TITLE = 0.93
EXACT_GENRE = 0.92
SURE = 0.9
FAIR = 0.86
BARE_TITLE = 0.87
UNKNOWN = 0.6

_TITLE_CUTOFFS = {Strength.STRONG: 0.0, Strength.WEAK: 88.0, Strength.BARE: 90.0}
_MIN_BARE_CHARS = 4
_ASKED_CUTOFF = 80.0
_MAX_NAME_WORDS = 5
_MAX_PLAIN_WORDS = 3
_CLEAR_TITLE = 90.0
_ABOUT_PEOPLE = re.compile(r"\b(?:i|you|he|she|we|they|me|my|your|is|are|was|were|am|have|has|had|do|does|did|will|would|be|if|because|that|not)\b")

_ASKS_YOU = re.compile(r"(?:can|could|do|will|would|are) you\b")


@dataclass(frozen=True, slots=True)
class Known:
    """What the listener and the chatbot share: the collection, the last wish, and what is on."""

    index: TitleIndex
    last: Wish | None = None
    situation: Situation | None = None


def find_music(said: Utterance, known: Known) -> Reading | None:
    """Return what music `said` asks for, or None where it does not ask for any."""
    ask = find_ask(said)
    if ask is None:
        return None
    finders: tuple[Callable[[Ask, Utterance, Known], Reading | None], ...] = (
        _exact_title,
        _nothing_named,
        _again,
        _something_like,
        _by_somebody,
        _named_song,
        _genre,
        _title_or_artist,
        _genre_by_its_last_word,
        _unknown,
    )
    reading = next((reading for find in finders if (reading := find(ask, said, known)) is not None), None)
    return _as_written(reading, said) if reading is not None and reading.intent is Intent.UNKNOWN_TITLE else reading


def _as_written(reading: Reading, said: Utterance) -> Reading:
    """Return `reading` with the unknown title and artist as the listener wrote them."""
    title, artist = (_written(name, said.text) if name else None for name in (reading.wish.title, reading.wish.artist))
    heard = " by ".join(part for part in (title, artist) if part)
    return replace(reading, wish=replace(reading.wish, title=title, artist=artist), heard=heard)


def _written(folded: str, text: str) -> str:
    """Return the words of `text` that fold to `folded`, or `folded` itself where they stand nowhere."""
    words = text.split()
    length = len(folded.split())
    for start in range(len(words)):
        for end in range(start + 1, min(len(words), start + length + 2) + 1):
            written = " ".join(words[start:end])
            if fold(written) == folded:
                return written.strip(" \"'“”‘’.,;:!?()[]")
    return folded


def find_answer(said: Utterance, known: Known, *, fresh: bool) -> Reading | None:
    """Return the music that `said` names in answer to "a genre or a song?", where it may be a bare name.

    With `fresh`, the question was the last thing said: then what is not known is an unknown title.
    """
    ask = find_ask(said)
    if ask is None or ask.strength > Strength.BARE or said.question or not _may_be_a_name(ask.words):
        return None
    found = _resolve(ask.words, ask, known, cutoff=_ASKED_CUTOFF)
    if found or not fresh or not _looks_like_a_title(ask.words, said):
        return found
    return _as_written(_unknown_title(ask.words, ask, confidence=UNKNOWN), said)


def _looks_like_a_title(words: str, said: Utterance) -> bool:
    capitals = sum(word[:1].isupper() for word in said.text.split())
    return len(words.split()) <= _MAX_PLAIN_WORDS or capitals > 1


def _may_be_a_name(words: str) -> bool:
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
            return _chosen(found, wish, confidence=confidence, heard=name, exact=True)
    return None


def _nothing_named(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    named = bool(ask.words) and not matches("anything", ask.words) and not matches("anything_alone", said.core)
    if named or (ask.strength is Strength.BARE and not _wants_anything(ask, said)):
        return None
    return Reading(Intent.ASK_WHAT, FAIR, Wish(source=ask.source), heard=ask.words)


def _wants_anything(ask: Ask, said: Utterance) -> bool:
    music = re.search(r"\b(?:something|anything|music|songs?|tunes?|tracks?)\b", ask.words)
    return matches("anything_alone", said.core) or (bool(music) and not said.question)


def _again(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    if not matches("again", ask.words):
        return None
    if known.last is None or known.last.kind is None:
        return Reading(Intent.ASK_WHAT, FAIR, Wish(source=ask.source))
    return _wished(known.last.sourced(ask.source), EXACT_GENRE, heard="", exact=True)


def _something_like(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    model = fold(ask.quoted) if ask.quoted and after("like", ask.words) else after("like", ask.words)
    if model is None:
        return None
    if matches("this", model):
        return _like_what_is_on(ask, known)
    found = _resolve(model, ask, known, cutoff=0.0)
    if found or ask.words.startswith("like "):
        return found
    return _unknown_title(model, ask, confidence=FAIR if ask.strength > Strength.BARE else 0.8)


def _like_what_is_on(ask: Ask, known: Known) -> Reading:
    playing = known.situation.playing if known.situation else None
    if playing:
        found = known.index.title(fold(playing.title), artist=fold(playing.artist) or None)
        if found:
            return _chosen(found, Wish(source=ask.source), confidence=SURE, heard="", exact=True)
    if known.last is not None and known.last.kind is not None:
        return _wished(known.last.sourced(ask.source), SURE, heard="", exact=True)
    return Reading(Intent.ASK_WHAT, FAIR, Wish(source=ask.source))


def _by_somebody(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    artist = after("by", ask.words)
    if artist:
        found = known.index.artist(artist, part=True)
        if found:
            return _of_artist(found, ask, heard=artist)
        plainly = re.search(r"\bby\b", ask.words.removesuffix(artist)) is not None
        return _unknown_title("", ask, artist=artist, confidence=FAIR) if plainly and not find_genre(artist, request=True) else None
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
    found = known.index.title(name, artist=by, part=ask.strength is Strength.STRONG, cutoff=80.0 if ask.strength is Strength.BARE else 0.0)
    if found:
        return _chosen(found, Wish(source=ask.source), confidence=EXACT_TITLE, heard=ask.words, exact=found.score == 100.0)
    if find_genre(title, request=True):
        artist = known.index.artist(by)
        return _of_artist(artist, ask, heard=by) if artist else None
    capitals = re.match(r"[^a-z]*[A-Z].* by [A-Z]", said.text) is not None
    return _unknown_title(name, ask, artist=by, confidence=FAIR) if ask.strength is Strength.STRONG or capitals else None


def _named_song(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    artist = after("artist_named", ask.words)
    if artist and ask.strength > Strength.BARE:
        found = known.index.artist(artist, part=True)
        return _of_artist(found, ask, heard=artist) if found else _unknown_title("", ask, artist=artist, confidence=FAIR)
    named = after("named", ask.words)
    name = fold(ask.quoted) if ask.quoted else named
    if not name or (ask.strength is Strength.BARE and not ask.quoted):
        return None
    title = known.index.title(name, part=True)
    if title:
        return _chosen(title, Wish(source=ask.source), confidence=EXACT_TITLE, heard=name, exact=title.score == 100.0)
    if find_genre(name, request=True) or ask.strength is Strength.BARE:
        return None
    return _unknown_title(name, ask, confidence=FAIR)


def _genre(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    if ask.strength is Strength.BARE and said.question and (_ABOUT_PEOPLE.search(ask.words) or _ASKS_YOU.match(said.folded)):
        return None
    unknown = find_unknown_genre(ask.words, request=ask.strength is Strength.STRONG)
    if unknown:
        title = known.index.title(ask.words, cutoff=_CLEAR_TITLE)
        return None if title else Reading(Intent.UNKNOWN_GENRE, SURE, Wish(source=ask.source), heard=unknown)
    match = find_genre(ask.words, request=ask.strength is Strength.STRONG, bare=ask.strength is Strength.BARE)
    if match is None or (not match.exact and _is_clearly_a_title(ask, known)):
        return None
    return _genre_reading(match, ask)


def _genre_reading(match: GenreMatch, ask: Ask) -> Reading:
    others = tuple(genre for genre in match.others if genre is not match.genre)
    if others:
        return Reading(Intent.ASK_WHAT, SURE, Wish(source=ask.source), heard=ask.words, genres=(match.genre, *others))
    confidence = EXACT_GENRE if match.exact else SURE if ask.strength > Strength.BARE else FAIR
    return _wished(Wish(genre=match.genre, source=ask.source), confidence, heard=ask.words, exact=match.own_name)


def _is_clearly_a_title(ask: Ask, known: Known) -> bool:
    return known.index.title(ask.words, cutoff=_CLEAR_TITLE) is not None or known.index.artist(ask.words, cutoff=_CLEAR_TITLE) is not None


def _title_or_artist(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    if ask.strength is Strength.BARE and (len(ask.words) < _MIN_BARE_CHARS or said.question):
        return None
    for words in dict.fromkeys((ask.words, strip_wrapping(ask.words))):
        found = _resolve(words, ask, known, cutoff=_TITLE_CUTOFFS[ask.strength]) if words else None
        if found:
            return found
    return None


def _resolve(words: str, ask: Ask, known: Known, *, cutoff: float) -> Reading | None:
    """Return what `words`, a bare name, stand for: title, artist, both, or a genre."""
    strong = ask.strength is Strength.STRONG or cutoff == 0.0
    wish = Wish(source=ask.source)
    confidence = SURE if ask.strength > Strength.BARE else FAIR
    genre = find_genre(words, request=True) if cutoff == 0.0 else None
    title, by_title = words, None
    if " by " in words:
        title, _, by_title = words.rpartition(" by ")
    found = known.index.title(title, artist=by_title, cutoff=cutoff) or (known.index.title(words, cutoff=cutoff) if by_title else None)
    artist = known.index.artist(words, cutoff=max(cutoff, 80.0))
    if found and not (genre and found.score < _CLEAR_TITLE) and not (artist and artist.score > found.score):
        return _chosen(found, wish, confidence=confidence, heard=words, exact=found.score == 100.0)
    if artist and not genre:
        return _of_artist(artist, ask, heard=words)
    if genre:
        return _genre_reading(genre, ask)
    both = known.index.title_and_artist(words, cutoff=cutoff)
    if both:
        return _chosen(both, wish, confidence=confidence, heard=words, exact=both.score == 100.0)
    return _resolve_part(words, ask, known) if strong else None


def _resolve_part(words: str, ask: Ask, known: Known) -> Reading | None:
    """Return what a few words of a title, or of an artist's name, stand for."""
    artist = known.index.artist(words, part=True)
    if artist:
        return _of_artist(artist, ask, heard=words)
    title = known.index.title(words, part=True)
    return _chosen(title, Wish(source=ask.source), confidence=FAIR, heard=words, exact=False) if title else None


def _genre_by_its_last_word(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    genre = kind_of_genre(ask.words) if ask.strength is Strength.STRONG else None
    return _wished(Wish(genre=genre, source=ask.source), SURE, heard=ask.words, exact=False) if genre else None


def _unknown(ask: Ask, said: Utterance, known: Known) -> Reading | None:
    if ask.strength is not Strength.STRONG or matches("idioms", ask.words) or matches("not_heard", ask.words):
        return None
    kind = genre_like(ask.words)
    if kind:
        return Reading(Intent.UNKNOWN_GENRE, FAIR, Wish(source=ask.source), heard=kind)
    return _unknown_title(fold(ask.quoted) if ask.quoted else ask.words, ask, confidence=UNKNOWN)


def _unknown_title(title: str, ask: Ask, *, artist: str = "", confidence: float) -> Reading:
    wish = Wish(title=title or None, artist=artist or None, source=ask.source)
    heard = " by ".join(part for part in (title, artist) if part)
    return Reading(Intent.UNKNOWN_TITLE, confidence, wish, heard=heard)


def _of_artist(found: Match, ask: Ask, *, heard: str) -> Reading:
    """Return the reading of an artist alone: the first track of the genre that this artist plays most."""
    genres = [track.genre for track in found.tracks]
    track = max(found.tracks, key=lambda candidate: genres.count(candidate.genre))
    confidence = SURE if ask.strength > Strength.BARE else FAIR
    wish = Wish(artist=track.artist, track=track, source=ask.source)
    return _wished(wish, confidence, heard=heard, exact=found.score == 100.0)


def _chosen(found: Match, wish: Wish, *, confidence: float, heard: str, exact: bool) -> Reading:
    if len(found.tracks) > 1:
        return Reading(Intent.ASK_WHAT, confidence, wish, heard=heard, candidates=found.tracks)
    return _wished(track_wish(found.tracks[0], wish), confidence, heard=heard, exact=exact)


def track_wish(track: Track, wish: Wish) -> Wish:
    """Return the wish for `track`, from the source of `wish`."""
    return Wish(title=track.title, artist=track.artist or None, track=track, source=wish.source)


def _wished(wish: Wish, confidence: float, *, heard: str, exact: bool) -> Reading:
    intent = Intent.PLAY if wish.complete else Intent.ASK_SOURCE
    return Reading(intent, confidence, wish, heard=heard, exact=exact)


def find_named(words: str, known: Known) -> Reading | None:
    """Return the music that `words` name, as after "play", or None where they name none."""
    reading = find_music(utterance(f"play {words}"), known)
    return None if reading is None or reading.intent is Intent.ASK_WHAT and not reading.candidates and not reading.genres else reading

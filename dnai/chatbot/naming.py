"""What a bare name stands for: a genre, a title, an artist, or both of these, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dnai.chatbot.genres import (
    GenreMatch,
    find_genre,
)
from dnai.chatbot.intents import Intent, Reading, Situation, Wish
from dnai.chatbot.requests import Ask, Strength
from dnai.chatbot.titles import Match, TitleIndex
from dnai.chatbot.wording import Utterance, fold
from dnai.tracks import Track

QUOTED_TITLE = 0.96
EXACT_TITLE = 0.93
EXACT_GENRE = 0.92
SURE = 0.9
FAIR = 0.86
BARE_TITLE = 0.87
UNKNOWN = 0.6
CLEAR_TITLE = 90.0


@dataclass(frozen=True, slots=True)
class Known:
    """What the listener and the chatbot share: the collection, the last wish, and what is on."""

    index: TitleIndex
    last: Wish | None = None
    situation: Situation | None = None


def resolve(words: str, ask: Ask, known: Known, *, cutoff: float) -> Reading | None:
    """Return what `words`, a bare name, stand for: title, artist, both, or a genre."""
    strong = ask.strength is Strength.STRONG or cutoff == 0.0
    wish = Wish(source=ask.source)
    confidence = SURE if ask.strength > Strength.BARE else FAIR
    genre = find_genre(words, request=True) if cutoff == 0.0 else None
    title, by_title = words, None
    if " by " in words:
        title, _, by_title = words.rpartition(" by ")
    found = known.index.title(title, artist=by_title, cutoff=cutoff) or (
        known.index.title(words, cutoff=cutoff) if by_title else None
    )
    artist = known.index.artist(words, cutoff=max(cutoff, 80.0))
    if found and not (genre and found.score < CLEAR_TITLE) and not (artist and artist.score > found.score):
        return chosen(found, wish, confidence=confidence, heard=words, exact=found.score == 100.0)
    if artist and not genre:
        return of_artist(artist, ask, heard=words)
    if genre:
        return genre_reading(genre, ask)
    both = known.index.title_and_artist(words, cutoff=cutoff)
    if both:
        return chosen(both, wish, confidence=confidence, heard=words, exact=both.score == 100.0)
    return _resolve_part(words, ask, known) if strong else None


def _resolve_part(words: str, ask: Ask, known: Known) -> Reading | None:
    """Return what a few words of a title, or of an artist's name, stand for."""
    artist = known.index.artist(words, part=True)
    if artist:
        return of_artist(artist, ask, heard=words)
    title = known.index.title(words, part=True)
    return chosen(title, Wish(source=ask.source), confidence=FAIR, heard=words, exact=False) if title else None


def genre_reading(match: GenreMatch, ask: Ask) -> Reading:
    """Return the reading of a genre; where several were named, the question which one."""
    others = tuple(genre for genre in match.others if genre is not match.genre)
    if others:
        return Reading(Intent.ASK_WHAT, SURE, Wish(source=ask.source), heard=ask.words, genres=(match.genre, *others))
    confidence = EXACT_GENRE if match.exact else SURE if ask.strength > Strength.BARE else FAIR
    return wished(Wish(genre=match.genre, source=ask.source), confidence, heard=ask.words, exact=match.own_name)


def of_artist(found: Match, ask: Ask, *, heard: str) -> Reading:
    """Return the reading of an artist alone: the first track of the genre that this artist plays most."""
    genres = [track.genre for track in found.tracks]
    track = max(found.tracks, key=lambda candidate: genres.count(candidate.genre))
    confidence = SURE if ask.strength > Strength.BARE else FAIR
    wish = Wish(artist=track.artist, track=track, source=ask.source)
    return wished(wish, confidence, heard=heard, exact=found.score == 100.0)


def chosen(found: Match, wish: Wish, *, confidence: float, heard: str, exact: bool) -> Reading:
    """Return the reading of a title; where several tracks match, the question which one."""
    if len(found.tracks) > 1:
        return Reading(Intent.ASK_WHAT, confidence, wish, heard=heard, candidates=found.tracks)
    return wished(track_wish(found.tracks[0], wish), confidence, heard=heard, exact=exact)


def track_wish(track: Track, wish: Wish) -> Wish:
    """Return the wish for `track`, from the source of `wish`."""
    return Wish(title=track.title, artist=track.artist or None, track=track, source=wish.source)


def wished(wish: Wish, confidence: float, *, heard: str, exact: bool) -> Reading:
    """Return the reading of `wish`: to play it, or to ask for its source where that is missing."""
    intent = Intent.PLAY if wish.complete else Intent.ASK_SOURCE
    return Reading(intent, confidence, wish, heard=heard, exact=exact)


def unknown_title(title: str, ask: Ask, *, artist: str = "", confidence: float) -> Reading:
    """Return the reading of a title, or an artist, that the collection does not have."""
    wish = Wish(title=title or None, artist=artist or None, source=ask.source)
    heard = " by ".join(part for part in (title, artist) if part)
    return Reading(Intent.UNKNOWN_TITLE, confidence, wish, heard=heard)


def as_written(reading: Reading, said: Utterance) -> Reading:
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

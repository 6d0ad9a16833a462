"""The words of the chatbot's answers. What other people wrote (titles, names) is cleaned on the way in."""

from __future__ import annotations

from collections.abc import Sequence

from dnai.chatbot.genres import spoken_list
from dnai.chatbot.intents import Intent, Lesson, Playing, Reading, Situation, Source, Wish
from dnai.chatbot.titles import MAX_CANDIDATES
from dnai.text import clean_text
from dnai.tracks import Track

MAX_REPLY_CHARS = 700
"""The longest answer."""

_MAX_NAMES = 8
_MAX_QUOTED_CHARS = 80
_NUMBERS = {2: "Two", 3: "Three", 4: "Four", 5: "Five"}

_COMMANDS = {
    Intent.NEXT: "On to the next song.",
    Intent.PREVIOUS: "Back to the song before.",
    Intent.RESTART: "Once more from the beginning.",
    Intent.PAUSE: "Paused. Say “go on” when you’re ready.",
    Intent.RESUME: "On it goes.",
    Intent.STOP: "Stopped.",
    Intent.VOLUME_UP: "A little louder.",
    Intent.VOLUME_DOWN: "A little quieter.",
    Intent.MUTE: "Muted.",
    Intent.UNMUTE: "The sound is back.",
}


def quoted(text: str) -> str:
    """Return `text` in quotation marks, cleaned and cut to a bearable length."""
    return f"“{clean_text(text, max_chars=_MAX_QUOTED_CHARS)}”"


def named(wish: Wish) -> str:
    """Return what `wish` asks for, in words: a genre, a title by an artist, or an artist's music."""
    if wish.genre is not None:
        return wish.genre.spoken
    if wish.title:
        by = f" by {clean_text(wish.artist, max_chars=_MAX_QUOTED_CHARS)}" if wish.artist else ""
        return f"{quoted(wish.title)}{by}"
    return f"music by {clean_text(wish.artist, max_chars=_MAX_QUOTED_CHARS)}" if wish.artist else "music"


def reply_text(reading: Reading, *, situation: Situation | None, tracks: int, lessons: Sequence[Lesson]) -> str:
    """Return the answer to what was read: one line of clean text, at most `MAX_REPLY_CHARS` long.

    `tracks` is how many tracks the listener's collection has.
    """
    return clean_text(_text(reading, situation, tracks, lessons), max_chars=MAX_REPLY_CHARS)


def _text(reading: Reading, situation: Situation | None, tracks: int, lessons: Sequence[Lesson]) -> str:
    match reading.intent:
        case Intent.PLAY:
            return _playing(reading.wish)
        case Intent.ASK_SOURCE:
            return f"{_capital(named(reading.wish))}: from your collection or from peers?"
        case Intent.ASK_WHAT:
            return _ask_what(reading)
        case Intent.UNKNOWN_GENRE:
            return f"I don’t know {quoted(reading.heard)}. My ten genres are {spoken_list()}. Which one shall it be?"
        case Intent.UNKNOWN_TITLE:
            return _unknown_title(reading, tracks)
        case Intent.TEACH:
            return reading.reply or _taught(reading.lesson)
        case Intent.FORGET:
            return reading.reply
        case Intent.WHAT:
            return _what(situation)
        case Intent.WHY:
            return _why(situation)
        case Intent.WHO:
            return _who(situation)
        case Intent.HELP:
            return _help()
        case Intent.LESSONS:
            return _lessons(lessons)
        case _:
            return reading.reply or _COMMANDS.get(reading.intent, "All right.")


def _playing(wish: Wish) -> str:
    if wish.source is Source.PEERS:
        return f"Looking among your peers for {'' if wish.genre else 'what is nearest to '}{named(wish)}."
    nearest = "" if wish.genre else ", and what is nearest to it"
    return f"{_capital(named(wish))} from your collection{nearest}."


def _ask_what(reading: Reading) -> str:
    if reading.candidates:
        return _which(reading.candidates)
    if reading.genres:
        return f"One at a time, please: {' or '.join(genre.spoken for genre in reading.genres)}?"
    if reading.lesson is not None:
        return f"What shall I play when you say {quoted(reading.lesson.phrase)}? A genre, or a song of your collection."
    return f"{reading.reply}A genre or a song? I know {spoken_list()}, and the songs of your collection."


def _which(candidates: Sequence[Track]) -> str:
    shown = [named(Wish(title=track.title, artist=track.artist)) for track in candidates[:MAX_CANDIDATES]]
    more = len(candidates) - len(shown)
    listed = "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
    return f"{_NUMBERS.get(len(candidates), str(len(candidates)))} titles match: {listed}. Which one?"


def _unknown_title(reading: Reading, tracks: int) -> str:
    heard = quoted(reading.heard) if reading.heard else "that"
    if tracks == 0:
        return (
            f"I can’t find {heard}: your collection is empty, so I know no titles yet. Name a genre: {spoken_list()}."
        )
    return (
        f"I can’t find {heard} in your collection, and a song has to be there for me to know how it sounds. "
        f"Another title, or a genre: {spoken_list()}?"
    )


def _taught(lesson: Lesson | None) -> str:
    if lesson is None:
        return "There is nothing to learn in that."
    return f"Got it: {quoted(lesson.phrase)} means {meaning(lesson)}. Say “forget that” to undo it."


def meaning(lesson: Lesson) -> str:
    """Return what a lesson stands for, in words."""
    if lesson.intent is not Intent.PLAY:
        return quoted(lesson.intent.value.replace("_", " "))
    source = {Source.MINE: " from your collection", Source.PEERS: " from peers", None: ""}[lesson.wish.source]
    return f"{named(lesson.wish)}{source}"


def _lessons(lessons: Sequence[Lesson]) -> str:
    if not lessons:
        return "You haven’t taught me anything yet. Try “when I say rainy day, play jazz”."
    shown = [f"{quoted(lesson.phrase)} means {meaning(lesson)}" for lesson in reversed(lessons[-_MAX_NAMES:])]
    more = len(lessons) - len(shown)
    return "; ".join(shown) + (f"; and {more} more." if more else ".")


def _what(situation: Situation | None) -> str:
    if situation is None:
        return "The title, the artist and whose collection it comes from stand in the player."
    if situation.playing is None:
        return "Nothing is playing. What would you like to hear?"
    state = "Paused" if situation.paused else "Playing"
    return f"{state}: {named(_song(situation.playing))}, {_origin(situation.playing)}."


def _why(situation: Situation | None) -> str:
    playing = situation.playing if situation else None
    if situation is not None and playing is None:
        return "Nothing is playing, so there is nothing to explain yet."
    if playing is None or not playing.wanted:
        return (
            "The collection with the smallest mean distance to what you asked for wins, "
            "and its tracks are played nearest first."
        )
    asked = clean_text(playing.wanted, max_chars=_MAX_QUOTED_CHARS)
    return f"You asked for {asked}. {_reason(playing)}"


def _reason(playing: Playing) -> str:
    distance = "" if playing.distance is None else f" ({playing.distance:.2f})"
    if playing.provider is None:
        return f"This is what lies nearest to it{distance} in your own collection."
    name = clean_text(playing.provider, max_chars=_MAX_QUOTED_CHARS)
    rivals = f" of {playing.offers} offers" if playing.offers > 1 else ""
    return (
        f"The collection of {name} has the smallest mean distance to it{distance}{rivals}; nearest tracks come first."
    )


def _who(situation: Situation | None) -> str:
    if situation is None or situation.providers is None:
        return "I can see the others once this is connected to your circle’s broker."
    names = [clean_text(name, max_chars=_MAX_QUOTED_CHARS) for name in situation.providers]
    if not names:
        return "Nobody else is there right now. Your own collection still plays."
    more = len(names) - _MAX_NAMES
    listed = ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f"{'One other is' if len(names) == 1 else f'{len(names)} others are'} there: {listed}."


def _help() -> str:
    return (
        "Ask for a genre (“play some jazz from peers”) or for music near a song of your collection "
        "(“something like So What”), from your collection or from peers. "
        "Then: next, previous, pause, go on, stop, what is playing, why this one, who is there. "
        "Teach me: “when I say rainy day, play jazz”; take it back: “forget that”. "
        f"My genres: {spoken_list()}."
    )


def _song(playing: Playing) -> Wish:
    return Wish(title=playing.title or "an untitled track", artist=playing.artist or None)


def _origin(playing: Playing) -> str:
    if playing.provider is None:
        return "from your own collection"
    return f"from the collection of {clean_text(playing.provider, max_chars=_MAX_QUOTED_CHARS)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

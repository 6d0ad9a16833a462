"""Logic adapters for what is taught: new lessons, lessons taken back, and lessons recalled."""

from __future__ import annotations

from dataclasses import replace

from dnai.chatbot.controls import find_control
from dnai.chatbot.finding import find_named
from dnai.chatbot.genres import strip_wrapping
from dnai.chatbot.intents import CONTROLS, Intent, Lesson, Reading, Wish
from dnai.chatbot.lessons import Recalled
from dnai.chatbot.naming import track_wish
from dnai.chatbot.requests import find_ask
from dnai.chatbot.teaching import (
    Taught,
    find_lesson,
    find_unlearning,
    refusal,
)
from dnai.chatbot.turn_adapter import TurnAdapter, as_request
from dnai.chatbot.turns import Turn
from dnai.chatbot.wording import Utterance, fold


class Teaching(TurnAdapter):
    """Lessons ("when I say rainy day, play jazz") and their end ("forget that")."""

    clause_worth = 0.0

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the lesson that `said` teaches or takes back, or None."""
        unlearned = find_unlearning(said)
        if unlearned is not None:
            return self._forget(unlearned.phrase, turn, everything=unlearned.everything)
        taught = find_lesson(said)
        return read_lesson(taught, turn, 0.98) if taught is not None else None

    @staticmethod
    def _forget(phrase: str | None, turn: Turn, *, everything: bool) -> Reading:
        if phrase is None:
            return Reading(Intent.FORGET, 0.98, everything=everything)
        named = turn.lessons.named(phrase)
        if named:
            return Reading(Intent.FORGET, 0.98, heard=phrase, lesson=named[-1])
        return Reading(Intent.FORGET, 0.55, heard=phrase)


class Remembered(TurnAdapter):
    """What the listener has taught, recalled from ChatterBot's storage."""

    clause_worth = 0.93

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return what the nearest taught phrase stands for, or None."""
        ask = find_ask(said)
        forms = [said.folded, said.core] + ([ask.words, strip_wrapping(ask.words)] if ask else [])
        found = [recalled for words in dict.fromkeys(forms) if (recalled := turn.lessons.recall(words))]
        best = max(found, key=lambda recalled: recalled.likeness, default=None)
        if best is None or (not whole and best.likeness < 1.0):
            return None
        return self._meaning(best, turn, ask.source if ask else None)

    @staticmethod
    def _meaning(recalled: Recalled, turn: Turn, source: object) -> Reading:
        lesson = recalled.lesson
        confidence = 0.945 if recalled.likeness == 1.0 else 0.915 * recalled.likeness
        if lesson.intent is not Intent.PLAY:
            return Reading(lesson.intent, confidence, lesson=lesson, heard=lesson.phrase)
        wish = lesson.wish.sourced(source or lesson.wish.source)  # type: ignore[arg-type]
        if wish.genre is None:
            return _resolved_again(wish, turn, lesson, confidence)
        return replace(as_request(wish, confidence), lesson=lesson, heard=lesson.phrase)


def read_lesson(taught: Taught, turn: Turn, confidence: float) -> Reading | None:
    """Return the reading of a lesson: kept, refused, incomplete, or (None) no lesson after all."""
    phrase = taught.phrase
    if taught.meaning is None:
        return (
            Reading(Intent.ASK_WHAT, confidence, lesson=Lesson(phrase))
            if not refusal(phrase)
            else _refused_lesson(phrase, confidence)
        )
    control = find_control(taught.meaning)
    found = None if control in CONTROLS else find_named(taught.meaning.replace(" ,", ""), turn.known)
    known = control in CONTROLS or (found is not None and found.intent in {Intent.PLAY, Intent.ASK_SOURCE})
    if not known and not taught.explicit:
        return None
    if refusal(phrase):
        return _refused_lesson(phrase, confidence)
    if control in CONTROLS:
        return Reading(Intent.TEACH, confidence, lesson=Lesson(phrase, intent=control))
    if found is None:
        return Reading(Intent.ASK_WHAT, confidence, lesson=Lesson(phrase))
    if not known:
        return replace(found, confidence=confidence, exact=True)
    return Reading(Intent.TEACH, confidence, found.wish, lesson=Lesson(phrase, wish=found.wish))


def _refused_lesson(phrase: str, confidence: float) -> Reading:
    return Reading(Intent.TEACH, confidence, reply=refusal(phrase) or "")


def _resolved_again(wish: Wish, turn: Turn, lesson: Lesson, confidence: float) -> Reading:
    """Return the reading of a taught title or artist, looked up in the collection as it is now."""
    index = turn.known.index
    artist = fold(wish.artist or "")
    found = index.title(fold(wish.title), artist=artist or None) if wish.title else index.artist(artist)
    if found is None:
        return Reading(
            Intent.UNKNOWN_TITLE, confidence, wish, heard=wish.title or wish.artist or lesson.phrase, exact=True
        )
    resolved = track_wish(found.tracks[0], wish)
    resolved = resolved if wish.title else replace(resolved, title=None)
    return replace(as_request(resolved, confidence), lesson=lesson, heard=lesson.phrase)

"""How people teach, correct, take back and decline: the forms of it in a message.

The wordings stand in ``corpus/teaching.yaml``. Nothing here knows what is in the collection; what a
phrase shall mean stays in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from dnai.chatbot.controls import find_control, is_cancel, is_yes
from dnai.chatbot.genres import name_genre
from dnai.chatbot.lessons import MAX_PHRASE_CHARS, has_weight
from dnai.chatbot.phrases import load_wording_lists, match_wording
from dnai.chatbot.sources import source_alone
from dnai.chatbot.wording import Utterance, fold_marked
from dnai.tracks import Genre

MAX_LESSON_CHARS = 240
"""Longer messages teach and correct nothing: they would only keep the patterns busy."""

_LOOSE_END = re.compile(
    r".*\b(?:i|you|we|he|she|they|would|to|could|can|not|do|did|used|will|should|and|or|please|who|that)"
)
_POLITE_CONDITION = re.compile(r"(?:you|possible|can|could|may|ok)\b")
_FILLER = re.compile(r"^(?:(?:ok|okay|please|hey|so|now|listen|hi|hello|well|and|dj) (?:, )?)+(?=\S)")
_ARROW = re.compile(r"\s*(?:=+>?|-+>|→|⇒|:=)\s*")
_MEANING_START = re.compile(r"^(?:(?:,|then|you should|please|me|i want|i mean|that i want|play|put on|for me) )+")


@cache
def _forms() -> Mapping[str, tuple[re.Pattern[str], ...]]:
    return {key: tuple(map(re.compile, patterns)) for key, patterns in load_wording_lists("teaching").items()}


@dataclass(frozen=True, slots=True)
class Taught:
    """A phrase and the words of what it shall mean; no `meaning` where that was left out.

    `explicit` where the message can be nothing but a lesson.
    """

    phrase: str
    meaning: str | None
    explicit: bool


def find_lesson(said: Utterance) -> Taught | None:
    """Return the lesson in `said`, or None."""
    if len(said.text) > MAX_LESSON_CHARS or said.question:
        return None
    words = _FILLER.sub("", fold_marked(_ARROW.sub(" means ", said.text)).strip(" ,"))
    for key in ("explicit", "likely"):
        found = match_wording(_forms()[key], words)
        phrase = _clean_phrase(found["phrase"]) if found else ""
        if found and phrase:
            return Taught(phrase, _clean_meaning(found["meaning"]), explicit=key == "explicit")
    return _situation(words) or _incomplete(words)


def _situation(words: str) -> Taught | None:
    """Return the lesson of "when it rains, play blues", which names no words to say."""
    found = match_wording(_forms()["situation"], words)
    when = found["when"].strip(" ,") if found else ""
    started = match_wording(_forms()["situation_start"], when) if when else None
    phrase = _clean_phrase(started["phrase"]) if started else ""
    if not found or not has_weight(phrase) or _LOOSE_END.fullmatch(phrase) or _POLITE_CONDITION.match(phrase):
        return None
    return Taught(phrase, _clean_meaning(found["meaning"]), explicit=False)


def _incomplete(words: str) -> Taught | None:
    found = match_wording(_forms()["incomplete"], words)
    phrase = _clean_phrase(found["phrase"]) if found else ""
    return Taught(phrase, None, explicit=True) if phrase else None


def _clean_phrase(words: str) -> str:
    words = " ".join(word for word in words.split() if word != ",")
    words = re.sub(r"^(?:play|put on) (?:me )?(?=\w)", "", words)
    return words if len(words) <= MAX_PHRASE_CHARS else ""


def _clean_meaning(words: str) -> str:
    return _MEANING_START.sub("", words).strip(" ,")


def refusal(phrase: str) -> str | None:
    """Return why `phrase` cannot be given a meaning, None where it can.

    Commands, answers to the chatbot's own questions and the ten genres keep theirs: a listener who
    could turn "stop" into jazz could not stop the music any more.
    """
    if find_control(phrase) or is_yes(phrase) or is_cancel(phrase) or source_alone(phrase, asked=True):
        return f"“{phrase}” already means something to me, and I’d better keep that. Please choose other words."
    named = name_genre(phrase)
    if named and phrase in {*(genre.value for genre in Genre), "hip hop"}:
        return f"{named[0].spoken.capitalize()} is one of the genres I know, so the word keeps its meaning."
    return None if has_weight(phrase) else "Those words say too little; please choose a phrase of your own."


@dataclass(frozen=True, slots=True)
class Unlearned:
    """What is to be forgotten: everything, the lessons of one phrase, or (no phrase) the last lesson."""

    phrase: str | None = None
    everything: bool = False


def find_unlearning(said: Utterance) -> Unlearned | None:
    """Return what `said` wants to have forgotten, or None."""
    words = said.core
    if len(words) > MAX_LESSON_CHARS:
        return None
    if match_wording(_forms()["forget_all"], words):
        return Unlearned(everything=True)
    if match_wording(_forms()["forget_last"], words):
        return Unlearned()
    found = match_wording(_forms()["forget_named"], words)
    return Unlearned(phrase=found["phrase"].strip()[:MAX_PHRASE_CHARS]) if found else None


@dataclass(frozen=True, slots=True)
class Corrected:
    """What was meant, in words. `denied` where the listener also said that the answer was wrong.

    `plainly` where the message can be nothing but a correction ("I meant …").
    """

    meaning: str
    denied: bool
    plainly: bool


def find_corrections(said: Utterance) -> Iterator[Corrected]:
    """Yield the ways in which `said` may correct what was understood before, the likeliest first."""
    if len(said.marked) > MAX_LESSON_CHARS or said.question:
        return
    for form in _forms()["correction"]:
        found = form.fullmatch(f"{said.marked} ")
        rest = found["rest"].strip(" ,") if found else ""
        if found and rest:
            yield _corrected(found, rest)


def _corrected(found: re.Match[str], rest: str) -> Corrected:
    plainly = (
        re.search(r"\b(?:meant|i mean|i said|i wanted|should be|should have been|asked for)\b", found[0]) is not None
    )
    denied = (
        plainly
        or found.groupdict().get("wrong") is not None
        or re.match(r"(?:no|nope|nah|wrong|not|sorry|oops|that|this|you)\b", found[0]) is not None
    )
    return Corrected(rest, denied=denied, plainly=plainly)


def find_rejection(said: Utterance) -> str | None:
    """Return the words of what `said` does not want to hear, or None."""
    return _slot("declined", said)


def find_exception(said: Utterance) -> str | None:
    """Return the words of what `said` excepts ("anything but jazz"), or None."""
    return _slot("excepted", said)


def find_liking(said: Utterance) -> str | None:
    """Return the words of what `said` calls a liking, without asking for it, or None."""
    return None if said.question else _slot("liked", said)


def _slot(key: str, said: Utterance) -> str | None:
    if len(said.core) > MAX_LESSON_CHARS:
        return None
    found = match_wording(_forms()[key], said.core)
    return found["what"].strip() if found else None

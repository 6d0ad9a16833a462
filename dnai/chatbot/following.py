"""Logic adapters for what follows from what was said before: answers to questions, and corrections."""

from __future__ import annotations

import re
from dataclasses import replace

from rapidfuzz import fuzz

from dnai.chatbot.controls import find_control, is_cancel, is_yes
from dnai.chatbot.finding import find_named, may_be_a_name
from dnai.chatbot.genres import strip_wrapping
from dnai.chatbot.intents import CONTROLS, Intent, Reading, Wish
from dnai.chatbot.learning import read_lesson
from dnai.chatbot.naming import track_wish
from dnai.chatbot.requests import Strength, find_ask, matches
from dnai.chatbot.sources import source_alone
from dnai.chatbot.teaching import (
    Corrected,
    Taught,
    find_corrections,
)
from dnai.chatbot.turn_adapter import TurnAdapter, as_request
from dnai.chatbot.turns import Question, Turn
from dnai.chatbot.wording import Utterance, fold
from dnai.tracks import Genre, Track

_MAX_PREFERRED_WORDS = 5


class FollowUp(TurnAdapter):
    """Answers to what the chatbot asked: whose music, which of several, what a phrase shall mean."""

    clause_worth = 0.0

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the answer in `said` to the open question; where none is open, a source is a change of it."""
        pending = turn.state.pending
        if pending is None:
            return self._change_of_source(said, turn)
        if is_cancel(said.folded):
            return Reading(Intent.SMALL_TALK, 0.97, reply="All right. Just say when you want music.", cancels=True)
        answers = {
            Question.SOURCE: self._source,
            Question.WHAT: self._anything,
            Question.WHICH: self._which,
            Question.LESSON: self._meaning,
            Question.OFFER: self._agreed,
        }
        return answers[pending.question](said, turn) or self._change_of_source(said, turn)

    def _source(self, said: Utterance, turn: Turn) -> Reading | None:
        pending = turn.asked(Question.SOURCE)
        source = source_alone(said.folded, asked=True)
        if pending is None:
            return None
        if source is None:
            return Reading(Intent.ASK_SOURCE, 0.9, pending.wish) if is_yes(said.folded) else None
        return Reading(Intent.PLAY, 0.97, pending.wish.sourced(source))

    def _anything(self, said: Utterance, turn: Turn) -> Reading | None:
        pending = turn.asked(Question.WHAT)
        commonest = turn.known.index.commonest_genre()
        free = source_alone(said.folded, asked=True) and not self._names_source(said)
        if pending is None or not (free or matches("anything_alone", said.core) or matches("anything", said.core)):
            return None
        if pending.wish.source is None and self._names_source(said):
            return None
        if re.fullmatch(r"(?:a|by|the)? ?(?:songs?|titles?|tracks?|genres?|artists?)", said.core):
            return Reading(Intent.ASK_WHAT, 0.91, pending.wish, reply="Which one? ")
        ask = find_ask(said)
        if ask is not None and ask.strength is Strength.STRONG:
            return None  # "play something" asks anew
        genre = Genre(commonest) if commonest else Genre.JAZZ
        return as_request(Wish(genre=genre, source=pending.wish.source), 0.91)

    @staticmethod
    def _names_source(said: Utterance) -> bool:
        return source_alone(said.folded, asked=False) is not None

    def _which(self, said: Utterance, turn: Turn) -> Reading | None:
        pending = turn.asked(Question.WHICH)
        if pending is None:
            return None
        ask = find_ask(said)
        track = _pick(ask.words if ask else said.core, pending.candidates)
        wish = pending.wish.sourced(ask.source if ask else None)
        return as_request(track_wish(track, wish), 0.97) if track else None

    def _meaning(self, said: Utterance, turn: Turn) -> Reading | None:
        pending = turn.asked(Question.LESSON)
        return read_lesson(Taught(pending.phrase, said.core, explicit=False), turn, 0.97) if pending else None

    def _agreed(self, said: Utterance, turn: Turn) -> Reading | None:
        pending = turn.asked(Question.OFFER)
        source = source_alone(said.folded, asked=True)
        if pending is None or not (is_yes(said.folded) or source):
            return None
        return as_request(pending.wish.sourced(source), 0.97)

    def _change_of_source(self, said: Utterance, turn: Turn) -> Reading | None:
        source = source_alone(said.folded, asked=False)
        if source is None:
            return None
        last = turn.state.wish
        if last is not None and last.kind is not None and turn.asked(Question.WHAT) is None:
            return as_request(last.sourced(source), 0.91)
        return Reading(Intent.ASK_WHAT, 0.91, Wish(source=source))


class Correction(TurnAdapter):
    """Corrections ("no, I meant blues"): another answer to what was said before, and perhaps a lesson."""

    clause_worth = 0.0

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return what was meant instead, from the source that was asked for before."""
        for corrected in find_corrections(said):
            reading = self._source(corrected, turn) or self._meant(corrected, turn)
            if reading is not None:
                return reading
        return None

    def _source(self, corrected: Corrected, turn: Turn) -> Reading | None:
        source = source_alone(corrected.meaning.replace(",", ""), asked=False)
        last = turn.state.wish
        if source is None or last is None or last.kind is None:
            return None
        return replace(as_request(last.sourced(source), 0.975), corrects=True, lesson=turn.state.lesson)

    def _meant(self, corrected: Corrected, turn: Turn) -> Reading | None:
        control = find_control(corrected.meaning)
        if control in CONTROLS and corrected.denied:
            return Reading(control, 0.94)
        found = find_named(corrected.meaning.replace(" ,", ""), turn.known)
        if found is None or not self._believable(found, corrected):
            return None
        before = turn.state.wish.source if turn.state.wish else None
        pending = turn.state.pending.wish.source if turn.state.pending else None
        wish = found.wish.sourced(found.wish.source or before or pending)
        intent = Intent.PLAY if wish.complete and found.intent is Intent.ASK_SOURCE else found.intent
        confidence = 0.96 if corrected.denied else 0.93
        return replace(
            found, intent=intent, wish=wish, confidence=confidence, corrects=corrected.denied, heard=found.heard
        )

    @staticmethod
    def _believable(found: Reading, corrected: Corrected) -> bool:
        if found.intent in {Intent.UNKNOWN_GENRE, Intent.UNKNOWN_TITLE}:
            return corrected.plainly and may_be_a_name(corrected.meaning)
        sure = found.exact or found.wish.genre is not None or found.intent is Intent.ASK_WHAT
        return sure or corrected.plainly or len(corrected.meaning.split()) <= _MAX_PREFERRED_WORDS


_ORDINALS = {
    "first": 0,
    "1": 0,
    "one": 0,
    "former": 0,
    "second": 1,
    "2": 1,
    "two": 1,
    "latter": 1,
    "third": 2,
    "3": 2,
    "three": 2,
    "fourth": 3,
    "4": 3,
    "four": 3,
    "last": -1,
}


def _pick(answer: str, candidates: tuple[Track, ...]) -> Track | None:
    """Return the candidate that an answer names by number, artist or title."""
    words = (
        strip_wrapping(
            re.sub(r"\b(?:the|one|by|of|version|from|play|i want|i mean|number|option|please)\b", " ", answer)
        ).split()
        or answer.split()
    )
    number = _ORDINALS.get(words[0]) if len(words) == 1 else None
    if number is not None and number < len(candidates):
        return candidates[number]
    named = " ".join(words)
    scored = [
        (
            max(
                fuzz.ratio(named, fold(name))
                for name in (track.artist, track.title, f"{track.title} {track.artist}", track.album)
                if name
            ),
            track,
        )
        for track in candidates
    ]
    best = max(scored, key=lambda pair: pair[0], default=(0.0, None))
    contained = [track for track in candidates if named and f" {named} " in f" {fold(track.artist)} "]
    if best[0] >= 80 and sum(score > best[0] - 2 for score, _ in scored) == 1:
        return best[1]
    return contained[0] if len(contained) == 1 else None

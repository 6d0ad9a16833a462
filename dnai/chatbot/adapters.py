"""ChatterBot's logic adapters: each reads a message in its own way, and ChatterBot takes the surest.

An adapter leaves its :class:`~dnai.chatbot.intents.Reading` in the turn and answers ChatterBot with its
own name and confidence. Adapters are named by import path in :data:`LOGIC_ADAPTERS`; of equally sure
ones the first wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from chatterbot.conversation import Statement
from chatterbot.logic import LogicAdapter
from rapidfuzz import fuzz

from dnai.chatbot.controls import find_control, is_cancel, is_yes
from dnai.chatbot.finding import EXACT_TITLE, find_answer, find_music, find_named, track_wish
from dnai.chatbot.genres import find_genre, strip_wrapping
from dnai.chatbot.intents import CONTROLS, Intent, Lesson, Reading, Wish
from dnai.chatbot.lessons import Recalled
from dnai.chatbot.requests import Strength, find_ask, matches
from dnai.chatbot.sources import source_alone
from dnai.chatbot.teaching import (
    Corrected,
    Taught,
    find_corrections,
    find_exception,
    find_lesson,
    find_liking,
    find_rejection,
    find_unlearning,
    refusal,
)
from dnai.chatbot.turns import Question, Turn
from dnai.chatbot.wording import Utterance, fold, utterance
from dnai.tracks import Genre, Track

MENDED = 0.96
"""What a reading is worth, relative to others, where slips in command words had to be mended first."""

_LONE_COMMANDS = frozenset("stop pause skip next resume continue help louder quieter mute unmute previous".split())
_MAX_PREFERRED_WORDS = 5


class TurnAdapter(LogicAdapter):  # type: ignore[misc]  # ChatterBot ships no types
    """A logic adapter that reads a turn. `clause_worth` is what a reading of one clause of several counts."""

    clause_worth = 0.9

    def process(self, statement: Statement, additional_response_selection_parameters: Mapping[str, object]) -> Statement:
        """Return this adapter's name, with the confidence of its reading of the turn (0 where it has none)."""
        turn = additional_response_selection_parameters["turn"]
        assert isinstance(turn, Turn)
        name = type(self).__name__
        best = max(self._readings(turn), key=lambda reading: reading.confidence, default=None)
        if best is not None:
            turn.readings[name] = best
        answer = Statement(text=name, in_response_to=statement.text)
        answer.confidence = best.confidence if best is not None else 0.0
        return answer

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return what `said` means to this adapter, or None; `whole` is false for a clause of a message."""
        raise NotImplementedError

    def _readings(self, turn: Turn) -> Iterator[Reading]:
        for said, worth, whole in self._forms(turn):
            reading = self.read(said, turn, whole=whole)
            if reading is not None:
                yield replace(reading, confidence=reading.confidence * worth)

    def _forms(self, turn: Turn) -> Iterator[tuple[Utterance, float, bool]]:
        yield turn.said, 1.0, True
        if turn.mended is not None:
            yield turn.mended, MENDED, True
        if self.clause_worth:
            yield from ((clause, self.clause_worth, False) for clause in turn.clauses)


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
        genre = Genre(commonest) if commonest else Genre.JAZZ
        return _music(Wish(genre=genre, source=pending.wish.source), 0.91)

    @staticmethod
    def _names_source(said: Utterance) -> bool:
        return source_alone(said.folded, asked=False) is not None

    def _which(self, said: Utterance, turn: Turn) -> Reading | None:
        pending = turn.asked(Question.WHICH)
        if pending is None:
            return None
        track = _pick(said, pending.candidates)
        return _music(track_wish(track, pending.wish), 0.97) if track else None

    def _meaning(self, said: Utterance, turn: Turn) -> Reading | None:
        pending = turn.asked(Question.LESSON)
        return _lesson_reading(Taught(pending.phrase, said.core, explicit=False), turn, 0.97) if pending else None

    def _agreed(self, said: Utterance, turn: Turn) -> Reading | None:
        pending = turn.asked(Question.OFFER)
        source = source_alone(said.folded, asked=True)
        if pending is None or not (is_yes(said.folded) or source):
            return None
        return _music(pending.wish.sourced(source), 0.97)

    def _change_of_source(self, said: Utterance, turn: Turn) -> Reading | None:
        source = source_alone(said.folded, asked=False)
        if source is None:
            return None
        last = turn.state.wish
        if last is not None and last.kind is not None and turn.asked(Question.WHAT) is None:
            return _music(last.sourced(source), 0.91)
        return Reading(Intent.ASK_WHAT, 0.91, Wish(source=source))


class Correction(TurnAdapter):
    """ "No, I meant blues": another answer to what was said before, and perhaps a lesson."""

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
        return replace(_music(last.sourced(source), 0.975), corrects=True, lesson=turn.state.lesson)

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
        return replace(found, intent=intent, wish=wish, confidence=confidence, corrects=corrected.denied, heard=found.heard)

    @staticmethod
    def _believable(found: Reading, corrected: Corrected) -> bool:
        if found.intent in {Intent.UNKNOWN_GENRE, Intent.UNKNOWN_TITLE}:
            return corrected.plainly and len(corrected.meaning.split()) <= _MAX_PREFERRED_WORDS
        sure = found.exact or found.wish.genre is not None or found.intent is Intent.ASK_WHAT
        return sure or corrected.plainly or len(corrected.meaning.split()) <= _MAX_PREFERRED_WORDS


class Teaching(TurnAdapter):
    """ "When I say rainy day, play jazz", and "forget that"."""

    clause_worth = 0.0

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the lesson that `said` teaches or takes back, or None."""
        unlearned = find_unlearning(said)
        if unlearned is not None:
            return self._forget(unlearned.phrase, turn, everything=unlearned.everything)
        taught = find_lesson(said)
        return _lesson_reading(taught, turn, 0.98) if taught is not None else None

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
        return replace(_music(wish, confidence), lesson=lesson, heard=lesson.phrase)


class Request(TurnAdapter):
    """Music asked for by genre, title or artist."""

    clause_worth = 1.0

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the music that `said` asks for; a clause must ask for it, where a whole message may only name it."""
        if not whole and not self._asks(said):
            return None
        said = _naming_peers(said, turn)
        found = find_music(said, turn.known)
        asked = turn.asked(Question.WHAT)
        if found is None and asked and whole:
            found = find_answer(said, turn.known, fresh=asked.turns == 0)
        if found is None or self._halted_play(said, turn):
            return None
        return self._answered(found, asked.wish) if asked else found

    @staticmethod
    def _answered(found: Reading, asked: Wish) -> Reading:
        """Return `found` as the answer to "a genre or a song?": from the source that was named before."""
        wish = found.wish.sourced(found.wish.source or asked.source)
        complete = wish.complete and found.intent is Intent.ASK_SOURCE
        confidence = max(found.confidence, EXACT_TITLE) if found.exact else found.confidence
        return replace(found, wish=wish, intent=Intent.PLAY if complete else found.intent, confidence=confidence)

    @staticmethod
    def _halted_play(said: Utterance, turn: Turn) -> bool:
        paused = turn.known.situation is not None and turn.known.situation.paused
        return said.core in {"play", "start", "go"} and (turn.state.halted or paused)

    @staticmethod
    def _asks(said: Utterance) -> bool:
        ask = find_ask(said)
        if ask is None:
            return False
        wanted = re.match(r"(?:some|a bit of|something|anything|more|music) ", said.lead) or said.folded.endswith(" please")
        return ask.strength > Strength.BARE or bool(wanted)


class Control(TurnAdapter):
    """Commands to the player, and questions about it."""

    clause_worth = 0.9

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the command or question that `said` is, or None."""
        if said.text and not said.text.strip("? "):
            return Reading(Intent.HELP, 0.95)
        for words in dict.fromkeys((said.lead, said.core, said.folded)):
            intent = find_control(words)
            if intent is not None and (whole or " " in words or words in _LONE_COMMANDS):
                return Reading(intent, 0.95)
        if Request._halted_play(said, turn):
            return Reading(Intent.RESUME, 0.95)
        return None


class Refusal(TurnAdapter):
    """What the listener does not want to hear."""

    clause_worth = 0.85

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return that the music named in `said` shall not be played; for "anything but …", what else."""
        if whole and len(turn.clauses) > 1:
            return None
        excepted = find_exception(said)
        if excepted is not None and find_genre(excepted, request=True):
            return Reading(Intent.ASK_WHAT, 0.94, reply="Then which one? ")
        what = find_rejection(said)
        if what is None:
            return None
        return self._refused(what, said, turn)

    @staticmethod
    def _refused(what: str, said: Utterance, turn: Turn) -> Reading | None:
        genre = find_genre(what, request=True)
        named = genre.genre.spoken if genre else None
        if genre is None:
            found = turn.known.index.title(what, cutoff=90) or turn.known.index.artist(what, cutoff=90)
            named = found.tracks[0].title if found else None
        ordered = re.match(r"(?:please )?(?:do not|never|stop) (?:play|put on|queue)", said.core) is not None
        if named is None and not ordered:
            return None
        reply = f"No {named}, then. Tell me what you’d rather hear." if named else "All right, I won’t."
        pending = turn.state.pending
        cancels = pending is not None and genre is not None and pending.wish.genre is genre.genre
        return Reading(Intent.SMALL_TALK, 0.94, reply=reply, cancels=cancels)


class Liking(TurnAdapter):
    """What the listener says to like: no music without being asked, but an offer to play some."""

    clause_worth = 0.7

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the offer to play what `said` calls a liking; as an answer to "a genre or a song?", a request."""
        what = find_liking(said)
        if what is None:
            return None
        genre = find_genre(what, request=False, bare=True)
        wish = Wish(genre=genre.genre) if genre and not genre.others else None
        if wish is None:
            found = turn.known.index.title(what, cutoff=92) or turn.known.index.artist(what, cutoff=92)
            wish = track_wish(found.tracks[0], Wish()) if found else None
        if wish is None:
            return None
        if turn.asked(Question.WHAT):
            return _music(wish, 0.9)
        named = wish.genre.spoken if wish.genre else f"“{wish.title}”"
        return Reading(Intent.SMALL_TALK, 0.91, offers=wish, reply=f"A fine choice. Shall I play {_near(wish)}{named}?")


class Chatter(TurnAdapter):
    """Small talk."""

    clause_worth = 0.5

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the answer to the known saying nearest to `said`, or None."""
        found = [saying for words in dict.fromkeys((said.folded, said.core)) if (saying := turn.small_talk.nearest(words))]
        best = max(found, key=lambda saying: saying.likeness, default=None)
        if best is None:
            return None
        return Reading(Intent.SMALL_TALK, 0.9 * best.likeness, reply=best.answers[turn.state.number % len(best.answers)])


class Fallback(TurnAdapter):
    """What is said when nothing else was understood."""

    clause_worth = 0.0

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return a hint at what can be said; what was said is kept, in case it is corrected."""
        ask = find_ask(said)
        heard = ask.words if ask and ask.strength > Strength.BARE else said.text
        return Reading(Intent.SMALL_TALK, 0.1, heard=heard, reply=turn.small_talk.fallback(turn.state.number))


LOGIC_ADAPTERS = tuple(
    f"{adapter.__module__}.{adapter.__name__}"
    for adapter in (FollowUp, Teaching, Correction, Control, Refusal, Remembered, Request, Liking, Chatter, Fallback)
)
"""The adapters by import path, as ChatterBot wants them."""


def _naming_peers(said: Utterance, turn: Turn) -> Utterance:
    """Return `said` with "from peers" for "from anna", where a peer of that name is there."""
    situation = turn.known.situation
    names = [fold(name) for name in situation.providers or ()] if situation else []
    name = next((name for name in names if name and re.search(rf"\bfrom {re.escape(name)}s?\b", said.core)), None)
    return utterance(re.sub(rf"\bfrom {re.escape(name)}s?\b(?: (?:collection|music|library))?", "from peers", said.core)) if name else said


def _music(wish: Wish, confidence: float) -> Reading:
    return Reading(Intent.PLAY if wish.complete else Intent.ASK_SOURCE, confidence, wish, exact=True)


def _near(wish: Wish) -> str:
    return "some " if wish.genre else "music near "


def _lesson_reading(taught: Taught, turn: Turn, confidence: float) -> Reading | None:
    """Return the reading of a lesson: kept, refused, incomplete, or (None) no lesson after all."""
    phrase = taught.phrase
    if taught.meaning is None:
        return Reading(Intent.ASK_WHAT, confidence, lesson=Lesson(phrase)) if not refusal(phrase) else _refused_lesson(phrase, confidence)
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
        return Reading(Intent.UNKNOWN_TITLE, confidence, wish, heard=wish.title or wish.artist or lesson.phrase, exact=True)
    resolved = track_wish(found.tracks[0], wish)
    resolved = resolved if wish.title else replace(resolved, title=None)
    return replace(_music(resolved, confidence), lesson=lesson, heard=lesson.phrase)


_ORDINALS = {"first": 0, "1": 0, "one": 0, "former": 0, "second": 1, "2": 1, "two": 1, "latter": 1, "third": 2, "3": 2, "three": 2, "fourth": 3, "4": 3, "four": 3, "last": -1}


def _pick(said: Utterance, candidates: tuple[Track, ...]) -> Track | None:
    """Return the candidate that an answer names by number, artist or title."""
    words = strip_wrapping(re.sub(r"\b(?:the|one|by|of|version|from|play|i want|i mean|number|option|please)\b", " ", said.core)).split() or said.core.split()
    number = _ORDINALS.get(words[0]) if len(words) == 1 else None
    if number is not None and number < len(candidates):
        return candidates[number]
    named = " ".join(words)
    scored = [(max(fuzz.ratio(named, fold(name)) for name in (track.artist, track.title, f"{track.title} {track.artist}", track.album) if name), track) for track in candidates]
    best = max(scored, key=lambda pair: pair[0], default=(0.0, None))
    contained = [track for track in candidates if named and f" {named} " in f" {fold(track.artist)} "]
    if best[0] >= 80 and sum(score > best[0] - 2 for score, _ in scored) == 1:
        return best[1]
    return contained[0] if len(contained) == 1 else None

"""The chatbot put together: one `Dialogue` for the process, one `Conversation` for each browser tab.

ChatterBot's ``ChatBot`` keeps what was taught in its SQL storage and lets the logic adapters of
:mod:`dnai.chatbot.adapters` compete; the conversation keeps what was asked and answered.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from json import dumps
from pathlib import Path
from threading import Lock

from chatterbot import ChatBot
from chatterbot.tagging import LowercaseTagger
from sqlalchemy.engine import URL

from dnai.chatbot.adapters import LOGIC_ADAPTERS
from dnai.chatbot.intents import CONTROLS, Intent, Lesson, Reading, Reply, Situation, Wish
from dnai.chatbot.lessons import MAX_PHRASE_CHARS, Lessons, LessonStorage, translated_errors
from dnai.chatbot.naming import Known
from dnai.chatbot.replies import meaning, quoted, reply_text
from dnai.chatbot.small_talk import SmallTalk
from dnai.chatbot.teaching import refusal
from dnai.chatbot.titles import TitleIndexes
from dnai.chatbot.turns import MAX_QUESTION_TURNS, Pending, Question, State, Turn
from dnai.chatbot.wording import Utterance, clauses, corrected, fold, utterance
from dnai.errors import ChatMemoryError
from dnai.tracks import Track

logger = logging.getLogger(__name__)


class Dialogue:
    """What every conversation shares: the memory, the collection's titles, the small talk.

    Safe to use from several threads. `memory` is the SQLite file of what was taught, made where there is
    none; `collection` returns the listener's tracks, and the same sequence object as long as they have not
    changed, for its titles are indexed anew when it has.

    Raises
    ------
    ChatMemoryError
        When `memory` cannot be opened.
    """

    def __init__(self, *, memory: Path, collection: Callable[[], Sequence[Track]]) -> None:
        with translated_errors(memory):
            memory.parent.mkdir(parents=True, exist_ok=True)
            self._bot = _chatbot(memory)
        self._storage: LessonStorage = self._bot.storage
        self.lessons = Lessons(self._storage, memory)
        self.small_talk = SmallTalk()
        self._titles = TitleIndexes(collection)
        # The patterns of the wordings are compiled now, and not while somebody waits for music.
        self.conversation().answer("play some jazz")

    def conversation(self) -> Conversation:
        """Return a new conversation, which knows nothing of the others but what was taught."""
        return Conversation(self)

    def known(self, state: State, situation: Situation | None) -> Known:
        """Return what a message can be about now."""
        return Known(index=self._titles.current(), last=state.wish, situation=situation)

    def surest(self, turn: Turn, *, conversation_id: str) -> Reading:
        """Return the reading of the logic adapter that ChatterBot chose."""
        answer = self._bot.get_response(
            turn.said.folded or "…",
            conversation=conversation_id,
            in_response_to="",  # ChatterBot would look for the latest statement of the conversation
            additional_response_selection_parameters={"turn": turn},
        )
        return turn.readings[answer.text]

    def close(self) -> None:
        """Close the memory; conversations must not be used any more."""
        self._storage.close()


class Conversation:
    """One conversation: what was asked last, and what is still open. Safe to use from several threads."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._id = uuid.uuid4().hex
        self._state = State()
        self._lock = Lock()

    def answer(self, text: str, *, situation: Situation | None = None) -> Reply:
        """Return what `text` means and what is said to it; any text will do.

        Parameters
        ----------
        text
            The message; only its first `wording.MAX_MESSAGE_CHARS` characters are read.
        situation
            What the player and the circle look like, for "what is playing", "why" and "who".
        """
        with self._lock:
            return self._answer(text, situation)

    def _answer(self, text: str, situation: Situation | None) -> Reply:
        dialogue = self._dialogue
        said = utterance(text)
        turn = Turn(
            said=said,
            mended=_mended(said),
            clauses=tuple(clauses(said)),
            state=self._state,
            known=dialogue.known(self._state, situation),
            lessons=dialogue.lessons,
            small_talk=dialogue.small_talk,
        )
        reading = dialogue.surest(turn, conversation_id=self._id)
        reading, added = self._act(reading)
        self._state = _next_state(self._state, reading)
        words = reply_text(reading, situation=situation, tracks=turn.known.index.size, lessons=dialogue.lessons.all())
        return _reply(reading, f"{words} {added}".strip())

    def _act(self, reading: Reading) -> tuple[Reading, str]:
        """Learn or forget what `reading` says, and return what is said about it."""
        try:
            if reading.intent is Intent.TEACH and reading.lesson is not None:
                return replace(reading, lesson=self._dialogue.lessons.teach(reading.lesson)), ""
            if reading.intent is Intent.FORGET:
                return self._forget(reading), ""
            if reading.corrects and (lesson := self._learned(reading)) is not None:
                learned = f"I’ll remember that {quoted(lesson.phrase)} means {meaning(lesson)}"
                return replace(reading, lesson=lesson), f"{learned}; say “forget that” if it doesn’t."
        except ChatMemoryError as error:
            logger.warning("A lesson was not kept: %s", error)
            return replace(reading, reply="I can’t write that down: my memory file cannot be written."), ""
        return reading, ""

    def _forget(self, reading: Reading) -> Reading:
        lessons = self._dialogue.lessons
        if reading.everything:
            known = lessons.all()
            lessons.forget(known)
            return replace(
                reading, reply=f"Forgotten, all of it: {len(known)} {'lesson' if len(known) == 1 else 'lessons'}."
            )
        if reading.heard and reading.lesson is None:
            return replace(reading, reply=f"You haven’t taught me anything about {quoted(reading.heard)}.")
        gone = lessons.named(reading.lesson.phrase) if reading.lesson else tuple(filter(None, [lessons.latest()]))
        if not gone:
            return replace(reading, reply="There is nothing to forget: you haven’t taught me anything.")
        lessons.forget(gone)
        return replace(reading, reply=f"Forgotten: {quoted(gone[-1].phrase)} no longer means {meaning(gone[-1])}.")

    def _learned(self, reading: Reading) -> Lesson | None:
        """Keep what a correction teaches, if it does.

        A plain name keeps its meaning whatever is said after it: who corrects "play some jazz" has
        changed their mind. What was not a plain name is learned.
        """
        phrase = _lesson_phrase(self._state)
        if not phrase or reading.wish.kind is None or refusal(fold(phrase)):
            return None
        source = reading.wish.source if self._state.lesson and reading.lesson else None
        return self._dialogue.lessons.teach(Lesson(phrase, wish=replace(reading.wish, source=source)))


def understand(lines: Iterable[str], conversation: Conversation) -> Iterator[str]:
    """Yield, for each of `lines`, what the conversation makes of it: one JSON object without line breaks."""
    for line in lines:
        yield dumps(conversation.answer(line.rstrip("\r\n")).as_json(), ensure_ascii=False)


@cache
def _tagger() -> LowercaseTagger:
    """Return the tagger, which every dialogue can share; making one takes spaCy a while."""
    return LowercaseTagger()


def _chatbot(memory: Path) -> ChatBot:
    quiet = logging.getLogger("dnai.chatbot.chatterbot")
    quiet.setLevel(logging.WARNING)  # ChatterBot logs every message that is typed
    return ChatBot(
        "DN.ai",
        storage_adapter=f"{LessonStorage.__module__}.{LessonStorage.__name__}",
        database_uri=URL.create("sqlite", database=str(memory)).render_as_string(),
        logic_adapters=list(LOGIC_ADAPTERS),
        tagger=_tagger(),
        read_only=True,
        logger=quiet,
    )


def _mended(said: Utterance) -> Utterance | None:
    mended = corrected(said.folded)
    if mended == said.folded:
        return None
    return replace(utterance(f"{mended}?" if said.question else mended), quoted=said.quoted)


def _lesson_phrase(state: State) -> str:
    """Return the phrase that a correction of the last answer gives another meaning, or nothing."""
    if state.lesson is not None:
        return state.lesson.phrase
    if state.exact or not state.heard:
        return ""
    words = state.heard.strip(" .,!?").split()
    while words and words[0].casefold() in {"some", "a", "an", "the", "me", "any"}:
        words.pop(0)
    phrase = " ".join(words)
    return phrase if len(phrase) <= MAX_PHRASE_CHARS else ""


def _next_state(state: State, reading: Reading) -> State:
    if reading.intent is Intent.SMALL_TALK and not reading.heard and not reading.cancels:
        return replace(state, intent=reading.intent, number=state.number + 1, pending=_next_pending(state, reading))
    following = replace(
        state,
        intent=reading.intent,
        number=state.number + 1,
        pending=_next_pending(state, reading),
        heard="",
        exact=False,
        lesson=None,
    )
    if reading.intent in {Intent.PLAY, Intent.ASK_SOURCE}:
        kept = state if not reading.heard and reading.lesson is None and not reading.corrects else None
        following = replace(following, wish=reading.wish, halted=False)
        return (
            replace(following, heard=kept.heard, exact=kept.exact, lesson=kept.lesson)
            if kept
            else _heard(following, reading)
        )
    if reading.cancels:
        following = replace(following, wish=None)
    if reading.intent in CONTROLS:
        return replace(following, halted=reading.intent in {Intent.PAUSE, Intent.STOP})
    return _heard(following, reading) if reading.intent is not Intent.TEACH else following


def _heard(state: State, reading: Reading) -> State:
    """Return `state` with what `reading` heard, for a correction."""
    return replace(
        state,
        heard=reading.heard,
        exact=reading.exact,
        lesson=reading.lesson if reading.intent is not Intent.FORGET else None,
    )


def _next_pending(state: State, reading: Reading) -> Pending | None:
    match reading.intent:
        case Intent.ASK_SOURCE:
            return Pending(Question.SOURCE, reading.wish)
        case Intent.ASK_WHAT if reading.lesson is not None:
            return Pending(Question.LESSON, phrase=reading.lesson.phrase)
        case Intent.ASK_WHAT if reading.candidates:
            return Pending(Question.WHICH, reading.wish, candidates=reading.candidates)
        case Intent.ASK_WHAT | Intent.UNKNOWN_GENRE | Intent.UNKNOWN_TITLE:
            return Pending(Question.WHAT, Wish(source=reading.wish.source))
        case Intent.PLAY | Intent.STOP | Intent.TEACH:
            return None
    if reading.offers is not None:
        return Pending(Question.OFFER, reading.offers)
    pending = state.pending
    if pending is None or reading.cancels or pending.turns + 1 >= MAX_QUESTION_TURNS:
        return None
    return replace(pending, turns=pending.turns + 1)


def _reply(reading: Reading, words: str) -> Reply:
    wish = reading.lesson.wish if reading.intent is Intent.TEACH and reading.lesson else reading.wish
    return Reply(
        intent=reading.intent,
        reply=words,
        genre=wish.genre,
        title=wish.title,
        artist=wish.artist,
        source=wish.source,
        track=wish.track,
        candidates=reading.candidates,
    )

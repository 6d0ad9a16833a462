"""One turn of a conversation: what was said, and everything that it can be understood by."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dnai.chatbot.intents import Intent, Lesson, Reading, Wish
from dnai.chatbot.lessons import Lessons
from dnai.chatbot.naming import Known
from dnai.chatbot.small_talk import SmallTalk
from dnai.chatbot.wording import Utterance
from dnai.tracks import Track

MAX_QUESTION_TURNS = 3
"""For how many further messages the chatbot's own question may be answered."""


class Question(StrEnum):
    """What the chatbot has asked the listener."""

    SOURCE = "source"
    WHAT = "what"
    WHICH = "which"
    LESSON = "lesson"
    OFFER = "offer"


@dataclass(frozen=True, slots=True)
class Pending:
    """A question of the chatbot's that is not answered yet, `turns` messages ago."""

    question: Question
    wish: Wish = field(default_factory=Wish)
    candidates: tuple[Track, ...] = ()
    phrase: str = ""
    turns: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What one conversation remembers between two messages.

    `heard` is the phrase that was understood (or not) last, `exact` says that it was a plain name, which a
    correction never changes; `lesson` is the one that was used.
    """

    pending: Pending | None = None
    wish: Wish | None = None
    intent: Intent | None = None
    heard: str = ""
    exact: bool = False
    lesson: Lesson | None = None
    halted: bool = False
    number: int = 0


@dataclass(slots=True)
class Turn:
    """What the logic adapters are handed for one message, and where they leave their readings."""

    said: Utterance
    mended: Utterance | None
    clauses: tuple[Utterance, ...]
    state: State
    known: Known
    lessons: Lessons
    small_talk: SmallTalk
    readings: dict[str, Reading] = field(default_factory=dict)

    def asked(self, question: Question) -> Pending | None:
        """Return the open question of this kind, or None."""
        pending = self.state.pending
        return pending if pending is not None and pending.question is question else None

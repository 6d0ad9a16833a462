"""What the listener has taught: phrases and what they stand for, kept by ChatterBot's SQL storage.

A lesson is one statement of ChatterBot's: the phrase is what it answers (``in_response_to``), the
meaning is its text. ChatterBot's own search reads and compares every statement on every turn, so
the lessons are kept in memory here and read again when the file has changed, for instance because
another process taught something.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import RLock

import msgspec
from chatterbot.storage import SQLStorageAdapter
from rapidfuzz.distance import OSA
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError

from dnai.chatbot.intents import CONTROLS, Intent, Lesson, Source, Wish
from dnai.chatbot.phrases import read_word_list
from dnai.chatbot.wording import fold
from dnai.errors import ChatMemoryError
from dnai.text import clean_text
from dnai.tracks import Genre

logger = logging.getLogger(__name__)

MAX_PHRASE_CHARS = 80
MAX_LESSONS = 2000
LIKENESS_NEEDED = 0.8
"""How alike a message and a taught phrase must be, from 0 to 1, to mean the same."""

_CONVERSATION = "lessons"
_LIGHT_WEIGHT = 0.3
_OPPOSITE = re.compile(r"\b(?:not|no|never|hate|hates|without|stop|dislike)\b")
_ASKING = re.compile(r"^(?:what (?:is|are|was|does|do)|who|why|how|when|where|which|is|are|does|did|was)\b")


class _Meaning(msgspec.Struct, frozen=True):
    """What stands in the database."""

    intent: Intent = Intent.PLAY
    genre: Genre | None = None
    title: str | None = None
    artist: str | None = None
    source: Source | None = None


class LessonStorage(SQLStorageAdapter):  # type: ignore[misc]  # ChatterBot ships no types
    """ChatterBot's SQL storage, which can also remove statements by their number."""

    def remove_numbers(self, numbers: Iterable[int]) -> None:
        """Remove the statements with these ids, and nothing else."""
        statement = self.get_model("statement")
        with self.engine.begin() as connection:
            connection.execute(delete(statement).where(statement.id.in_(list(numbers))))


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turn the database's errors into `ChatMemoryError`, naming the file."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", error))
        raise ChatMemoryError(
            f"what the chatbot has learned, {path}, cannot be read or written: {reason}; "
            "check the disk's free space and the file's rights, or move the file away to begin anew"
        ) from error


@dataclass(frozen=True, slots=True)
class Recalled:
    """A lesson that fits a message, and how well, from 0 to 1."""

    lesson: Lesson
    likeness: float


@dataclass(frozen=True, slots=True)
class _KnownLesson:
    """A lesson with its phrase ready to be compared."""

    lesson: Lesson
    folded: str
    words: frozenset[str]


def _known_lesson(lesson: Lesson) -> _KnownLesson:
    folded = fold(lesson.phrase)
    return _KnownLesson(lesson, folded, _weighty(folded))


class Lessons:
    """The lessons in one storage; safe to use from several threads."""

    def __init__(self, storage: LessonStorage, path: Path) -> None:
        self._storage = storage
        self._path = path
        self._lock = RLock()
        self._stamp: tuple[int, ...] = ()
        self._known: tuple[_KnownLesson, ...] = ()

    def all(self) -> tuple[Lesson, ...]:
        """Return every lesson, the oldest first."""
        return tuple(known.lesson for known in self._current())

    def teach(self, lesson: Lesson) -> Lesson:
        """Keep `lesson` and return it with its number.

        Raises
        ------
        ChatMemoryError
            When it cannot be written, or `MAX_LESSONS` are kept already.
        """
        if len(self._current()) >= MAX_LESSONS:
            raise ChatMemoryError(f"{MAX_LESSONS} lessons are kept already; say “forget everything”, or forget some")
        phrase = clean_text(lesson.phrase, max_chars=MAX_PHRASE_CHARS)
        with self._lock, translated_errors(self._path):
            stored = self._storage.create(
                text=_encode(lesson),
                in_response_to=phrase,
                search_text=lesson.intent.value,
                search_in_response_to=fold(phrase),
                conversation=_CONVERSATION,
            )
            self._stamp = ()
        return replace(lesson, phrase=phrase, lesson_id=stored.id)

    def forget(self, lessons: Iterable[Lesson]) -> None:
        """Remove `lessons`; those that are gone already are no error.

        Raises
        ------
        ChatMemoryError
            When the file cannot be written.
        """
        numbers = [lesson.lesson_id for lesson in lessons if lesson.lesson_id is not None]
        with self._lock, translated_errors(self._path):
            self._storage.remove_numbers(numbers)
            self._stamp = ()

    def latest(self) -> Lesson | None:
        """Return what was taught last, None where nothing is left."""
        known = self.all()
        return known[-1] if known else None

    def named(self, phrase: str) -> tuple[Lesson, ...]:
        """Return the lessons whose phrase is like `phrase`, whatever they mean."""
        wanted = _weighty(fold(phrase))
        return tuple(known.lesson for known in self._current() if likeness(known.words, wanted) >= LIKENESS_NEEDED)

    def recall(self, folded: str) -> Recalled | None:
        """Return the lesson that folded words of a message mean, or None; of equals, the newest.

        A message that turns the phrase round ("not a rainy day") or asks about it does not mean it.
        """
        best: Recalled | None = None
        words = _weighty(folded)
        turned = bool(_OPPOSITE.search(folded) or _ASKING.match(folded))
        for known in self._current():
            exact = folded == known.folded
            score = 1.0 if exact else 0.0 if turned else min(0.99, likeness(known.words, words))
            if score >= LIKENESS_NEEDED and (best is None or score >= best.likeness):
                best = Recalled(known.lesson, score)
        return best

    def _current(self) -> tuple[_KnownLesson, ...]:
        with self._lock:
            stamp = _file_stamp(self._path)
            if stamp != self._stamp:
                with translated_errors(self._path):
                    lessons = [lesson for lesson in map(_decode, self._stored()) if lesson]
                self._known = tuple(_known_lesson(lesson) for lesson in lessons)
                self._stamp = stamp
            return self._known

    def _stored(self) -> Sequence[object]:
        return list(self._storage.filter(conversation=_CONVERSATION, order_by=["id"]))


def likeness(phrase: frozenset[str], words: frozenset[str]) -> float:
    """Return how alike two sets of words are, from 0 to 1: the harmonic mean of how much of each is in the other.

    Words that differ by a slip count as the same; "day" and the like weigh less than "rainy".
    """
    if not phrase or not words:
        return 0.0
    shared_phrase = sum(_weight(word) for word in phrase if _has(words, word))
    shared_words = sum(_weight(word) for word in words if _has(phrase, word))
    recall = shared_phrase / sum(map(_weight, phrase))
    precision = shared_words / sum(map(_weight, words))
    return 2 * recall * precision / (recall + precision) if recall and precision else 0.0


def has_weight(phrase: str) -> bool:
    """Return whether `phrase` holds a word that says something."""
    return any(word not in _passing_words() for word in fold(phrase).split())


def _has(words: frozenset[str], word: str) -> bool:
    if word in words:
        return True
    return len(word) > 4 and any(
        word[0] == other[0] and OSA.distance(word, other, score_cutoff=1) <= 1 for other in words
    )


@cache
def _passing_words() -> frozenset[str]:
    return read_word_list("passing_words", "passing")


@cache
def _light_words() -> frozenset[str]:
    """Return the stems of the words that count for less."""
    return read_word_list("passing_words", "light")


def _weight(word: str) -> float:
    return _LIGHT_WEIGHT if word in _light_words() else 1.0


def _weighty(folded: str) -> frozenset[str]:
    """Return the stems of the words in `folded` that say something, or of all where none does."""
    words = folded.split()
    return frozenset(_stem(word) for word in words if word not in _passing_words()) or frozenset(words)


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "ily", "ed", "es", "s", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _encode(lesson: Lesson) -> str:
    wish = lesson.wish
    meaning = _Meaning(lesson.intent, wish.genre, wish.title, wish.artist, wish.source)
    return msgspec.json.encode(meaning).decode()


def _decode(statement: object) -> Lesson | None:
    """Return the lesson in a stored statement; None, with a line in the log, where it holds none."""
    number = getattr(statement, "id", None)
    try:
        meaning = msgspec.json.decode(getattr(statement, "text", ""), type=_Meaning)
    except msgspec.MsgspecError as error:
        logger.warning("Lesson %s cannot be read and is left out: %s", number, error)
        return None
    if meaning.intent is not Intent.PLAY and meaning.intent not in CONTROLS:
        logger.warning("Lesson %s means %s, which cannot be taught; it is left out", number, meaning.intent)
        return None
    wish = Wish(genre=meaning.genre, title=meaning.title, artist=meaning.artist, source=meaning.source)
    phrase = clean_text(str(getattr(statement, "in_response_to", "") or ""), max_chars=MAX_PHRASE_CHARS)
    return Lesson(phrase=phrase, intent=meaning.intent, wish=wish, lesson_id=number)


def _file_stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when any process writes to the database, its write-ahead log included."""
    stamp: list[int] = [1]
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            status = file.stat()
        except OSError:
            stamp.append(0)
        else:
            stamp += [status.st_mtime_ns, status.st_size]
    return tuple(stamp)

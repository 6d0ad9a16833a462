"""Small talk from a corpus of our own: the nearest known saying, by one of ChatterBot's comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chatterbot.comparisons import Comparator
from rapidfuzz import fuzz, process

from dnai.chatbot.phrases import read_corpus
from dnai.chatbot.wording import fold
from dnai.errors import ConfigurationError
from dnai.tracks import Genre

LIKENESS_NEEDED = 0.86
"""How alike a message and a known saying must be, from 0 to 1."""


class WordComparison(Comparator):  # type: ignore[misc]  # ChatterBot ships no types
    """The likeness of two folded texts, letter by letter, as ChatterBot's search understands it."""

    def compare_text(self, text_a: str, text_b: str) -> float:
        """Return the normalised InDel similarity of two texts, from 0 to 1."""
        return float(fuzz.ratio(text_a, text_b)) / 100


@dataclass(frozen=True, slots=True)
class Saying:
    """The answers to one kind of message, and how well a message fits it, from 0 to 1."""

    answers: tuple[str, ...]
    likeness: float


class SmallTalk:
    """The corpus in ``corpus/small_talk.yaml``, read once."""

    def __init__(self, *, language: object = None) -> None:
        content = read_corpus("small_talk")
        if not isinstance(content, dict):
            raise ConfigurationError("corpus/small_talk.yaml is not a mapping; install DN.ai again")
        self._compare = WordComparison(language)
        self._answers: dict[str, tuple[str, ...]] = {}
        for entry in content["sayings"]:
            for saying in entry["say"]:
                self._answers[fold(str(saying))] = tuple(str(answer) for answer in entry["answer"])
        self._sayings: Sequence[str] = list(self._answers)
        for name, line in content["genres"].items():  # these differ by the genre alone, so that near is not enough
            for question in content["genre_questions"]:
                asked = str(question).format(genre=Genre(name).spoken)
                self._answers[fold(asked)] = (f"{line} Say “play some {Genre(name).spoken}” to hear it.",)
        self.fallbacks = tuple(str(answer) for answer in content["fallbacks"])

    def nearest(self, folded: str) -> Saying | None:
        """Return the answers to the known saying that is nearest to `folded`, or None."""
        if not folded:
            return None
        if folded in self._answers:
            return Saying(self._answers[folded], 1.0)
        found = process.extractOne(
            folded, self._sayings, scorer=fuzz.ratio, processor=None, score_cutoff=LIKENESS_NEEDED * 100
        )
        if found is None:
            return None
        return Saying(self._answers[found[0]], self._compare.compare_text(folded, found[0]))

    def fallback(self, turn: int) -> str:
        """Return what is said to a message that nothing fits."""
        return self.fallbacks[turn % len(self.fallbacks)]

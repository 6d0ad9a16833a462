"""What the logic adapters share: how one reads a turn, and how ChatterBot is told.

An adapter leaves its :class:`~dnai.chatbot.intents.Reading` in the turn and answers ChatterBot with its
own name and confidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from chatterbot.conversation import Statement
from chatterbot.logic import LogicAdapter

from dnai.chatbot.intents import Intent, Reading, Wish
from dnai.chatbot.turns import Turn
from dnai.chatbot.wording import Utterance

MENDED = 0.96
"""What a reading is worth, relative to others, where slips in command words had to be mended first."""


class TurnAdapter(LogicAdapter):  # type: ignore[misc]  # ChatterBot ships no types
    """A logic adapter that reads a turn. `clause_worth` is what a reading of one clause of several counts."""

    clause_worth = 0.9

    def process(self, statement: Statement, additional_response_selection_parameters: Mapping[str, Turn]) -> Statement:
        """Return this adapter's name, with the confidence of its reading of the turn (0 where it has none)."""
        turn = additional_response_selection_parameters["turn"]
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


def as_request(wish: Wish, confidence: float) -> Reading:
    """Return the reading of `wish`: to play it, or to ask for its source where that is missing."""
    return Reading(Intent.PLAY if wish.complete else Intent.ASK_SOURCE, confidence, wish, exact=True)

"""The suite of messages: what people say, and what the chatbot must make of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dnai.chatbot.dialogue import Dialogue

MESSAGES = Path(__file__).with_name("messages.yaml")
TUNED_FLOOR = 1.0
HELD_OUT_FLOOR = 0.85
"""What the rules must reach on the messages that nobody tuned them to."""


@dataclass(frozen=True)
class Case:
    """A conversation, and what is expected of the answer to its last message."""

    say: tuple[str, ...]
    expected: Mapping[str, object]
    held_out: bool


def read_cases() -> list[Case]:
    entries = yaml.safe_load(MESSAGES.read_text(encoding="utf-8"))
    return [Case(tuple(map(str, e["say"])), e["is"], bool(e.get("held_out", False))) for e in entries]


def answer_of(case: Case, dialogue: Dialogue) -> dict[str, object]:
    conversation = dialogue.conversation()
    replies = [conversation.answer(message) for message in case.say]
    dialogue.lessons.forget(dialogue.lessons.all())
    return replies[-1].as_json()


def misses(cases: list[Case], dialogue: Dialogue) -> list[str]:
    wrong = []
    for case in cases:
        answer = answer_of(case, dialogue)
        if any(answer[key] != value for key, value in case.expected.items()):
            got = {key: answer[key] for key in case.expected}
            wrong.append(f"{' / '.join(case.say)!r}: expected {dict(case.expected)}, got {got}")
    return wrong


@pytest.mark.parametrize(
    ("held_out", "floor"), [(False, TUNED_FLOOR), (True, HELD_OUT_FLOOR)], ids=["tuned", "held-out"]
)
def test_messages_are_understood(
    open_dialogue: Callable[[], Dialogue], capsys: pytest.CaptureFixture[str], held_out: bool, floor: float
) -> None:
    """The share of messages that are understood as expected is at least the floor; the misses are named."""
    cases = [case for case in read_cases() if case.held_out is held_out]
    wrong = misses(cases, open_dialogue())
    score = 1 - len(wrong) / len(cases)
    name = "held-out" if held_out else "tuned"
    with capsys.disabled():
        sys.stdout.write(f"\nchatbot, {name} messages: {len(cases) - len(wrong)} of {len(cases)} ({score:.1%})\n")
        sys.stdout.write("".join(f"  {miss}\n" for miss in wrong))
    assert score >= floor, f"{len(wrong)} messages were misunderstood: {wrong}"


def test_the_suite_is_large_enough() -> None:
    """There are at least 100 messages, a third of them held out."""
    cases = read_cases()
    assert len(cases) >= 100
    assert sum(case.held_out for case in cases) * 3 >= len(cases)

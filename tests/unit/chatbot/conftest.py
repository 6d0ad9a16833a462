"""Conversations over a memory of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dnai.chatbot.dialogue import Conversation, Dialogue
from tests.unit.chatbot.collection import COLLECTION


@pytest.fixture
def open_dialogue(tmp_path: Path) -> Iterator[Callable[[], Dialogue]]:
    """A way to open the chatbot, again and again, on the same memory."""
    opened: list[Dialogue] = []

    def open_one() -> Dialogue:
        opened.append(Dialogue(memory=tmp_path / "chat.sqlite3", collection=lambda: COLLECTION))
        return opened[-1]

    yield open_one
    for dialogue in opened:
        dialogue.close()


@pytest.fixture
def conversation(open_dialogue: Callable[[], Dialogue]) -> Conversation:
    """A conversation with a chatbot that has learned nothing yet."""
    return open_dialogue().conversation()

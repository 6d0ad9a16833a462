"""``dnai understand`` as a program: one conversation on stdin, one JSON object a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

KEYS = {"intent", "genre", "title", "artist", "source", "reply"}


def understand(data_dir: Path, text: bytes) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "dnai.cli", "understand", "--data-dir", str(data_dir)],
        input=text,
        capture_output=True,
        timeout=120,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]


def test_a_conversation_is_understood_and_remembered(tmp_path: Path) -> None:
    """Each line has its object, questions are followed up, and what is taught is known to the next process."""
    first = understand(tmp_path, b"play some jazz\nfrom peers\nwhen I say rainy day, play blues\n")
    assert [answer["intent"] for answer in first] == ["ask_source", "play", "teach"]
    assert all(answer.keys() >= KEYS for answer in first)
    assert (first[1]["genre"], first[1]["source"]) == ("jazz", "peers")
    [second] = understand(tmp_path, b"it's a rainy day again\n")
    assert second["genre"] == "blues"


def test_any_bytes_are_answered(tmp_path: Path) -> None:
    """Empty lines, broken UTF-8, control characters and very long lines each get an object."""
    lines = [b"", b"\xff\xfe\x00", b"\x1b[2J", b"x" * 200_000, "🎷".encode(), b"<script>alert(1)</script>"]
    answers = understand(tmp_path, b"\n".join(lines) + b"\n")
    assert len(answers) == len(lines)
    assert all(answer["reply"] for answer in answers)

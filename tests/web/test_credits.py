"""The credits file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnai.errors import ConfigurationError
from web.credits import MAX_CREDITS, Credit, read_credits


def test_credits_are_read_and_cleaned(tmp_path: Path) -> None:
    """Titles, authors and licences come through, control characters do not; the source may be missing."""
    path = tmp_path / "credits.json"
    path.write_text('[{"title": "Songs\\u001b[1m", "authors": "A and\\nB", "licence": "CC BY-SA 3.0"}]')
    assert read_credits(path) == (Credit(title="Songs[1m", authors="A and B", licence="CC BY-SA 3.0"),)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[1]", '[{"title": "no more"}]', '[{"title": 1, "authors": "a", "licence": "l"}]', "[" * 100_000, "\xff",
     "[" + ",".join(['{"title": "t", "authors": "a", "licence": "l"}'] * (MAX_CREDITS + 1)) + "]"],
)  # fmt: skip
def test_what_is_no_list_of_credits_is_refused_by_name(tmp_path: Path, content: str) -> None:
    """The message names the file."""
    path = tmp_path / "credits.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ConfigurationError, match=r"credits\.json"):
        read_credits(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """A file that is not there is a mistake in the call."""
    with pytest.raises(ConfigurationError, match=r"none\.json"):
        read_credits(tmp_path / "none.json")

"""Text of others becomes harmless, and stays readable."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.text import MAX_LABEL_CHARS, clean_text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("So What", "So What"),
        ("  So \t What\r\n", "So What"),
        ("Ænima – Ōkami 夜 ☕", "Ænima – Ōkami 夜 ☕"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\x1b[2J\x1b]0;title\x07gone", "[2J]0;titlegone"),
        ("a\u202eb\u2066c\u200fd", "abcd"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("a\u200b\ufeffb", "ab"),
        ("caf\udce9", "caf"),
        ("\x00", ""),
        ("", ""),
        ("a \u200b b", "a b"),
    ],
)
def test_what_could_rewrite_a_line_is_taken_out(text: str, cleaned: str) -> None:
    """Control, format and direction characters go; everything visible stays."""
    assert clean_text(text) == cleaned


@given(st.text(st.characters(exclude_categories=()), max_size=600), st.integers(1, 300))
def test_cleaned_text_is_one_bounded_line_without_control_characters(text: str, max_chars: int) -> None:
    """Whatever goes in, surrogates included."""
    cleaned = clean_text(text, max_chars=max_chars)
    assert len(cleaned) <= max_chars
    assert not {unicodedata.category(c) for c in cleaned} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert cleaned == cleaned.strip()
    assert "  " not in cleaned


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    """So that no place need know whether another has done it."""
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned


def test_long_text_ends_in_an_ellipsis_and_costs_no_time() -> None:
    """A hundred megabytes are looked at no further than needed."""
    cleaned = clean_text("é" * 100_000_000)
    assert cleaned == "é" * (MAX_LABEL_CHARS - 1) + "…"


def test_text_of_just_the_length_is_not_cut() -> None:
    """Two hundred characters are whole, one more is not."""
    assert clean_text("x" * MAX_LABEL_CHARS) == "x" * MAX_LABEL_CHARS
    assert clean_text("x" * (MAX_LABEL_CHARS + 1)).endswith("…")

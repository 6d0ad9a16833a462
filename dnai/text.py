"""Text from files and peers, made harmless before it is shown.

The page and the terminal show titles and names that other people wrote. Control characters can
rewrite a terminal and direction marks can reverse a line, so both are taken out here, once.
"""

from __future__ import annotations

import unicodedata

MAX_LABEL_CHARS = 200
"""The longest title, artist, album or name that is kept, in characters."""

_REMOVED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean_text(text: str, *, max_chars: int = MAX_LABEL_CHARS) -> str:
    """Return `text` on one line, without control, format and direction characters.

    Runs of white space become one space; what is longer than `max_chars` ends in an ellipsis.
    """
    if len(text) <= max_chars and text.isascii() and text.isprintable() and "  " not in text and text == text.strip():
        return text
    # Bounded before the work, so that a peer cannot make it long.
    spaced = " ".join(text[: max_chars * 8].split())
    visible = "".join(c for c in spaced if unicodedata.category(c) not in _REMOVED_CATEGORIES)
    visible = " ".join(visible.split())
    return visible if len(visible) <= max_chars else visible[: max_chars - 1].rstrip() + "…"

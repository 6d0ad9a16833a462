"""Who made the music, and under which licence: shown on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from dnai.errors import ConfigurationError
from dnai.text import clean_text

MAX_CREDITS = 200

_Text = Annotated[str, Meta(max_length=2000)]


class Credit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collection of music: what it is called, who made it, under which licence, and where it is from."""

    title: _Text
    authors: _Text
    licence: _Text
    source: _Text = ""

    def cleaned(self) -> Credit:
        """Return the same without control characters, on one line each."""
        return Credit(
            title=clean_text(self.title),
            authors=clean_text(self.authors, max_chars=500),
            licence=clean_text(self.licence),
            source=clean_text(self.source),
        )


def read_credits(path: Path) -> tuple[Credit, ...]:
    """Return the credits in the JSON file `path`: a list of ``{"title", "authors", "licence", "source"}``.

    Raises
    ------
    ConfigurationError
        When the file cannot be read, or is not such a list.
    """
    try:
        credits = msgspec.json.decode(path.read_bytes(), type=Annotated[list[Credit], Meta(max_length=MAX_CREDITS)])
    except (OSError, msgspec.MsgspecError, UnicodeError) as error:
        raise ConfigurationError(f"the credits in {path} cannot be used: {error}") from error
    return tuple(credit.cleaned() for credit in credits)

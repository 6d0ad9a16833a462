"""What a sound file says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mutagen
from mutagen.id3 import ID3

from dnai.text import clean_text
from dnai.tracks import Genre, parse_genre

_MAX_GENRE_TAGS = 16


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a file, cleaned and bounded; empty where there are none.

    `genre` is the first genre tag that names one of the ten, with everyday spellings.
    """

    title: str
    artist: str
    album: str
    year: int | None
    genre: Genre | None


def read_tags(path: Path) -> Tags:
    """Return the tags of a sound file; the title is the file's name where there is none.

    A file whose tags cannot be read is told by its name alone: whether it is sound is for the decoder to say.
    """
    fields = _read_fields(path)
    return Tags(
        title=clean_text(_first(fields, "title")) or clean_text(path.stem) or "untitled",
        artist=clean_text(_first(fields, "artist") or _first(fields, "albumartist")),
        album=clean_text(_first(fields, "album")),
        year=_parse_year(_first(fields, "date")),
        genre=_parse_genres(fields.get("genre", [])),
    )


def _read_fields(path: Path) -> Mapping[str, list[str]]:
    """The tags under the names that mutagen gives all formats, or nothing."""
    try:
        file = mutagen.File(path, easy=True)
    except (mutagen.MutagenError, OSError, ValueError, KeyError, IndexError):
        return {}
    if file is None or file.tags is None:
        return {}
    if isinstance(file.tags, ID3):
        return _id3_fields(file.tags)
    return {
        key.lower(): [str(value) for value in values] for key, values in file.tags.items() if isinstance(values, list)
    }


def _id3_fields(tags: ID3) -> Mapping[str, list[str]]:
    """The same names for ID3 in wav files, for which mutagen has no easy form."""
    frames = {
        "title": "TIT2",
        "artist": "TPE1",
        "albumartist": "TPE2",
        "album": "TALB",
        "date": "TDRC",
        "genre": "TCON",
    }
    found = {name: tags.getall(frame) for name, frame in frames.items()}  # type: ignore[no-untyped-call]  # half typed
    return {
        name: [str(text) for text in (values[0].genres if name == "genre" else values[0].text)]
        for name, values in found.items()
        if values
    }


def _first(fields: Mapping[str, list[str]], name: str) -> str:
    values = fields.get(name) or [""]
    return values[0]


def _parse_year(text: str) -> int | None:
    """The year of ``2004``, ``2004-05-01`` or ``20040501``."""
    match = re.search(r"(?<!\d)(1[89]\d\d|20\d\d)(?=\D|$|\d{4}(?!\d))", text[:40])
    return int(match[1]) if match else None


def _parse_genres(values: list[str]) -> Genre | None:
    """Tags often hold several names: ``Jazz; Bebop`` or ``Rock/Pop``."""
    for value in values[:_MAX_GENRE_TAGS]:
        for name in (value, *re.split(r"[;,/|\\\0]", value[:200])):
            genre = parse_genre(name)
            if genre is not None:
                return genre
    return None

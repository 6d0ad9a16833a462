"""The nouns of DN.ai: genres, kinds of sound file, tracks and playlists.

Everything here is an immutable value. Nothing here reads a file or opens a connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

MAX_PLAYLIST_TRACKS = 25
"""How many tracks a playlist has at the most."""

MAX_CONVERTED_S = 90 * 60.0
"""What is longer is not converted for browsers, and so not offered where they do not play it as it is."""

_MOST_CONVERTED_BYTES_PER_S = 48_000 * 2 * 2


class Genre(StrEnum):
    """The ten genres of the GTZAN collection, which the classifier tells apart."""

    BLUES = "blues"
    CLASSICAL = "classical"
    COUNTRY = "country"
    DISCO = "disco"
    HIPHOP = "hiphop"
    JAZZ = "jazz"
    METAL = "metal"
    POP = "pop"
    REGGAE = "reggae"
    ROCK = "rock"

    @property
    def spoken(self) -> str:
        """The name as people write it in a sentence."""
        return "hip hop" if self is Genre.HIPHOP else self.value


GENRE_SPELLINGS: Mapping[str, Genre] = MappingProxyType(
    {
        **{genre.value: genre for genre in Genre},
        "blues rock": Genre.BLUES,
        "delta blues": Genre.BLUES,
        "chicago blues": Genre.BLUES,
        "electric blues": Genre.BLUES,
        "the blues": Genre.BLUES,
        "classic music": Genre.CLASSICAL,
        "classical music": Genre.CLASSICAL,
        "baroque": Genre.CLASSICAL,
        "orchestral": Genre.CLASSICAL,
        "symphony": Genre.CLASSICAL,
        "chamber music": Genre.CLASSICAL,
        "opera": Genre.CLASSICAL,
        "country and western": Genre.COUNTRY,
        "country music": Genre.COUNTRY,
        "bluegrass": Genre.COUNTRY,
        "americana": Genre.COUNTRY,
        "disco music": Genre.DISCO,
        "hip hop": Genre.HIPHOP,
        "hip hop rap": Genre.HIPHOP,
        "hip hop and rap": Genre.HIPHOP,
        "rap and hip hop": Genre.HIPHOP,
        "rap": Genre.HIPHOP,
        "rap hip hop": Genre.HIPHOP,
        "trap": Genre.HIPHOP,
        "boom bap": Genre.HIPHOP,
        "bebop": Genre.JAZZ,
        "bossa nova": Genre.JAZZ,
        "big band": Genre.JAZZ,
        "swing": Genre.JAZZ,
        "cool jazz": Genre.JAZZ,
        "smooth jazz": Genre.JAZZ,
        "acid jazz": Genre.JAZZ,
        "heavy metal": Genre.METAL,
        "death metal": Genre.METAL,
        "black metal": Genre.METAL,
        "thrash metal": Genre.METAL,
        "thrash": Genre.METAL,
        "power metal": Genre.METAL,
        "doom metal": Genre.METAL,
        "nu metal": Genre.METAL,
        "metalcore": Genre.METAL,
        "pop music": Genre.POP,
        "pop rock": Genre.POP,
        "synth pop": Genre.POP,
        "synthpop": Genre.POP,
        "electropop": Genre.POP,
        "k pop": Genre.POP,
        "kpop": Genre.POP,
        "dance pop": Genre.POP,
        "indie pop": Genre.POP,
        "roots reggae": Genre.REGGAE,
        "reggae dub": Genre.REGGAE,
        "dub": Genre.REGGAE,
        "ska": Genre.REGGAE,
        "dancehall": Genre.REGGAE,
        "rock music": Genre.ROCK,
        "rock and roll": Genre.ROCK,
        "rock n roll": Genre.ROCK,
        "classic rock": Genre.ROCK,
        "hard rock": Genre.ROCK,
        "indie rock": Genre.ROCK,
        "alternative rock": Genre.ROCK,
        "punk rock": Genre.ROCK,
        "progressive rock": Genre.ROCK,
        "prog rock": Genre.ROCK,
        "soft rock": Genre.ROCK,
        "grunge": Genre.ROCK,
    }
)
"""Everyday spellings, in the form that :func:`fold_genre_name` gives, and what they mean."""


def fold_genre_name(text: str) -> str:
    """Return `text` in lower case, with ``&`` and ``'n'`` spelled out and other punctuation as one space."""
    lowered = text.casefold().replace("&", " and ")
    lowered = re.sub(r"\brock\s*'?\s*n\s*'?\s*roll\b", "rock n roll", lowered)
    return re.sub(r"[\W_]+", " ", lowered).strip()


def parse_genre(text: str) -> Genre | None:
    """Return the genre that `text` is a name or an everyday spelling of, or None.

    The whole text must be the name: ``"Hip-Hop"`` is hip hop, ``"rock bottom"`` is nothing.
    """
    return GENRE_SPELLINGS.get(fold_genre_name(text))


class GenreOrigin(StrEnum):
    """Where a track's genre comes from: its tag, a model that is sure, or a model's best guess."""

    TAG = "tag"
    MODEL = "model"
    UNSURE = "unsure"


class AudioType(StrEnum):
    """The kinds of sound file that are catalogued and streamed."""

    MP3 = "mp3"
    FLAC = "flac"
    OGG = "ogg"
    OPUS = "opus"
    M4A = "m4a"
    AAC = "aac"
    ALAC = "alac"
    WAV = "wav"
    AIFF = "aiff"
    WMA = "wma"

    @property
    def mime(self) -> str:
        """The media type that a browser is given for this kind of file."""
        return _MIME_TYPES[self]

    @property
    def is_played_by_browsers(self) -> bool:
        """Whether browsers play it as it is."""
        return self not in _NOT_IN_BROWSERS


_MIME_TYPES: Mapping[AudioType, str] = MappingProxyType(
    {
        AudioType.MP3: "audio/mpeg",
        AudioType.FLAC: "audio/flac",
        AudioType.OGG: "audio/ogg",
        AudioType.OPUS: "audio/ogg",
        AudioType.M4A: "audio/mp4",
        AudioType.AAC: "audio/aac",
        AudioType.ALAC: "audio/mp4",
        AudioType.WAV: "audio/wav",
        AudioType.AIFF: "audio/aiff",
        AudioType.WMA: "audio/x-ms-wma",
    }
)
_NOT_IN_BROWSERS = frozenset({AudioType.ALAC, AudioType.AIFF, AudioType.WMA})

CONVERTED_TYPE = AudioType.FLAC
"""What is made of the files that browsers do not play as they are."""


def most_converted_bytes(duration_s: float) -> int:
    """Return the size, in bytes, that the conversion of a sound of `duration_s` never exceeds.

    That is 16 bits for two channels at 48 kHz, as if FLAC saved nothing, and some more: the length that is
    known of a track may be a little off.
    """
    return round(_MOST_CONVERTED_BYTES_PER_S * (duration_s * 1.01 + 10.0))


AUDIO_SUFFIXES: Mapping[str, AudioType] = MappingProxyType(
    {
        ".mp3": AudioType.MP3,
        ".flac": AudioType.FLAC,
        ".ogg": AudioType.OGG,
        ".oga": AudioType.OGG,
        ".opus": AudioType.OPUS,
        ".m4a": AudioType.M4A,
        ".mp4": AudioType.M4A,
        ".aac": AudioType.AAC,
        ".wav": AudioType.WAV,
        ".aif": AudioType.AIFF,
        ".aiff": AudioType.AIFF,
        ".aifc": AudioType.AIFF,
        ".wma": AudioType.WMA,
    }
)
"""File name endings (lower case) that the scanner looks at; an m4a file may hold ALAC, too."""


@dataclass(frozen=True, slots=True)
class Track:
    """One sound file of a catalogue, with what is known of it.

    `confidence` is the probability that the model called `told_by` gives its own answer, `model_genre`,
    from 0 to 1, whether or not the file's tag had the last word. Where no model has heard the file yet,
    `model_genre` is None, `confidence` 0 and `told_by` empty. `path` never leaves the owner's machine.
    """

    path: Path
    title: str
    artist: str
    album: str
    year: int | None
    genre: Genre
    genre_origin: GenreOrigin
    model_genre: Genre | None
    confidence: float
    duration_s: float
    audio_type: AudioType
    size_bytes: int
    mtime_ns: int
    told_by: str = ""
    album_artist: str = ""
    track_number: int | None = None


@dataclass(frozen=True, slots=True)
class PlaylistEntry:
    """One track as its listener sees it: no path, and an id that is good for one session only.

    `audio_type` is the kind of file that is sent. `size_bytes` is 0 where its owner must convert it first,
    and so does not know yet.
    """

    track_id: str
    title: str
    artist: str
    album: str
    genre: Genre
    distance: float
    duration_s: float
    audio_type: AudioType
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Playlist:
    """Tracks of one provider, the nearest first; at most `MAX_PLAYLIST_TRACKS`."""

    entries: tuple[PlaylistEntry, ...]

    def entry(self, track_id: str) -> PlaylistEntry | None:
        """Return the entry with this id, or None."""
        return next((entry for entry in self.entries if entry.track_id == track_id), None)

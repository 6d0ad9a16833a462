"""What a sound file says of itself."""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import mutagen
from mutagen.asf import ASFTags
from mutagen.id3 import ID3, _frames

from dnai.audio.readers import ReaderError, open_briefly
from dnai.text import clean_text
from dnai.track_files import open_at_once
from dnai.tracks import Genre, parse_genre

_MAX_GENRE_TAGS = 16
_MAX_TRACK_NUMBER = 9999
_ID3_FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "albumartist": "TPE2",
    "album": "TALB",
    "tracknumber": "TRCK",
    "date": "TDRC",
    "genre": "TCON",
}
_ASF_NAMES = {
    "title": "Title",
    "artist": "Author",
    "albumartist": "WM/AlbumArtist",
    "album": "WM/AlbumTitle",
    "tracknumber": "WM/TrackNumber",
    "date": "WM/Year",
    "genre": "WM/Genre",
}
_FFMPEG_NAMES = {"album_artist": "albumartist", "track": "tracknumber", "author": "artist"}
_MOST_TAG_BYTES = 32 << 20
"""More is not read at once: pictures have up to 16 MB."""
_MOST_BYTES = 96 << 20
"""More is not read in all; a file may hold any number of pictures."""

MUTAGEN_ERRORS = (
    mutagen.MutagenError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    RecursionError,
    struct.error,
)
"""What mutagen raises on damaged tags: its own errors, and those of what was not thought of."""

_CHUNKS = frozenset({".wav", ".aif", ".aiff", ".aifc"})
"""Files whose tags may stand in chunks of their own kind, which mutagen does not read."""

_logger = logging.getLogger(__name__)


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
    album_artist: str = ""
    track_number: int | None = None


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
        album_artist=clean_text(_first(fields, "albumartist")),
        track_number=_parse_track_number(_first(fields, "tracknumber")),
    )


def _read_fields(path: Path) -> Mapping[str, list[str]]:
    """The tags under the names that mutagen gives all formats, or nothing."""
    try:
        with BoundedFile(path) as file:
            fields = _mutagen_fields(file, is_bare=path.suffix.lower() == ".aac")
    except MUTAGEN_ERRORS as error:
        _logger.debug("no tags in %s: %r", clean_text(str(path)), error)
        fields = {}
    return fields or (_chunk_fields(path) if path.suffix.lower() in _CHUNKS else {})


class BoundedFile(io.BufferedReader):
    """A file of which no more is read than there is, and than tags need, however much they say that they are.

    To read beyond the end, Python takes all the memory that was asked for.

    Raises
    ------
    OSError
        When it is no regular file, or cannot be opened; and when more is read of it than of tags.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, opener=lambda name, _flags: open_at_once(name)))
        status = os.fstat(self.fileno())
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "no regular file")
        self._size = status.st_size
        self._left = _MOST_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes."""
        most = min(max(0, self._size - self.tell()), _MOST_TAG_BYTES)
        data = super().read(most if size is None or size < 0 else min(size, most))
        self._left -= len(data)
        if self._left < 0:
            raise OSError(errno.EFBIG, "its tags are too large")
        return data


class _NothingCompressed:
    """Stands for zlib where mutagen unpacks compressed frames of ID3, which hardly anybody writes.

    A few bytes may unpack to gigabytes, which mutagen does not bound; so such a frame counts as empty.
    """

    error = zlib.error

    @staticmethod
    def decompress(_data: bytes) -> bytes:
        return b""


# There is no other place to say so.
_frames.zlib = _NothingCompressed  # type: ignore[assignment,attr-defined]  # in place of the module


def _mutagen_fields(file: BinaryIO, *, is_bare: bool) -> Mapping[str, list[str]]:
    """What mutagen finds; it takes what begins with ID3 for an mp3, and bare AAC has no other tags."""
    tags = load_id3(file) if is_bare else getattr(mutagen.File(file, easy=True), "tags", None)
    if not tags:
        return {}
    if isinstance(tags, ID3):
        return _id3_fields(tags)
    if isinstance(tags, ASFTags):
        found = {name: tags.get(key, []) for name, key in _ASF_NAMES.items()}  # type: ignore[no-untyped-call]  # half typed
        return {name: [str(value) for value in values] for name, values in found.items()}
    return {key.lower(): [str(value) for value in values] for key, values in tags.items() if isinstance(values, list)}


def load_id3(file: BinaryIO) -> ID3:
    """Return the ID3 tag at the beginning of a file; raises what `MUTAGEN_ERRORS` names."""
    return ID3(file)  # type: ignore[no-untyped-call]  # half typed


def _id3_fields(tags: ID3) -> Mapping[str, list[str]]:
    """The same names for ID3 in wav, aiff and aac files, for which mutagen has no easy form."""
    found = {name: tags.getall(frame) for name, frame in _ID3_FRAMES.items()}  # type: ignore[no-untyped-call]  # half typed
    return {
        name: [str(text) for text in (values[0].genres if name == "genre" else values[0].text)]
        for name, values in found.items()
        if values
    }


def _chunk_fields(path: Path) -> Mapping[str, list[str]]:
    """The same names for what FFmpeg finds, such as the INFO chunks of wav files."""
    try:
        with path.open("rb") as file, open_briefly(file) as container:
            found = {key.lower(): [_as_latin_1(value)] for key, value in container.metadata.items()}
    except (ReaderError, av.FFmpegError, ValueError, OSError):
        return {}
    return {_FFMPEG_NAMES.get(key, key): values for key, values in found.items()}


def _as_latin_1(text: str) -> str:
    """What old programs wrote, where it is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogateescape").decode("latin-1")
    return text


def _first(fields: Mapping[str, list[str]], name: str) -> str:
    values = fields.get(name) or [""]
    return values[0]


def _parse_year(text: str) -> int | None:
    """The year of ``2004``, ``2004-05-01`` or ``20040501``."""
    match = re.search(r"(?<!\d)(1[89]\d\d|20\d\d)(?=\D|$|\d{4}(?!\d))", text[:40])
    return int(match[1]) if match else None


def _parse_track_number(text: str) -> int | None:
    """The number of ``3``, ``03`` or ``3/12``."""
    match = re.match(r"\s*0*(\d{1,4})\s*(?:/|$)", text[:40])
    number = int(match[1]) if match else 0
    return number if 0 < number <= _MAX_TRACK_NUMBER else None


def _parse_genres(values: list[str]) -> Genre | None:
    """Tags often hold several names: ``Jazz; Bebop`` or ``Rock/Pop``."""
    for value in values[:_MAX_GENRE_TAGS]:
        for name in (value, *re.split(r"[;,/|\\\0]", value[:200])):
            genre = parse_genre(name)
            if genre is not None:
                return genre
    return None

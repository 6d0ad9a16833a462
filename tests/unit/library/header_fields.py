"""Where the numbers stand in the headers of sound files, so that tests can make them lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

_BIG: Literal["big"] = "big"
_LITTLE: Literal["little"] = "little"
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ATOMS_OF_ATOMS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"ilst", b"covr"})
_MOST_BYTES = 96
"""So much of a part of a header is taken for numbers."""


@dataclass(frozen=True, slots=True)
class Field:
    """A number in a file: where it begins, how many bytes it has, and in which order."""

    offset: int
    width: int
    order: Literal["big", "little"]

    def write(self, content: bytearray, number: int) -> None:
        """Put a number there, cut to its width."""
        content[self.offset : self.offset + self.width] = (number % 256**self.width).to_bytes(self.width, self.order)


def header_fields(content: bytes) -> list[Field]:
    """Return the numbers of a file's headers, those within the file."""
    return [field for field in _fields(content) if field.offset + field.width <= len(content)]


def ogg_pages(content: bytes) -> list[tuple[int, int]]:
    """Return where the pages of an ogg file begin and end."""
    starts = [match.start() for match in re.finditer(rb"OggS\0", content)]
    return list(zip(starts, [*starts[1:], len(content)], strict=True))


def _fields(content: bytes) -> Iterator[Field]:
    if content[:3] == b"ID3":
        return chain(_id3(content, 0), _mpeg(content))
    if content[:4] in {b"RIFF", b"FORM"}:
        return _chunks(content, _LITTLE if content[:4] == b"RIFF" else _BIG)
    if content[:4] == b"fLaC":
        return _flac(content)
    if content[:4] == b"OggS":
        return _ogg(content)
    if content[4:8] == b"ftyp":
        return _atoms(content, 0, len(content))
    return _asf(content) if content[:16] == _ASF_HEADER else _mpeg(content)


def _words(start: int, end: int, order: Literal["big", "little"], *, width: int = 4, step: int = 4) -> Iterator[Field]:
    for offset in range(start, min(end, start + _MOST_BYTES), step):
        yield Field(offset, width, order)


def _chunks(content: bytes, order: Literal["big", "little"]) -> Iterator[Field]:
    """The chunks of wav and aiff files, with the numbers of those that say what the sound is like."""
    yield Field(4, 4, order)
    at = 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], order)
        yield Field(at + 4, 4, order)
        if name in {b"fmt ", b"COMM", b"fact"}:
            yield from _words(at + 8, at + 8 + size, order, step=2)
            yield from _words(at + 8, at + 8 + size, order, width=2, step=2)
        elif name == b"SSND":
            yield from _words(at + 8, at + 16, order)
        elif name.lower() == b"id3 ":
            yield from _id3(content, at + 8)
        at += 8 + size + size % 2


def _id3(content: bytes, start: int) -> Iterator[Field]:
    """The size of a tag, and of each of its frames."""
    yield Field(start + 6, 4, _BIG)
    at = start + 10
    while content[at : at + 4].isalnum() and at + 10 <= len(content):
        yield Field(at + 4, 4, _BIG)
        yield Field(at + 8, 2, _BIG)
        yield Field(at + 10, 1, _BIG)
        at += 10 + sum(byte << shift for byte, shift in zip(content[at + 4 : at + 8], (21, 14, 7, 0), strict=True))


def _mpeg(content: bytes) -> Iterator[Field]:
    """The first frames of mp3 and bare AAC, and what a Xing header says."""
    for match in list(re.finditer(rb"\xff[\xe2-\xff]", content))[:40]:
        yield from _words(match.start() + 1, match.start() + 7, _BIG, width=1, step=1)
    for match in re.finditer(b"Xing|Info", content[:20_000]):
        yield from _words(match.start() + 4, match.start() + 16, _BIG)


def _flac(content: bytes) -> Iterator[Field]:
    """The parts before the sound; the first is STREAMINFO."""
    yield from (Field(8, 2, _BIG), Field(10, 2, _BIG), Field(12, 3, _BIG), Field(15, 3, _BIG), Field(18, 3, _BIG))
    yield from (Field(20, 2, _BIG), Field(21, 5, _BIG), Field(22, 4, _BIG), Field(18, 8, _BIG))
    at = 4
    while at + 4 <= len(content):
        kind, size = content[at], int.from_bytes(content[at + 1 : at + 4], _BIG)
        yield Field(at, 1, _BIG)
        yield Field(at + 1, 3, _BIG)
        if kind & 127:
            yield from _words(at + 4, at + 4 + size, _LITTLE if kind & 127 == 4 else _BIG)
        if kind & 128:
            return
        at += 4 + size


def _ogg(content: bytes) -> Iterator[Field]:
    """What each page says of itself, and the first packets."""
    pages = ogg_pages(content)
    for number, (start, end) in enumerate(pages):
        yield from (Field(start + 5, 1, _LITTLE), Field(start + 6, 8, _LITTLE), Field(start + 14, 4, _LITTLE))
        yield from (Field(start + 18, 4, _LITTLE), Field(start + 26, 1, _LITTLE), Field(start + 27, 1, _LITTLE))
        if number < 2:
            yield from _words(start + 28, end, _LITTLE, width=1, step=1)
            yield from _words(start + 28, end, _LITTLE, step=1)


def _atoms(content: bytes, at: int, end: int) -> Iterator[Field]:
    """The atoms of m4a files, with the numbers in them: sizes, counts, times."""
    while at + 8 <= end:
        size, name = int.from_bytes(content[at : at + 4], _BIG), content[at + 4 : at + 8]
        if not 8 <= size <= end - at:
            return
        yield Field(at, 4, _BIG)
        if name in _ATOMS_OF_ATOMS or content[at + 12 : at + 16] == b"data":
            yield from _atoms(content, at + (12 if name == b"meta" else 8), at + size)
        elif name not in {b"mdat", b"free"}:
            yield from _words(at + 8, at + size, _BIG)
        at += size


def _asf(content: bytes) -> Iterator[Field]:
    """The objects of wma files, with the numbers in them."""
    yield from (Field(16, 8, _LITTLE), Field(24, 4, _LITTLE))
    at, end = 30, int.from_bytes(content[16:24], _LITTLE)
    while at + 24 <= min(end, len(content)):
        size = int.from_bytes(content[at + 16 : at + 24], _LITTLE)
        yield Field(at + 16, 8, _LITTLE)
        yield from _words(at + 24, at + size, _LITTLE, step=2)
        at += max(size, 24)
    yield from (Field(end + 16, 8, _LITTLE), Field(end + 40, 8, _LITTLE))
    yield from _words(end + 50, len(content), _LITTLE, width=1, step=1)

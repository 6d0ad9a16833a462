"""Good sound files of every format, and damage to them: seeded, so that each damaged file can be made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mutagen
import numpy as np
from mutagen.aiff import AIFF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3
from mutagen.mp4 import MP4, MP4Cover
from mutagen.wave import WAVE

from tests.sounds import Sound, music, tag, write_sound
from tests.unit.library.header_fields import header_fields, ogg_pages

TAGS = {"title": "So What", "artist": "Miles Davis", "album": "Kind of Blue", "genre": "Jazz", "date": "1959"}
_COVER = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
_MOST_BLOCK = 4000
_HEADER_BYTES = 600
_SHARE_OF_LIES = 0.3
_SUFFIXES = (".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wav", ".aiff", ".aifc", ".wma")


@dataclass(frozen=True, slots=True)
class Original:
    """A good file: a name for its kind, the ending of its file name, and what is in it."""

    kind: str
    suffix: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Damaged:
    """A damaged file: what was done to it, the ending of its file name, and what is in it."""

    damage: str
    suffix: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Shape:
    kind: str
    sr: int = 44_100
    channels: int = 2
    duration_s: float = 0.7
    subtype: str | None = None


_SHAPES = (
    _Shape("pcm16.wav"),
    _Shape("pcm24.wav", sr=48_000, channels=6, subtype="PCM_24", duration_s=0.3),
    _Shape("pcm32.wav", sr=192_000, subtype="PCM_32", duration_s=0.2),
    _Shape("float.wav", sr=8000, channels=1, subtype="FLOAT"),
    _Shape("mp3"),
    _Shape("flac"),
    _Shape("24.flac", sr=96_000, channels=6, subtype="PCM_24", duration_s=0.2),
    _Shape("ogg"),
    _Shape("opus", sr=48_000),
    _Shape("m4a"),
    _Shape("alac.m4a"),
    _Shape("aac", sr=22_050, channels=1),
    _Shape("aiff"),
    _Shape("float.aiff", channels=1, subtype="FLOAT"),
    _Shape("wma"),
)


def make_originals(folder: Path) -> list[Original]:
    """Write a short good file of every format, with tags and a picture, and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_make(shape, folder, seed=number) for number, shape in enumerate(_SHAPES)]


def damage(original: Original, others: Sequence[Original], seed: Sequence[int]) -> Damaged:
    """Return a damaged copy of a file: the same for the same seed."""
    rng = np.random.default_rng(seed)
    what = "lying" if rng.random() < _SHARE_OF_LIES else str(rng.choice(list(_WAYS)))
    suffix, content = original.suffix, bytearray(original.content)
    if what == "joined":
        other = others[int(rng.integers(len(others)))]
        content += other.content
    elif what == "disguised":
        suffix = str(rng.choice([one for one in _SUFFIXES if one != original.suffix]))
    _WAYS[what](content, rng)
    return Damaged(what, suffix, bytes(content))


def _make(shape: _Shape, folder: Path, *, seed: int) -> Original:
    y = music(duration_s=shape.duration_s, sr=shape.sr, root_hz=200 + 10 * seed, seed=seed)
    channels: Sound = np.stack([np.roll(y, 50 * i) for i in range(shape.channels)], axis=1)
    path = write_sound(folder / f"song.{shape.kind}", channels, sr=shape.sr, subtype=shape.subtype)
    _add_cover(tag(path, TAGS))
    return Original(shape.kind, path.suffix, path.read_bytes())


def _add_cover(path: Path) -> None:
    """Add a picture where the format has an easy way to."""
    frame = APIC(encoding=3, mime="image/png", type=3, desc="", data=_COVER)
    file: mutagen.FileType | ID3
    match path.suffix:
        case ".mp3" | ".aac":
            file = ID3(path)
            file.add(frame)
        case ".wav" | ".aiff":
            file = WAVE(path) if path.suffix == ".wav" else AIFF(path)
            file.tags.add(frame)
        case ".m4a":
            file = MP4(path)
            file["covr"] = [MP4Cover(_COVER, imageformat=MP4Cover.FORMAT_PNG)]
        case ".flac":
            file = FLAC(path)
            picture = Picture()
            picture.data, picture.mime, picture.type = _COVER, "image/png", 3
            file.add_picture(picture)
        case _:
            return
    file.save(path)


def _block(content: bytearray, rng: np.random.Generator) -> slice:
    """Some place in the file."""
    start = int(rng.integers(max(1, len(content))))
    return slice(start, start + int(rng.integers(1, _MOST_BLOCK)))


def _change(content: bytearray, rng: np.random.Generator, *, start: int, end: int, most: int) -> None:
    for place in rng.integers(start, max(start + 1, min(end, len(content))), int(rng.integers(1, most))):
        content[place] = rng.integers(256)


def _cut_off(content: bytearray, rng: np.random.Generator) -> None:
    del content[int(rng.integers(len(content))) :]


def _cut_short(content: bytearray, rng: np.random.Generator) -> None:
    del content[int(rng.integers(_HEADER_BYTES)) :]


def _behead(content: bytearray, rng: np.random.Generator) -> None:
    del content[: int(rng.integers(1, len(content)))]


def _change_header(content: bytearray, rng: np.random.Generator) -> None:
    _change(content, rng, start=0, end=_HEADER_BYTES, most=9)


def _change_middle(content: bytearray, rng: np.random.Generator) -> None:
    _change(content, rng, start=len(content) // 3, end=2 * len(content) // 3, most=20)


def _change_everywhere(content: bytearray, rng: np.random.Generator) -> None:
    _change(content, rng, start=0, end=len(content), most=len(content) // 50)


def _zero(content: bytearray, rng: np.random.Generator) -> None:
    where = _block(content, rng)
    content[where] = bytes(len(content[where]))


def _repeat(content: bytearray, rng: np.random.Generator) -> None:
    where = _block(content, rng)
    content[where] = content[where] * int(rng.integers(2, 5))


def _move(content: bytearray, rng: np.random.Generator) -> None:
    where = _block(content, rng)
    moved = content[where]
    del content[where]
    place = int(rng.integers(len(content) + 1))
    content[place:place] = moved


def _remove(content: bytearray, rng: np.random.Generator) -> None:
    del content[_block(content, rng)]


def _insert(content: bytearray, rng: np.random.Generator) -> None:
    where = _block(content, rng)
    content[where.start : where.start] = rng.bytes(where.stop - where.start)


def _lie(content: bytearray, rng: np.random.Generator) -> None:
    """Let one to three numbers of the headers be huge, nothing, negative or a little off; ogg's sums agree."""
    pages = ogg_pages(content) if content[:4] == b"OggS" else []
    fields = header_fields(bytes(content))
    for choice in rng.integers(len(fields), size=int(rng.integers(1, 4))):
        field = fields[choice]
        bits = 8 * field.width
        before = int.from_bytes(content[field.offset : field.offset + field.width], field.order)
        tempting = (0, 1, 2, -1, -2, 2 ** (bits - 1), 2 ** (bits - 1) - 1, 2 ** (bits - 8), before + 1, before - 1)
        extremes = (*tempting, before * 2, before * 1000, int.from_bytes(rng.bytes(field.width), "big"))
        field.write(content, extremes[int(rng.integers(len(extremes)))])
    for start, end in pages:
        content[start + 22 : start + 26] = bytes(4)
        content[start + 22 : start + 26] = _ogg_sum(content[start:end]).to_bytes(4, "little")


def _ogg_sum(page: bytearray) -> int:
    """The CRC of an ogg page: polynomial 0x04c11db7, nothing inverted."""
    total = 0
    for byte in page:
        total = (total << 8 & 0xFFFF_FFFF) ^ _CRC_TABLE[total >> 24 ^ byte]
    return total


def _crc_of(byte: int) -> int:
    total = byte << 24
    for _ in range(8):
        total = (total << 1 ^ (0x04C1_1DB7 if total >> 31 else 0)) & 0xFFFF_FFFF
    return total


def _leave(_content: bytearray, _rng: np.random.Generator) -> None:
    """Nothing more."""


_CRC_TABLE = [_crc_of(byte) for byte in range(256)]
_WAYS: dict[str, Callable[[bytearray, np.random.Generator], None]] = {
    "cut off": _cut_off,
    "cut short": _cut_short,
    "beheaded": _behead,
    "header changed": _change_header,
    "middle changed": _change_middle,
    "changed everywhere": _change_everywhere,
    "zeroed": _zero,
    "repeated": _repeat,
    "moved": _move,
    "removed": _remove,
    "inserted": _insert,
    "joined": _leave,
    "disguised": _leave,
    "lying": _lie,
}

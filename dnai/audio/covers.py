"""The cover of a track: the picture in its file, or the one beside it; small, and kept for a while."""

from __future__ import annotations

import base64
import logging
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mutagen
from mutagen.asf import ASFTags
from mutagen.flac import FLAC, Picture
from mutagen.id3 import ID3
from mutagen.mp4 import MP4Tags

from dnai.audio.pictures import MAX_PICTURE_BYTES, small_jpeg
from dnai.audio.tags import MUTAGEN_ERRORS, BoundedFile, load_id3
from dnai.text import clean_text
from dnai.track_files import open_at_once
from dnai.tracks import Track

_FRONT = 3
"""The number that ID3, and the formats after it, have for a front cover."""
_MOST_PICTURES = 4
"""So many are tried, should the first not be decodable."""
_STEMS = ("cover", "folder", "front")
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_LINK = "-->"

MAX_KEPT = 500
"""20 MB at the most."""
KEPT_S = 600.0
"""After so long it is looked again, since a picture beside a track may be new."""

logger = logging.getLogger(__name__)


def read_cover(path: Path) -> bytes | None:
    """Return the cover of a sound file as a small JPEG, or None.

    The front cover in the file is preferred; then any other picture in it; then ``cover``, ``folder`` or ``front``
    ``.jpg``, ``.jpeg`` or ``.png`` beside it, in any case. Pictures that cannot be decoded count as none.
    """
    for data in _candidates(path):
        cover = small_jpeg(data)
        if cover is not None:
            return cover
    return None


@dataclass(frozen=True, slots=True)
class _Found:
    """A picture in a file, and whether it is the front cover."""

    data: bytes
    is_front: bool


def _candidates(path: Path) -> Iterator[bytes]:
    embedded = [found for found in _embedded(path) if 0 < len(found.data) <= MAX_PICTURE_BYTES]
    embedded.sort(key=lambda found: not found.is_front)
    yield from (found.data for found in embedded[:_MOST_PICTURES])
    yield from _beside(path)


def _embedded(path: Path) -> list[_Found]:
    """All pictures in a file, as they are in it; none where its tags cannot be read."""
    try:
        with BoundedFile(path) as file:
            if path.suffix.lower() == ".aac":
                return _id3_pictures(load_id3(file))
            return _pictures(mutagen.File(file))
    except MUTAGEN_ERRORS as error:
        logger.debug("no pictures in %s: %r", clean_text(str(path)), error)
        return []


def _pictures(file: mutagen.FileType | None) -> list[_Found]:
    tags = getattr(file, "tags", None)
    if isinstance(file, FLAC):
        return [_Found(picture.data, picture.type == _FRONT) for picture in file.pictures]
    if isinstance(tags, ID3):
        return _id3_pictures(tags)
    if isinstance(tags, MP4Tags):
        return [_Found(bytes(cover), is_front=True) for cover in tags.get("covr", [])]  # type: ignore[no-untyped-call]  # half typed
    if isinstance(tags, ASFTags):
        found = tags.get("WM/Picture", [])  # type: ignore[no-untyped-call]  # half typed
        return [_asf_picture(attribute.value) for attribute in found]
    blocks: list[str] = tags.get("metadata_block_picture", []) if tags else []
    pictures = [Picture(base64.b64decode(block, validate=True)) for block in blocks[:_MOST_PICTURES]]  # type: ignore[no-untyped-call]  # half typed
    return [_Found(picture.data, picture.type == _FRONT) for picture in pictures]


def _id3_pictures(tags: ID3) -> list[_Found]:
    frames = tags.getall("APIC")  # type: ignore[no-untyped-call]  # half typed
    return [_Found(frame.data, frame.type == _FRONT) for frame in frames if frame.mime != _LINK]


def _asf_picture(block: bytes) -> _Found:
    """Take ``WM/Picture`` apart: kind, length, two texts of UTF-16 that end with a zero, and the picture."""
    size = int.from_bytes(block[1:5], "little")
    start = _after_text(block, _after_text(block, 5))
    return _Found(block[start : start + size], block[0] == _FRONT)


def _after_text(block: bytes, start: int) -> int:
    end = start
    while (end := block.find(b"\0\0", end)) >= 0:
        if (end - start) % 2 == 0:
            return end + 2
        end += 1
    raise ValueError("a text without an end")


def _beside(path: Path) -> Iterator[bytes]:
    """The pictures in the same folder that are named like a cover, the likeliest first."""
    try:
        with os.scandir(path.parent) as entries:
            found = {entry.name.lower(): entry.name for entry in entries if _is_cover(entry)}
    except OSError as error:
        logger.debug("no pictures beside %s: %s", clean_text(str(path)), error)
        return
    for name in sorted(found, key=lambda name: (_STEMS.index(Path(name).stem), name)):
        data = _read(path.parent / found[name])
        if data:
            yield data


def _is_cover(entry: os.DirEntry[str]) -> bool:
    """Whether it is named so, and no link: what lies elsewhere is not shared."""
    name = Path(entry.name.lower())
    return name.stem in _STEMS and name.suffix in _SUFFIXES and entry.is_file(follow_symlinks=False)


def _read(path: Path) -> bytes:
    try:
        with os.fdopen(open_at_once(path, follow_links=False), "rb") as file:
            found = os.fstat(file.fileno())
            is_fine = stat.S_ISREG(found.st_mode) and found.st_size <= MAX_PICTURE_BYTES
            return file.read(MAX_PICTURE_BYTES) if is_fine else b""
    except OSError as error:
        logger.debug("no picture in %s: %s", clean_text(str(path)), error)
        return b""


class Covers:
    """The covers of a collection; read when they are asked for, and the last ones kept. For several threads.

    Parameters
    ----------
    max_kept
        The most that are kept, those without a picture counted.
    clock
        Steady seconds.
    read
        Returns the cover of a file.
    """

    def __init__(
        self,
        *,
        max_kept: int = MAX_KEPT,
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[Path], bytes | None] = read_cover,
    ) -> None:
        self._max_kept = max_kept
        self._clock = clock
        self._read = read
        self._kept: OrderedDict[tuple[Path, int, int], tuple[float, bytes | None]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, track: Track) -> bytes | None:
        """Return the cover of a track as a small JPEG, or None; a new one takes some tens of milliseconds.

        One picture is decoded at a time, so that many who ask do not fill the memory.
        """
        key = (track.path, track.size_bytes, track.mtime_ns)
        with self._lock:
            known = self._kept.pop(key, None)
            if known is None or self._clock() - known[0] > KEPT_S:
                known = self._clock(), self._read(track.path)
            self._kept[key] = known
            if len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)
            return known[1]

"""Files of a collection, which may be replaced while they are used: opened at once, and compared with the catalogue."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dnai.tracks import Track

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def open_at_once(path: str | Path, *, follow_links: bool = True) -> int:
    """Return the descriptor of a file that is open for reading.

    A pipe that took the file's place does not hold the reader up until somebody writes; what it is, the caller
    looks up. Raises OSError; also for a link where links are not followed.
    """
    return os.open(path, _OPEN_FLAGS if follow_links else _OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0))


def is_catalogued(found: os.stat_result, track: Track) -> bool:
    """Return whether what was found is the regular file that was catalogued as `track`, unchanged."""
    return stat.S_ISREG(found.st_mode) and found.st_size == track.size_bytes and found.st_mtime_ns == track.mtime_ns

"""The files of a conversion: the track that it reads, and the nameless one that it makes."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dnai.errors import ConversionError
from dnai.tracks import Track

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class ConvertedFile:
    """A converted track; several threads may read it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.size_bytes = file.seek(0, os.SEEK_END)

    def read(self, offset: int, length: int) -> bytes | None:
        """Return `length` bytes from byte `offset` on, fewer at the end; None when it is kept no longer."""
        with self._lock:
            if self._file.closed:
                return None
            self._file.seek(offset)
            return self._file.read(length)

    def close(self) -> None:
        """Free its room."""
        with self._lock:
            self._file.close()


def nameless_file(folder: Path) -> BinaryIO:
    """Return a new file in `folder`, open for reading and writing; its room is free when it is closed."""
    file: BinaryIO = tempfile.TemporaryFile(dir=folder, prefix="converting-")  # noqa: SIM115  # its keeper closes it
    return file


@contextlib.contextmanager
def opened(track: Track) -> Iterator[BinaryIO]:
    """Open the file of `track`, provided that it is the one that was catalogued.

    Raises
    ------
    ConversionError
        When it is not, or cannot be read.
    """
    try:
        # Without O_NONBLOCK, a pipe that took the file's place would hold us up for ever.
        file = os.fdopen(os.open(track.path, _OPEN_FLAGS), "rb")
    except OSError as error:
        raise ConversionError(f"the file cannot be read any more: {error.strerror}") from error
    with file:
        found = os.fstat(file.fileno())
        is_same = found.st_size == track.size_bytes and found.st_mtime_ns == track.mtime_ns
        if not stat.S_ISREG(found.st_mode) or not is_same:
            raise ConversionError("the file has changed since it was catalogued")
        yield file

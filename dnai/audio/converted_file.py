"""The files of a conversion: the track that it reads, and the nameless one that it makes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dnai.errors import ConversionError
from dnai.track_files import is_catalogued, open_at_once
from dnai.tracks import Track


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
        file = os.fdopen(open_at_once(track.path), "rb")
    except OSError as error:
        raise ConversionError(f"the file cannot be read any more: {error.strerror}") from error
    with file:
        if not is_catalogued(os.fstat(file.fileno()), track):
            raise ConversionError("the file has changed since it was catalogued")
        yield file

"""Tracks converted for browsers when they are asked for, and kept for a while.

The files have no name: the system frees their room when this process ends, however it ends. So nothing is left
to be cleared away, and nobody else can open them.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dnai.audio.conversion import convert
from dnai.audio.converted_file import ConvertedFile, nameless_file, opened
from dnai.errors import ConversionError
from dnai.text import clean_text
from dnai.tracks import MAX_CONVERTED_S, Track, most_converted_bytes

MAX_TRACKS = 20
MAX_BYTES = 1 << 30
AT_ONCE = 2
"""So many tracks are converted at a time, whoever asks: each keeps a processor core busy for some seconds."""
AT_ONCE_EACH = 1
TIME_LIMIT_S = 55.0
"""A conversion that takes longer is given up; listeners wait for 60 s."""
HANGING_S = 10.0
"""So long after its time limit a conversion counts as hanging, in a disk that does not answer: it cannot be ended."""
MAX_HANGING = 4
"""While so many hang, none is begun: each keeps a thread."""
ABANDONED_S = 5.0
"""When nobody has asked for so long how far it is, a conversion is given up."""
FAILURE_KEPT_S = 10.0
MAX_FAILURES = 200
"""So many are kept in mind."""
SPARED_BYTES = 64 << 20
"""So much of the disk is left to others."""

_Key = tuple[Path, int, int]

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Entry:
    """A track that is being converted, has been, or could not be."""

    asker: str
    began_at: float
    asked_at: float
    file: ConvertedFile | None = None
    failure: str = ""
    failed_at: float = 0.0
    reserved_bytes: int = 0

    @property
    def is_running(self) -> bool:
        return self.file is None and not self.failure


class ConvertedTracks:
    """The converted tracks of one process: made once for all who ask, bounded, the least recently used gone first.

    Parameters
    ----------
    folder
        Where there is room for them; it is made where there is none, and nobody else may look into it.
    max_tracks, max_bytes
        The most that is kept.
    at_once, at_once_each
        How many tracks are converted at a time in all, and for each who asks.
    time_limit_s
        How long a conversion may take, seconds.
    clock
        Steady seconds.
    new_file
        Returns a new file without a name in a folder, open for reading and writing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_tracks: int = MAX_TRACKS,
        max_bytes: int = MAX_BYTES,
        at_once: int = AT_ONCE,
        at_once_each: int = AT_ONCE_EACH,
        time_limit_s: float = TIME_LIMIT_S,
        clock: Callable[[], float] = time.monotonic,
        new_file: Callable[[Path], BinaryIO] | None = None,
    ) -> None:
        self._folder = folder
        self._max_tracks = max_tracks
        self._max_bytes = max_bytes
        self._at_once = at_once
        self._at_once_each = at_once_each
        self._time_limit_s = time_limit_s
        self._clock = clock
        self._new_file = new_file or nameless_file
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._hanging: set[_Entry] = set()
        self._lock = threading.Lock()
        self._closed = False

    def prepare(self, track: Track, *, asker: str = "") -> int | None:
        """Have `track` converted; return its size in bytes when that is done, None before.

        This returns at once. Ask again every now and then: what nobody asks for is given up. Where too many
        are being converted already, it begins later. An `asker` without a name has no bound of its own.

        Raises
        ------
        ConversionError
            When it cannot be converted; tried again when it is asked for some seconds later.
        """
        with self._lock:
            if self._closed:
                raise ConversionError("it is not converted: this program is ending")
            self._note_hanging()
            entry = self._entry(track)
            if entry is None:
                self._start(track, asker)
                return None
            entry.asked_at = self._clock()
            if entry.failure:
                raise ConversionError(entry.failure)
            return entry.file.size_bytes if entry.file else None

    def find(self, track: Track) -> ConvertedFile | None:
        """Return the converted track; None before it is ready, and when it is kept no longer."""
        with self._lock:
            entry = self._entry(track)
            return entry.file if entry else None

    def close(self) -> None:
        """Keep nothing, and give up what is being converted."""
        with self._lock:
            self._closed = True
            entries = list(self._entries.values())
            self._entries.clear()
        for entry in entries:
            _close(entry)

    def _entry(self, track: Track) -> _Entry | None:
        key = _key(track)
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.failure and self._clock() - entry.failed_at > FAILURE_KEPT_S:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry

    def _note_hanging(self) -> None:
        """Take those that hang for failed, so that others are converted."""
        latest = self._clock() - self._time_limit_s - HANGING_S
        for key, entry in self._entries.items():
            if entry.is_running and entry.began_at < latest:
                logger.warning("converting %s hangs: its disk does not answer", _name(key[0]))
                entry.failure, entry.failed_at = "it took too long: its disk does not answer", self._clock()
                self._hanging.add(entry)

    def _start(self, track: Track, asker: str) -> None:
        if len(self._hanging) >= MAX_HANGING:
            raise ConversionError("nothing is converted at the moment: the disk does not answer")
        running = [entry for entry in self._entries.values() if entry.is_running]
        own = [entry for entry in running if asker and entry.asker == asker]
        if len(running) >= self._at_once or len(own) >= self._at_once_each:
            return
        now = self._clock()
        entry = self._entries[_key(track)] = _Entry(asker, began_at=now, asked_at=now)
        # A daemon: the end of the process waits for nobody.
        threading.Thread(target=self._run, args=(track, entry), name="dnai-convert", daemon=True).start()

    def _run(self, track: Track, entry: _Entry) -> None:
        try:
            file = self._converted(track, entry)
        except ConversionError as error:
            if self._is_abandoned(entry):
                self._forget(track, entry)
                return
            logger.warning("%s is not converted for browsers: %s", _name(track.path), error)
            self._note(track, entry, failure=str(error))
        except Exception:  # the thread's edge: whoever waits must be told
            logger.exception("converting %s failed", _name(track.path))
            self._note(track, entry, failure="it cannot be converted: something failed; the log of its owner says what")
        else:
            took_s = self._clock() - entry.began_at
            logger.info("converted %s in %.1f s: %d bytes", _name(track.path), took_s, file.size_bytes)
            self._note(track, entry, file=file)

    def _converted(self, track: Track, entry: _Entry) -> ConvertedFile:
        if track.duration_s > MAX_CONVERTED_S:
            raise ConversionError(f"it is longer than {MAX_CONVERTED_S / 60:.0f} minutes")
        max_bytes = min(most_converted_bytes(track.duration_s), self._max_bytes)
        with opened(track) as source:
            target = self._make_file(entry, max_bytes)
            try:
                convert(source, target, max_bytes=max_bytes, is_wanted=lambda: self._is_wanted(entry))
                return ConvertedFile(target)
            except BaseException:
                with contextlib.suppress(OSError):  # what could not be written is tried once more
                    target.close()
                raise

    def _make_file(self, entry: _Entry, max_bytes: int) -> BinaryIO:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
            needed = self._reserve(entry, max_bytes) + SPARED_BYTES
            if free < needed:
                raise ConversionError(
                    f"there is no room for the converted file: {free >> 20} MB are free in {self._folder}, "
                    f"{needed >> 20} MB are needed"
                )
            return self._new_file(self._folder)
        except OSError as error:
            raise ConversionError(
                f"there is no place for the converted file: {self._folder}: {error.strerror or error}"
            ) from error

    def _reserve(self, entry: _Entry, max_bytes: int) -> int:
        """Return how many bytes this conversion and those that run beside it may need."""
        with self._lock:
            entry.reserved_bytes = max_bytes
            others = [other for other in self._entries.values() if other.is_running and other is not entry]
        return max_bytes + sum(other.reserved_bytes for other in others)

    def _is_wanted(self, entry: _Entry) -> bool:
        is_in_time = self._clock() - entry.began_at <= self._time_limit_s
        return is_in_time and not self._is_abandoned(entry)

    def _is_abandoned(self, entry: _Entry) -> bool:
        return self._closed or self._clock() - entry.asked_at > ABANDONED_S

    def _forget(self, track: Track, entry: _Entry) -> None:
        with self._lock:
            self._hanging.discard(entry)
            if entry.is_running and self._entries.get(_key(track)) is entry:
                del self._entries[_key(track)]

    def _note(self, track: Track, entry: _Entry, *, file: ConvertedFile | None = None, failure: str = "") -> None:
        with self._lock:
            is_late = self._closed or entry in self._hanging
            self._hanging.discard(entry)
            if is_late:
                if file is not None:
                    file.close()
                return
            entry.file, entry.failure, entry.failed_at = file, failure, self._clock()
            for surplus in self._surplus(keep=_key(track)):
                _close(self._entries.pop(surplus))

    def _surplus(self, *, keep: _Key) -> list[_Key]:
        """What must go so that the rest is within the bounds, the least recently used first."""
        failed = [key for key, entry in self._entries.items() if entry.failure]
        surplus = failed[: max(0, len(failed) - MAX_FAILURES)]
        kept = [(key, entry.file.size_bytes) for key, entry in self._entries.items() if entry.file]
        tracks, size = len(kept), sum(size_bytes for _, size_bytes in kept)
        for key, size_bytes in kept:
            if tracks <= self._max_tracks and size <= self._max_bytes:
                break
            if key != keep:
                surplus.append(key)
                tracks -= 1
                size -= size_bytes
        return surplus


def _key(track: Track) -> _Key:
    return track.path, track.size_bytes, track.mtime_ns


def _name(path: Path) -> str:
    """As it is logged: the names of files may hold anything."""
    return clean_text(str(path))


def _close(entry: _Entry) -> None:
    if entry.file is not None:
        entry.file.close()

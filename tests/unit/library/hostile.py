"""An analysis that misbehaves in a child process, by the names of the files; all others are done at once."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from dnai.errors import DecodeError, ModelError
from dnai.library import jobs
from dnai.library.analysis import Ear
from dnai.library.rows import CataloguedFile, CataloguedTrack, FileStamp
from dnai.tracks import AUDIO_SUFFIXES, Genre
from tests.unit.library.conftest import heard

SLOW_S = 0.05


def misbehave() -> None:
    """Replace the analysis of this process: what a child calls before its first file."""
    jobs.analyse_file = fake_analysis  # type: ignore[attr-defined]  # imported there


def misbehave_slowly() -> None:
    """Do so, and take a moment for each file."""
    jobs.analyse_file = slow_analysis  # type: ignore[attr-defined]  # imported there


def refuse() -> None:
    """Fail before the first file."""
    raise ModelError("no ears today")


def die() -> None:
    """End before the first file."""
    os._exit(7)


def slow_analysis(path: Path, stamp: FileStamp, ears: Sequence[Ear]) -> CataloguedTrack:
    """Do the same, later."""
    time.sleep(SLOW_S)
    return fake_analysis(path, stamp, ears)


def fake_analysis(path: Path, stamp: FileStamp, ears: Sequence[Ear]) -> CataloguedTrack:
    """Hang, crash, end, eat memory, or return a track of a minute."""
    match path.stem.split("-")[0]:
        case "hang":
            time.sleep(600)
        case "deaf":  # a C function that lets no other thread run
            ctypes.PyDLL(None).sleep(600)
        case "abort":
            os.abort()
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "eat":
            kept = []
            while True:
                kept.append(bytearray(50_000_000))
        case "broken":
            raise DecodeError("not readable as sound")
    return fake_track(path, stamp, [ear.model.feature_id for ear in ears])


def fake_track(path: Path, stamp: FileStamp, feature_ids: Sequence[str]) -> CataloguedTrack:
    """Return what the fake analysis finds in a file: the numbers follow from its size."""
    file = CataloguedFile(
        path=path,
        size_bytes=stamp.size_bytes,
        mtime_ns=stamp.mtime_ns,
        title=path.stem,
        artist="",
        album="",
        year=None,
        tag_genre=Genre.JAZZ,
        duration_s=60.0,
        audio_type=AUDIO_SUFFIXES[path.suffix],
    )
    return CataloguedTrack(file, tuple(heard(one, seed=stamp.size_bytes) for one in feature_ids))

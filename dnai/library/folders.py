"""The sound files of a music folder, and whether files that are not there are deleted or only away."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from dnai.errors import UsageError
from dnai.library.rows import FileStamp
from dnai.text import clean_text
from dnai.tracks import AUDIO_SUFFIXES

MANY_FILES = 10
"""So many files that vanish from one folder and leave it empty are on a disk that is away, not deleted."""

_logger = logging.getLogger(__name__)


def find_sound_files(root: Path) -> Iterator[tuple[Path, FileStamp]]:
    """Yield the files below `root` whose names end like sound files, in the order of their names.

    Links are followed, each folder once, so that a loop of links ends.
    """
    seen: set[tuple[int, int]] = set()
    for folder, folder_names, file_names in os.walk(root, followlinks=True, onerror=_log_unreadable):
        identity = folder_identity(folder)
        if identity is None or identity in seen:
            folder_names.clear()
            continue
        seen.add(identity)
        folder_names.sort()
        for name in sorted(file_names):
            if os.path.splitext(name)[1].lower() not in AUDIO_SUFFIXES:  # noqa: PTH122  # a hundred thousand times
                continue
            path = os.path.join(folder, name)  # noqa: PTH118  # likewise
            stamp = stamp_of(path)
            if stamp is None:
                _logger.warning("left out %s: it has gone, or cannot be reached", clean_text(path))
            else:
                yield Path(path), stamp


def music_root(folder: Path) -> Path:
    """Return the absolute path that the catalogue knows a music folder by.

    Raises
    ------
    UsageError
        When the folder does not exist or cannot be read.
    """
    root = absolute_root(folder)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UsageError(f"the music folder {root} {what}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise UsageError(f"the music folder {root} may not be read by this user")
    return root


def absolute_root(folder: Path) -> Path:
    """Return the path that the catalogue knows a music folder by, whether or not it is there now.

    Raises
    ------
    UsageError
        When the folder begins with the home of a user that does not exist.
    """
    try:
        return Path(os.path.normpath(folder.expanduser().absolute()))
    except RuntimeError as error:
        raise UsageError(f"the music folder {folder} cannot be found: {error}") from error


def outermost(roots: Sequence[Path]) -> tuple[Path, ...]:
    """Return the folders that are not below another of them, each once, in their order."""
    kept = [root for root in roots if not any(root != other and root.is_relative_to(other) for other in roots)]
    return tuple(dict.fromkeys(kept))


def away_files(missing: Iterable[Path], root: Path, *, found: Collection[Path]) -> set[Path]:
    """Return those of the files that are missing below `root` that are away and not deleted.

    Away is what was in a folder that cannot be reached or read any more, as with a disk that was
    unplugged: the root itself is gone, a link leads nowhere, a folder may not be read. An unplugged disk
    may also leave its empty folder behind, so `MANY_FILES` that are gone at once are away, too, where
    nothing is left beside them; `found` are the files that are there.
    """
    missing_from: dict[Path, list[Path]] = defaultdict(list)
    standing: dict[Path, Path] = {}
    for path in missing:
        folder = path.parent
        if folder not in standing:
            standing[folder] = _nearest_standing(folder)
        missing_from[standing[folder]].append(path)
    none_left = not any(path.is_relative_to(root) for path in found)
    everything = [path for paths in missing_from.values() for path in paths]
    if none_left and len(everything) >= MANY_FILES:
        return set(everything)
    away = (paths for folder, paths in missing_from.items() if _is_away(folder, root, missing=len(paths)))
    return {path for paths in away for path in paths}


def folder_identity(folder: str | Path) -> tuple[int, int] | None:
    """Return what makes a folder the same under all its names; None when it is not there."""
    try:
        status = os.stat(folder)  # noqa: PTH116  # of both
    except OSError as error:
        _log_unreadable(error)
        return None
    return status.st_dev, status.st_ino


def stamp_of(path: str | Path) -> FileStamp | None:
    """Return the stamp of a file, or of a link that leads nowhere; None when it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116  # a hundred thousand times
    except OSError:
        try:
            status = os.lstat(path)
        except OSError:
            return None
    return FileStamp(status.st_size, status.st_mtime_ns)


def _nearest_standing(folder: Path) -> Path:
    """The folder, or the first above it that there is; one that cannot even be asked for counts."""
    for each in (folder, *folder.parents):
        try:
            each.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return each
        return each
    return Path(folder.anchor)


def _is_away(folder: Path, root: Path, *, missing: int) -> bool:
    """Whether files that were below `folder`, which is the nearest that there is, are on a disk that is away."""
    if not folder.is_relative_to(root):
        return True
    try:
        with os.scandir(folder) as entries:
            is_empty = next(entries, None) is None
    except NotADirectoryError:  # somebody has put a file in its place
        return False
    except OSError:
        return True
    return is_empty and missing >= MANY_FILES


def _log_unreadable(error: OSError) -> None:
    _logger.warning("left out %s: %s", clean_text(os.fsdecode(error.filename or "")), error.strerror)

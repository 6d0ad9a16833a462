"""A look at the folders: what is new, changed, moved, gone or away, before any file is analysed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dnai.library.catalogue import Catalogue
from dnai.library.content import content_id
from dnai.library.folders import absolute_root, away_files, find_sound_files, music_root, outermost, stamp_of
from dnai.library.rows import Changes, Failure, FileStamp, KnownFile, Recognised


@dataclass(frozen=True, slots=True)
class Look:
    """What the folders hold, beside what the catalogue knows.

    `changes` can be written at once, and `fresh` files are to be analysed. `standing` are tracks whose
    files are there as they are known. The rest are numbers of files, as in `ScanSummary`.
    """

    changes: Changes
    fresh: Mapping[Path, FileStamp]
    standing: Mapping[Path, KnownFile]
    unchanged: int
    dropped: int
    absent: int
    unsettled: int


def known_roots(folders: Sequence[Path], catalogue: Catalogue) -> tuple[Path, ...]:
    """Return the folders as the catalogue knows them, none below another.

    Raises
    ------
    UsageError
        When one is not there, and the catalogue has no track of it that could be on a disk that is away.
    """
    roots = []
    for folder in folders:
        root = absolute_root(folder)
        roots.append(root if not root.exists() and catalogue.known_files(under=root) else music_root(folder))
    return outermost(roots)


def look_at(roots: Sequence[Path], catalogue: Catalogue, *, settle_s: float = 0.0) -> Look:
    """Return what is new below the folders; files written to within `settle_s` seconds are left out of it.

    What is new may have been moved or copied from any folder that the catalogue knows.
    """
    known = catalogue.known_files(under=roots)
    failed = {failure.path: failure for failure in catalogue.failures(under=roots)}
    found = {path: stamp for root in roots if root.is_dir() for path, stamp in find_sound_files(root)}
    away = _away(roots, (path for path in (*known, *failed) if path not in found), found)
    new = {path: stamp for path, stamp in found.items() if not _is_known(path, stamp, known, failed)}
    written_ns = time.time_ns() - round(settle_s * 1e9)
    settled = {path: stamp for path, stamp in new.items() if not settle_s or not _is_recent(stamp, written_ns)}
    candidates = catalogue.known_files() if settled else known
    recognised = _recognise(settled, candidates, found)
    standing = {path: file for path, file in known.items() if path in found and path not in new}
    moved = {one.track for one in recognised if not one.is_copy}
    gone = [path for path in {**known, **failed} if path not in found and path not in away]
    changes = Changes(
        gone=gone,
        away=[path for path in away if path in known and not known[path].is_absent],
        back=[path for path, file in standing.items() if file.is_absent],
        recognised=recognised,
    )
    named = {one.path for one in recognised}
    return Look(
        changes=changes,
        fresh={path: stamp for path, stamp in settled.items() if path not in named},
        standing={**standing, **_renamed(recognised, candidates)},
        unchanged=len(found) - len(new),
        dropped=sum(path not in known or known[path].track not in moved for path in gone),
        absent=sum(path in known and known[path].track not in moved for path in away),
        unsettled=len(new) - len(settled),
    )


def _away(roots: Sequence[Path], missing: Iterable[Path], found: Mapping[Path, FileStamp]) -> set[Path]:
    """Those of the missing files that are on a disk that is away."""
    below: dict[Path, list[Path]] = defaultdict(list)
    for path in missing:
        below[next(root for root in roots if path.is_relative_to(root))].append(path)
    return {path for root, paths in below.items() for path in away_files(paths, root, found=found)}


def _is_known(path: Path, stamp: FileStamp, known: Mapping[Path, KnownFile], failed: Mapping[Path, Failure]) -> bool:
    if path in known:
        return known[path].stamp == stamp
    failure = failed.get(path)
    return failure is not None and failure.stamp == stamp and not failure.passing


def _is_recent(stamp: FileStamp, since_ns: int) -> bool:
    """Whether it was written to since then; a time in the future is a wrong clock's."""
    return since_ns < stamp.mtime_ns <= time.time_ns()


def _recognise(
    new: Mapping[Path, FileStamp], known: Mapping[Path, KnownFile], found: Mapping[Path, FileStamp]
) -> list[Recognised]:
    """The new files whose content is that of a known one; only files of a known size are read for it."""
    by_size: dict[int, list[tuple[Path, KnownFile]]] = defaultdict(list)
    for path, file in known.items() if new else ():
        if file.content_id is not None:
            by_size[file.stamp.size_bytes].append((path, file))
    taken: set[int] = set()
    recognised = []
    for path, stamp in new.items():
        others = [(other, file) for other, file in by_size[stamp.size_bytes] if other != path or file.is_absent]
        content = _content(path) if others else None
        alike = [(other, file) for other, file in others if file.content_id == content]
        free = [file for other, file in alike if file.track not in taken and not _is_there(other, file.stamp, found)]
        if free:
            taken.add(free[0].track)
        if alike:
            track = (free[0] if free else alike[0][1]).track
            recognised.append(Recognised(track, path, stamp, is_copy=not free))
    return recognised


def _is_there(path: Path, stamp: FileStamp, found: Mapping[Path, FileStamp]) -> bool:
    """Whether a known file stands where it was, be it below the folders, where it was `found`, or elsewhere."""
    return (found[path] if path in found else stamp_of(path)) == stamp


def _content(path: Path) -> str | None:
    try:
        return content_id(path)
    except OSError:  # the analysis will say why
        return None


def _renamed(recognised: Sequence[Recognised], known: Mapping[Path, KnownFile]) -> dict[Path, KnownFile]:
    """What is known of recognised files, under their new names."""
    by_track = {file.track: file for file in known.values()}
    return {
        one.path: KnownFile(one.stamp, by_track[one.track].feature_ids, 0, by_track[one.track].content_id)
        for one in recognised
    }

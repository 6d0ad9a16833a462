"""A folder of music → rows of the catalogue."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dnai.errors import CatalogueFullError, UsageError
from dnai.genre.extraction import open_extractor
from dnai.genre.model import GenreModel
from dnai.library.analysis import OpenExtractor, unheard
from dnai.library.catalogue import Catalogue
from dnai.library.jobs import Analysts, InThisProcess, Job, Outcome, Trouble
from dnai.library.rows import CataloguedTrack, Failure, FileStamp, KnownFile
from dnai.text import clean_text
from dnai.tracks import AUDIO_SUFFIXES

_BATCH = 500
_logger = logging.getLogger(__name__)


class ScanStep(StrEnum):
    """What a scan does: first new and changed files, then tracks that not every model has heard yet."""

    NEW = "new"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a step of a scan is: `done` of `total` files, and the name of the one that was begun last.

    `heard_s` is how much music was analysed in this step, in seconds.
    """

    done: int
    total: int
    current: str
    step: ScanStep = ScanStep.NEW
    heard_s: float = 0.0


Report = Callable[[ScanProgress], None]


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What a scan did, in files.

    `unchanged` counts tracks and failures that were known already; `updated` are those of them that a
    model has heard for the first time.
    """

    analysed: int
    failed: int
    unchanged: int
    dropped: int
    updated: int = 0


def scan_folder(
    folder: Path,
    catalogue: Catalogue,
    models: Sequence[GenreModel],
    *,
    report: Report,
    analysts: Analysts | None = None,
    open_extractor: OpenExtractor = open_extractor,
) -> ScanSummary:
    """Bring the catalogue up to date with `folder` and everything below it.

    New and changed files are analysed, and files that are gone are dropped. Then rows that another
    classifier has answered are answered anew out of the features that are kept, and tracks that a
    model has not heard yet are decoded once more for that model alone. Each row is written at once:
    whoever reads the catalogue meanwhile goes on with what there is. Files of other folders are left
    alone. A file that cannot be used is recorded with its reason and costs only itself.

    Parameters
    ----------
    models
        In order of preference.
    analysts
        Who analyses the files, with the same models: a `Pool` of processes, or this process if left out.
    open_extractor
        Opens what measures the features of a model in this process; called once for each, and only if
        a file is to be decoded.

    Raises
    ------
    UsageError
        When the folder does not exist or cannot be read.
    ModelError
        When the features of a model cannot be measured.
    CatalogueError
        When the catalogue cannot be written; what was written before is kept.
    """
    root = music_root(folder)
    known = catalogue.known_files(under=root)
    failed_before = {failure.path: failure for failure in catalogue.failures(under=root)}
    found = dict(find_sound_files(root))
    catalogue.forget([path for path in (*known, *failed_before) if path not in found])
    fresh = {path: stamp for path, stamp in found.items() if not _is_known(path, stamp, known, failed_before)}
    wanted = frozenset(model.feature_id for model in models)
    old = {
        path: wanted - file.feature_ids
        for path, file in known.items()
        if path in found and path not in fresh and wanted - file.feature_ids
    }
    with analysts or InThisProcess(models, open_extractor) as open_analysts:
        scan = _Scan(catalogue, models, open_analysts, report)
        failed = scan.analyse(fresh)
        _answer_anew(catalogue, models)
        updated = scan.update(old, known)
    return ScanSummary(
        analysed=len(fresh) - failed,
        failed=failed,
        unchanged=len(found) - len(fresh),
        dropped=len({*known, *failed_before} - found.keys()),
        updated=updated,
    )


def find_sound_files(root: Path) -> Iterator[tuple[Path, FileStamp]]:
    """Yield the files below `root` whose names end like sound files, in the order of their names.

    Links are followed, each folder once, so that a loop of links ends.
    """
    seen: set[tuple[int, int]] = set()
    for folder, folder_names, file_names in os.walk(root, followlinks=True, onerror=_log_unreadable):
        identity = _identity(Path(folder))
        if identity is None or identity in seen:
            folder_names.clear()
            continue
        seen.add(identity)
        folder_names.sort()
        for name in sorted(file_names):
            path = Path(folder, name)
            stamp = _stamp(path) if path.suffix.lower() in AUDIO_SUFFIXES else None
            if stamp is not None:
                yield path, stamp


def music_root(folder: Path) -> Path:
    """Return the absolute path that the catalogue knows a music folder by.

    Raises
    ------
    UsageError
        When the folder does not exist or cannot be read.
    """
    try:
        root = folder.expanduser().absolute()
    except RuntimeError as error:
        raise UsageError(f"the music folder {folder} cannot be found: {error}") from error
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UsageError(f"the music folder {root} {what}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise UsageError(f"the music folder {root} may not be read by this user")
    return Path(os.path.normpath(root))


def _log_unreadable(error: OSError) -> None:
    _logger.warning("left out %s: %s", clean_text(os.fsdecode(error.filename or "")), error.strerror)


def _identity(folder: Path) -> tuple[int, int] | None:
    """What makes a folder the same under all its names; None when it has gone meanwhile."""
    try:
        status = folder.stat()
    except OSError as error:
        _log_unreadable(error)
        return None
    return status.st_dev, status.st_ino


def _stamp(path: Path) -> FileStamp | None:
    """The stamp of a file, or of a link that leads nowhere; None when it has gone meanwhile."""
    try:
        status = path.stat()
    except OSError:
        try:
            status = path.lstat()
        except OSError as error:
            _log_unreadable(error)
            return None
    return FileStamp(status.st_size, status.st_mtime_ns)


def _is_known(
    path: Path, stamp: FileStamp, known: Mapping[Path, KnownFile], failed_before: Mapping[Path, Failure]
) -> bool:
    if path in known:
        return known[path].stamp == stamp
    failure = failed_before.get(path)
    return failure is not None and failure.stamp == stamp and not failure.passing


class _Scan:
    """The two steps of a scan that decode files."""

    def __init__(self, catalogue: Catalogue, models: Sequence[GenreModel], analysts: Analysts, report: Report) -> None:
        self._catalogue = catalogue
        self._models = {model.feature_id: model for model in models}
        self._analysts = analysts
        self._report = report

    def analyse(self, fresh: Mapping[Path, FileStamp]) -> int:
        """Analyse new and changed files; return how many could not be used."""
        wanted = frozenset(self._models)
        jobs = [Job(path, stamp, wanted) for path, stamp in fresh.items()]
        failed = 0
        for job, outcome in self._perform(jobs, ScanStep.NEW):
            if isinstance(outcome, Trouble):
                failed += 1
                self._catalogue.put_failure(Failure(job.path, job.stamp, outcome.reason, outcome.passing))
            else:
                self._catalogue.put_track(outcome)
        return failed

    def update(self, old: Mapping[Path, frozenset[str]], known: Mapping[Path, KnownFile]) -> int:
        """Let tracks be heard by the models that have not heard them; return how many were."""
        jobs = [Job(path, known[path].stamp, missing) for path, missing in old.items()]
        return sum(self._add(job, outcome) for job, outcome in self._perform(jobs, ScanStep.UPDATE))

    def _perform(self, jobs: Sequence[Job], step: ScanStep) -> Iterator[tuple[Job, Outcome]]:
        """Yield the jobs with their outcomes, and report how far it is; nothing is said of a step without jobs."""
        done, heard_s = 0, 0.0

        def report(name: str) -> None:
            self._report(ScanProgress(done, len(jobs), name, step, heard_s))

        for job, outcome in self._analysts.analyse(jobs, started=lambda job: report(job.path.name)):
            if isinstance(outcome, Trouble) and outcome.no_room:
                raise CatalogueFullError(
                    f"no room on the disk while scanning {clean_text(str(job.path))}: make room and scan again"
                )
            yield job, outcome
            done += 1
            heard_s += 0.0 if isinstance(outcome, Trouble) else outcome.file.duration_s
        if jobs or step is ScanStep.NEW:
            report("")

    def _add(self, job: Job, outcome: Outcome) -> bool:
        """Add what the missing models hear in one file, or why they cannot; return whether one of them heard it."""
        if isinstance(outcome, CataloguedTrack):
            hearings = outcome.hearings
        elif outcome.passing:  # it may be there again next time
            _logger.warning("%s cannot be read now: %s", clean_text(str(job.path)), outcome.reason)
            return False
        else:
            missing = sorted(job.feature_ids)
            hearings = tuple(unheard(self._models[one], reason=outcome.reason) for one in missing)
        self._catalogue.put_hearings(job.path, job.stamp, hearings)
        return any(hearing.answer is not None for hearing in hearings)


def _answer_anew(catalogue: Catalogue, models: Sequence[GenreModel]) -> None:
    """Let the present classifiers answer what others have answered; no file is read."""
    for model in models:
        after = 0
        while (rows := catalogue.outdated(model, after=after, limit=_BATCH)).ids:
            catalogue.put_answers(model, rows.ids, model.classify(rows.features))
            after = rows.ids[-1]

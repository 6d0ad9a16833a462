"""Folders of music → rows of the catalogue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dnai.errors import CatalogueFullError
from dnai.genre.extraction import open_extractor
from dnai.genre.model import GenreModel
from dnai.library.analysis import OpenExtractor, unheard
from dnai.library.catalogue import Catalogue
from dnai.library.content import content_id
from dnai.library.jobs import Analysts, InThisProcess, Job, Outcome, Trouble
from dnai.library.look import known_roots, look_at
from dnai.library.rows import CataloguedTrack, Changes, Failure, FileStamp, KnownFile
from dnai.library.scan_lock import Holder, scan_lock
from dnai.text import clean_text

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
    model has heard for the first time. `recognised` are new names of what is known: moved, renamed or
    copied. `absent` are on a disk that is away. `unsettled` were written to a moment ago, and are left
    to the next scan.
    """

    analysed: int
    failed: int
    unchanged: int
    dropped: int
    updated: int = 0
    recognised: int = 0
    absent: int = 0
    unsettled: int = 0


def say_nothing(_holder: Holder | None) -> None:
    """Wait for another scan in silence."""


def scan_folder(
    folder: Path,
    catalogue: Catalogue,
    models: Sequence[GenreModel],
    *,
    report: Report,
    analysts: Analysts | None = None,
    open_extractor: OpenExtractor = open_extractor,
) -> ScanSummary:
    """Scan one folder, in this process if no `analysts` are given; for the rest see `scan_folders`."""
    analysts = analysts or InThisProcess(models, open_extractor)
    return scan_folders([folder], catalogue, models, analysts=analysts, report=report)


def scan_folders(
    folders: Sequence[Path],
    catalogue: Catalogue,
    models: Sequence[GenreModel],
    *,
    analysts: Analysts,
    report: Report,
    waiting: Callable[[Holder | None], None] = say_nothing,
    settle_s: float = 0.0,
) -> ScanSummary:
    """Bring the catalogue up to date with `folders` and everything below them.

    New and changed files are analysed; those whose content is known under another name are only noted
    down. Files that are gone are dropped, but those on a disk that is away are only marked. Then rows
    that another classifier has answered are answered anew out of the features that are kept, and tracks
    that a model has not heard yet are decoded once more for that model alone. Each row is written at
    once: whoever reads the catalogue meanwhile goes on with what there is. Files of other folders are
    left alone. A file that cannot be used is recorded with its reason and costs only itself. While
    another scan of the catalogue runs, it is waited for.

    Parameters
    ----------
    models
        In order of preference.
    analysts
        Who analyses the files, with the same models.
    waiting
        Called when another scan is to be waited for, with who that is.
    settle_s
        Files that were written to within so many seconds are left to the next scan.

    Raises
    ------
    UsageError
        When a folder does not exist or cannot be read, and the catalogue knows nothing of it.
    ModelError
        When the features of a model cannot be measured.
    CatalogueError
        When the catalogue cannot be written; what was written before is kept.
    """
    roots = known_roots(folders, catalogue)
    with scan_lock(catalogue.path, waiting=waiting):
        look = look_at(roots, catalogue, settle_s=settle_s)
        if look.changes != Changes():
            catalogue.write_changes(look.changes)
        wanted = frozenset(model.feature_id for model in models)
        old = {path: wanted - file.feature_ids for path, file in look.standing.items() if wanted - file.feature_ids}
        with analysts as open_analysts:
            scan = _Scan(catalogue, models, open_analysts, report)
            failed = scan.analyse(look.fresh)
            _answer_anew(catalogue, models)
            updated = scan.update(old, look.standing)
            scan.describe(look.standing)
    return ScanSummary(
        analysed=len(look.fresh) - failed,
        failed=failed,
        unchanged=look.unchanged,
        dropped=look.dropped,
        updated=updated,
        recognised=len(look.changes.recognised),
        absent=look.absent,
        unsettled=look.unsettled,
    )


class _Scan:
    """The steps of a scan that open files."""

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

    def describe(self, known: Mapping[Path, KnownFile]) -> None:
        """Note what files tell of themselves that an older version has catalogued."""
        tracks = {path: file.track for path, file in known.items() if file.content_id is None and file.track}
        jobs = [Job(path, known[path].stamp, frozenset()) for path in tracks]
        for job, outcome in self._perform(jobs, ScanStep.UPDATE):
            if isinstance(outcome, CataloguedTrack):
                self._catalogue.put_description(tracks[job.path], outcome.file)
            elif outcome.passing:  # another time
                _logger.info("%s cannot be read now: %s", clean_text(str(job.path)), outcome.reason)
            else:
                self._keep_description(job.path, tracks[job.path], outcome)

    def _keep_description(self, path: Path, track: int, trouble: Trouble) -> None:
        """Leave it at what was told before, so that the file is not asked again and again."""
        _logger.info("%s tells nothing: %s", clean_text(str(path)), trouble.reason)
        try:
            self._catalogue.put_content_id(track, content_id(path))
        except OSError as error:
            _logger.info("%s cannot be read now: %s", clean_text(str(path)), error.strerror)

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

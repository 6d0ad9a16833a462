"""What is asked of one file, and what comes of it: the same in this process and in a child."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from dnai.errors import AudioError
from dnai.genre.model import GenreModel
from dnai.library.analysis import Ear, OpenExtractor, analyse_file, describe_file, describe_unforeseen, open_ears
from dnai.library.content import content_id
from dnai.library.rows import CataloguedTrack, FileStamp
from dnai.text import clean_text

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A file, as it was found, and the ids of the features that are wanted of it; with none it is only described."""

    path: Path
    stamp: FileStamp
    feature_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing came of a file.

    `passing` when the reason may be gone next time, `no_room` when the disk was full, which concerns
    every other file as well.
    """

    reason: str
    passing: bool = False
    no_room: bool = False


Outcome = CataloguedTrack | Trouble
Started = Callable[[Job], None]


class Analysts(AbstractContextManager["Analysts"], Protocol):
    """Whoever analyses files; as a context manager it leaves nothing behind."""

    def analyse(self, jobs: Sequence[Job], *, started: Started) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with its outcome, in the order in which they end; `started` is told of each beginning.

        Raises
        ------
        ModelError
            When the features of a model cannot be measured.
        """


class InThisProcess:
    """Analyses one file after the other, without limits; the ears are opened for the first file to hear.

    Parameters
    ----------
    models
        In order of preference.
    open_extractor
        Opens what measures the features of a model; called once for each.
    """

    def __init__(self, models: Sequence[GenreModel], open_extractor: OpenExtractor) -> None:
        self._models = models
        self._open_extractor = open_extractor
        self._ears: tuple[Ear, ...] | None = None

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ears = None

    def analyse(self, jobs: Sequence[Job], *, started: Started) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with its outcome, in their order; raises `ModelError`."""
        for job in jobs:
            started(job)
            if self._ears is None and job.feature_ids:
                self._ears = open_ears(self._models, self._open_extractor)
            yield job, perform(job, self._ears or ())


def perform(job: Job, ears: Sequence[Ear]) -> Outcome:
    """Return what those of the ears that are wanted hear in a file, or only what it tells of itself.

    Whatever is wrong with it is no error here.
    """
    wanted = [ear for ear in ears if ear.model.feature_id in job.feature_ids]
    try:
        track = analyse_file(job.path, job.stamp, wanted) if job.feature_ids else describe_file(job.path, job.stamp)
        return CataloguedTrack(track.file._replace(content_id=content_id(job.path)), track.hearings)
    except AudioError as error:
        return Trouble(str(error))
    except OSError as error:
        return Trouble(f"not readable: {error.strerror}", passing=True, no_room=error.errno == errno.ENOSPC)
    except MemoryError:
        return Trouble("needs more memory than a file may have")
    except Exception as error:  # one file must never end the scan of the others
        _logger.exception("the analysis of %s failed", clean_text(str(job.path)))
        return Trouble(describe_unforeseen(error))

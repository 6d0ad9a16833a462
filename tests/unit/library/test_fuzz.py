"""Damaged files of every format in one scan: each is a track or has a reason, and none costs more than itself.

`TEST_FUZZ_FILES` says how many of each format there are, `TEST_FUZZ_SEED` which; the figures are logged, and
shown with ``-o log_cli=true --log-cli-level=INFO``.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest

from dnai.audio.kinds import read_audio_type
from dnai.audio.tags import Tags, read_tags
from dnai.config import PROJECT_DIR
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.jobs import Job, Outcome, Started, Trouble
from dnai.library.pool import Limits, Pool
from dnai.library.rows import CataloguedTrack, Failure
from dnai.library.scanner import ScanSummary, scan_folders
from dnai.text import clean_text
from tests.sounds import music, write_sound
from tests.unit.library.damage import Original, damage, make_originals
from tests.unit.library.test_pool import is_running

FILES = int(os.environ.get("TEST_FUZZ_FILES", "30"))
SEED = int(os.environ.get("TEST_FUZZ_SEED", "1"))
GOOD_EVERY = 40
MOST_S = 20.0
MOST_MEMORY_MB = 300
LIMITS = Limits(base_s=MOST_S, most_s=MOST_S)
REASONS = (
    "not readable as sound",
    "holds no sound",
    "too short",
    "too long",
    "silent from beginning to end",
    "damaged",
    "empty: 0 bytes",
    "nothing can be measured",
    "needs more memory than a file may have",
    "its analysis ended by SIG",
    "took longer than",
)
_logger = logging.getLogger(__name__)


@dataclass
class Watched:
    """A pool whose children are watched: how long each file takes, and the most memory that one has."""

    pool: Pool
    pids: set[int] = field(default_factory=set)
    seconds: dict[Path, float] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    memory_mb: int = 0

    def __enter__(self) -> Watched:
        self.pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pool.__exit__(kind, error, trace)

    def analyse(self, jobs: Sequence[Job], *, started: Started) -> Iterator[tuple[Job, Outcome]]:
        """As the pool does."""
        begun: dict[Path, float] = {}

        def begin(job: Job) -> None:
            begun[job.path] = time.monotonic()
            started(job)

        for job, outcome in self.pool.analyse(jobs, started=begin):
            self.seconds[job.path] = time.monotonic() - begun[job.path]
            self.outcomes[classify(outcome)] += 1
            self.pids |= set(self.pool.pids)
            self.memory_mb = max([self.memory_mb, *map(peak_memory_mb, self.pool.pids)])
            yield job, outcome


def peak_memory_mb(pid: int) -> int:
    """The most memory that a process has had at once; nothing of one that has ended."""
    try:
        match = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    except OSError:
        return 0
    return int(match[1]) // 1024 if match else 0


def classify(outcome: Outcome) -> str:
    """The kind of a reason, or "track"."""
    if isinstance(outcome, CataloguedTrack):
        return "track"
    return next((one for one in REASONS if outcome.reason.startswith(one)), f"unknown: {outcome.reason}")


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Original]:
    """A good file of every format."""
    return make_originals(tmp_path_factory.mktemp("originals"))


@pytest.fixture(scope="session")
def damaged(originals: list[Original], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of damaged files, of all formats in turn."""
    folder = tmp_path_factory.mktemp("damaged")
    for number in range(FILES):
        for which, original in enumerate(originals):
            one = damage(original, originals, (SEED, which, number))
            name = f"{number:04d} {which:02d} {original.kind} {one.damage}{one.suffix}"
            (folder / name).write_bytes(one.content)
    return folder


@pytest.fixture
def _children_find_these_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """They look for modules where this process does."""
    monkeypatch.syspath_prepend(str(PROJECT_DIR))


def add_good_files(folder: Path, *, count: int) -> None:
    """Strew good files between the others, in the order of their names."""
    for number in range(count):
        y = music(duration_s=0.5, root_hz=200 + number % 300, seed=number)
        write_sound(folder / f"{number * GOOD_EVERY // 15:04d} {number % 15:02d} a good file {number}.wav", y)


def scan(folder: Path, catalogue: Catalogue, model: GenreModel) -> tuple[ScanSummary, Watched]:
    watched = Watched(Pool([model.folder], processes=2, preparing=lambda: None, limits=LIMITS))
    summary = scan_folders([folder], catalogue, [model], analysts=watched, report=lambda _progress: None)
    return summary, watched


def features(catalogue: Catalogue) -> dict[str, list[float]]:
    """What was measured, by the names of the files."""
    return {one.file.path.name: one.hearings[0].features.tolist() for one in catalogue.tracks()}


def is_told_well(failure: Failure) -> bool:
    """Whether a reason is one of those that are meant for damaged files, and is fit to be shown."""
    is_clean = failure.reason == clean_text(failure.reason, max_chars=400)
    return is_clean and not failure.passing and classify(Trouble(failure.reason)) in REASONS


def is_sane(track: CataloguedTrack) -> bool:
    """Whether a damaged file of a second is a track that can be offered."""
    file, hearing = track.file, track.hearings[0]
    numbers = bool(hearing.features.shape == (26,) and np.isfinite(hearing.features).all())
    return numbers and 0.1 <= file.duration_s < 600 and file.title == clean_text(file.title) != ""


@pytest.mark.timeout(240 + FILES * 15)
def test_every_damaged_file_is_a_track_or_has_a_reason_and_the_good_ones_are_not_disturbed(
    damaged: Path, tmp_path: Path, catalogue: Catalogue, model: GenreModel, capfd: pytest.CaptureFixture[str]
) -> None:
    """In bounded time and memory, without a word on stderr; and the next scan has nothing to do."""
    count = len(list(damaged.iterdir())) // GOOD_EVERY
    alone = tmp_path / "alone"
    alone.mkdir()
    for folder in (damaged, alone):
        add_good_files(folder, count=count)
    with Catalogue(tmp_path / "alone.sqlite3") as undisturbed:
        assert scan(alone, undisturbed, model)[0].analysed == count
        expected = features(undisturbed)

    summary, watched = scan(damaged, catalogue, model)
    tell(summary, watched, capfd)

    failures, tracks = catalogue.failures(), catalogue.tracks()
    assert [one for one in failures if not is_told_well(one)] == []
    assert [(one.file.path.name, one.file.duration_s) for one in tracks if not is_sane(one)] == []
    known = [*catalogue.known_files(), *(one.path for one in failures)]
    assert sorted(known) == sorted(damaged.iterdir())
    found = features(catalogue)
    assert {name: found.get(name) for name in expected} == expected
    assert capfd.readouterr().err == ""
    assert watched.memory_mb <= MOST_MEMORY_MB
    assert max(watched.seconds.values()) < MOST_S + 5
    assert not any(map(is_running, watched.pids))
    assert scan(damaged, catalogue, model)[0] == ScanSummary(0, 0, unchanged=len(known), dropped=0)


def tell(summary: ScanSummary, watched: Watched, capfd: pytest.CaptureFixture[str]) -> None:
    """Log the figures of a campaign."""
    with capfd.disabled():
        _logger.info("%s tracks, %s failures, %s processes", summary.analysed, summary.failed, len(watched.pids))
        for reason, number in watched.outcomes.most_common():
            _logger.info("%6d %s", number, reason)
        for path, seconds in sorted(watched.seconds.items(), key=lambda item: -item[1])[:5]:
            _logger.info("%6.2f s %s", seconds, path.name)
        _logger.info("peak memory of a process: %d MB", watched.memory_mb)


@pytest.mark.timeout(120 + FILES * 5)
def test_the_tags_of_damaged_files_never_raise(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """There are some or none, on one line, and a kind; whether it is sound is for the decoder to say."""
    for path in sorted(damaged.iterdir()):
        tags = read_tags(path)
        assert isinstance(tags, Tags)
        for text in (tags.title, tags.artist, tags.album, tags.album_artist):
            assert text == clean_text(text)
        assert tags.title
        assert read_audio_type(path)
    assert capfd.readouterr().err == ""

"""What a scan tells others of itself: not too often, always the latest, and nothing of what is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dnai.cli.scan_published import WRITE_INTERVAL_S, Publication, publishing
from dnai.library.scan_lock import scan_lock
from dnai.library.scan_state import ScanOutcome, ScanPhase, ScanState, ScanStateReader, state_path
from dnai.library.scanner import ScanProgress, ScanStep, ScanSummary


class Time:
    """A clock that the test turns, and what is to be called later."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        """Return the time, seconds."""
        return self.now

    def later(self, delay_s: float, job: Callable[[], None]) -> None:
        """Note a job for its time."""
        self.waiting.append((self.now + delay_s, job))

    def pass_by(self, seconds: float) -> None:
        """Turn the clock, and do what is due."""
        self.now += seconds
        due = [job for at, job in self.waiting if at <= self.now]
        self.waiting = [(at, job) for at, job in self.waiting if at > self.now]
        for job in due:
            job()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A catalogue that is being scanned."""
    path = tmp_path / "catalogue.sqlite3"
    with scan_lock(path, waiting=print):
        yield path


@pytest.fixture
def time() -> Time:
    """A time that stands still unless turned."""
    return Time()


@pytest.fixture
def publication(path: Path, time: Time) -> Publication:
    """What a scan publishes."""
    return Publication(path, clock=time, time_of_day=lambda: 5000.0, later=time.later)


def read(path: Path) -> ScanState:
    """The state as a reader sees it now."""
    state = ScanStateReader(path, clock=lambda: 5000.0).current()
    assert state is not None
    return state


def progress(done: int, name: str = "", *, total: int = 12, step: ScanStep = ScanStep.NEW) -> ScanProgress:
    """So many of a dozen songs of two minutes."""
    return ScanProgress(done, total, name, step, heard_s=done * 120.0)


def test_preparation_progress_and_end_follow_each_other(path: Path, time: Time, publication: Publication) -> None:
    """With speed and time left as soon as they are known."""
    publication.prepare()
    assert read(path).phase is ScanPhase.PREPARING
    time.pass_by(1)
    publication.show(progress(0, "a.flac"))
    first = read(path)
    assert (first.phase, first.done, first.total, first.current) == (ScanPhase.NEW, 0, 12, "a.flac")
    assert (first.minutes_per_s, first.left_s) == (None, None)
    for done in (1, 2, 3):
        time.pass_by(1)
        publication.show(progress(done))
    assert read(path).minutes_per_s == pytest.approx(2.0)
    assert read(path).left_s == pytest.approx(9.0)
    time.pass_by(1)
    publication.show(progress(4, total=5, step=ScanStep.UPDATE))
    assert read(path).phase is ScanPhase.UPDATE
    publication.finish(ScanSummary(analysed=11, failed=1, unchanged=3, dropped=2, updated=5, recognised=4))
    end = read(path)
    assert end.phase is ScanPhase.ENDED
    assert end.outcome == ScanOutcome(new=11, unusable=1, updated=5, recognised=4, dropped=2)
    assert end.ended_at == 5000.0


def test_a_few_times_a_second_is_enough_and_the_latest_is_never_lost(
    path: Path, time: Time, publication: Publication
) -> None:
    """What comes too early waits its turn, and only the latest of it is written."""
    publication.show(progress(0, "first"))
    for done in range(1, 10):
        publication.show(progress(done, "on"))
    assert read(path).done == 0
    time.pass_by(WRITE_INTERVAL_S / 2)
    assert read(path).done == 0
    time.pass_by(WRITE_INTERVAL_S)
    assert read(path).done == 9
    assert time.waiting == []
    publication.show(progress(10))
    publication.show(progress(11))
    time.pass_by(WRITE_INTERVAL_S)
    assert read(path).done == 11


def test_what_waits_does_not_come_after_the_end(path: Path, time: Time, publication: Publication) -> None:
    """Neither after the summary, nor after a scan that was given up."""
    publication.show(progress(1))
    publication.show(progress(2))
    publication.finish(ScanSummary(12, 0, 0, 0))
    time.pass_by(10)
    assert read(path).phase is ScanPhase.ENDED
    publication.show(progress(3))
    publication.show(progress(4))
    publication.withdraw()
    time.pass_by(10)
    assert not state_path(path).exists()


def test_a_scan_that_finds_nothing_says_nothing(path: Path, publication: Publication) -> None:
    """And leaves standing what the one before it has said."""
    publication.show(progress(0, total=0))
    publication.finish(ScanSummary(0, 0, 3400, 0))
    publication.withdraw()
    assert not state_path(path).exists()
    publication.finish(ScanSummary(1, 0, 3400, 0))
    publication.show(progress(0, total=0))
    publication.finish(ScanSummary(0, 0, 3401, 0))
    publication.withdraw()
    assert read(path).outcome == ScanOutcome(new=1)


def test_a_scan_that_fails_is_over(path: Path) -> None:
    """Its place is taken away, and the error goes on."""

    def fail_in_the_middle() -> None:
        with publishing(path) as publication:
            publication.show(progress(1))
            assert read(path).done == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle()
    assert not state_path(path).exists()


def test_without_the_lock_nothing_counts(tmp_path: Path) -> None:
    """A state that no scan stands for is not shown."""
    path = tmp_path / "other.sqlite3"
    Publication(path).show(progress(1))
    assert ScanStateReader(path).current() is None


def test_the_real_timer_writes_what_waited(path: Path, eventually: Callable[..., None]) -> None:
    """Without another word from the scan."""
    publication = Publication(path)
    publication.show(progress(1))
    publication.show(progress(2))
    eventually(lambda: read(path).done == 2, "the second state to be written")

"""The scan of the listener's own music, on its way to the pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from dnai.library.scan_lock import scan_holder, scan_lock
from dnai.library.scan_state import (
    ENDED_SHOWN_S,
    ScanOutcome,
    ScanPhase,
    ScanState,
    ScanStateFile,
    ScanStateReader,
    state_path,
)
from tests.conftest import Eventually
from tests.web.conftest import Clock
from web.scans import NO_SCAN, ScanShown, ScanWatch, scan_shown
from web.tabs import Tab, Tabs

HALF = ScanState(ScanPhase.NEW, done=120, total=3400, current="So What.flac", minutes_per_s=6.12, left_s=720.0)


class Pages:
    """Open tabs, a scan that the test runs, and what the tabs are told of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.tabs = Tabs(clock=self.clock)
        self.told: list[tuple[str, ScanShown]] = []
        reader = ScanStateReader(path, clock=self.clock)
        self.watch = ScanWatch(reader, self.tabs, tell=lambda sid, shown: self.told.append((sid, shown)))

    def open(self, number: int, sid: str) -> None:
        """Open a tab, or connect it again."""
        self.tabs.arrive(f"{number:032x}", load=f"{number:032x}", sid=sid, equip=_equip)

    def publish(self, state: ScanState = HALF) -> None:
        """Write where the scan is, as the one who holds the lock."""
        ScanStateFile(self.path).write(replace(state, holder=scan_holder(self.path)))

    def look(self) -> list[tuple[str, ScanShown]]:
        """Have the watch look once; return what it told whom."""
        self.told.clear()
        self.watch.look()
        return list(self.told)


def _equip(_tab: Tab) -> None:
    """Nothing more is needed here."""


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """No page is open yet, and there is no catalogue."""
    pages = Pages(tmp_path / "catalogue.sqlite3")
    yield pages
    pages.tabs.close()


@pytest.fixture
def scanning(pages: Pages) -> Iterator[ExitStack]:
    """A scan holds the lock until this is closed, as when it is killed."""
    with ExitStack() as stack:
        stack.enter_context(scan_lock(pages.path, waiting=print))
        yield stack


def test_without_a_scan_nothing_is_said(pages: Pages) -> None:
    """With tabs and without."""
    assert pages.look() == []
    pages.open(1, "a")
    assert pages.look() == []


def test_every_tab_is_told_each_change_once(pages: Pages, scanning: ExitStack) -> None:
    """Those that were there, and one that comes in the middle, at once."""
    pages.open(1, "a")
    pages.publish()
    half = scan_shown(HALF)
    assert pages.look() == [("a", half)]
    assert pages.look() == []
    pages.open(2, "b")
    assert pages.look() == [("b", half)]
    pages.publish(replace(HALF, done=121))
    assert pages.look() == [("a", replaced := scan_shown(replace(HALF, done=121))), ("b", replaced)]


def test_a_tab_that_is_connected_anew_is_told_anew(pages: Pages, scanning: ExitStack) -> None:
    """A reloaded page has forgotten it."""
    pages.open(1, "a")
    pages.publish()
    pages.look()
    pages.tabs.leave("a")
    assert pages.look() == []
    pages.open(1, "b")
    assert pages.look() == [("b", scan_shown(HALF))]


def test_a_killed_scan_is_taken_off_the_page(pages: Pages, scanning: ExitStack) -> None:
    """And the next one is shown as soon as it says something."""
    pages.open(1, "a")
    pages.publish()
    pages.look()
    scanning.close()
    assert state_path(pages.path).is_file()
    assert pages.look() == [("a", NO_SCAN)]
    assert pages.look() == []
    with scan_lock(pages.path, waiting=print):
        assert pages.look() == []
        pages.publish(ScanState(ScanPhase.PREPARING))
        assert [shown.phase for _, shown in pages.look()] == ["preparing"]


def test_the_end_goes_away_after_a_while_and_makes_room_for_the_next(pages: Pages, scanning: ExitStack) -> None:
    """Two scans, one after the other."""
    pages.open(1, "a")
    pages.publish()
    pages.look()
    pages.publish(ScanState(ScanPhase.ENDED, outcome=ScanOutcome(new=12), ended_at=pages.clock.now))
    assert [shown.phase for _, shown in pages.look()] == ["ended"]
    pages.publish()
    assert [shown.phase for _, shown in pages.look()] == ["running"]
    pages.publish(ScanState(ScanPhase.ENDED, outcome=ScanOutcome(new=1), ended_at=pages.clock.now))
    assert [shown.line for _, shown in pages.look()] == ["Scanned: 1 new or changed"]
    pages.clock.now += ENDED_SHOWN_S
    assert pages.look() == [("a", NO_SCAN)]


def test_while_nobody_looks_nothing_is_read(pages: Pages, scanning: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is closed costs nothing."""
    pages.publish()
    monkeypatch.setattr(ScanStateReader, "current", lambda _self: pytest.fail("the state was read"))
    assert pages.look() == []


def test_a_look_that_fails_is_logged_and_the_next_one_comes(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    """The thread goes on."""
    looks: list[int] = []

    def fail_once(_watch: ScanWatch) -> None:
        looks.append(1)
        if len(looks) == 1:
            raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(ScanWatch, "look", fail_once)
    pages.watch.start()
    eventually(lambda: len(looks) >= 2, "a second look")
    pages.watch.stop()
    assert caplog.text.count("the scan could not be looked at") == 1


def test_a_running_scan_in_words() -> None:
    """How many of how many, how fast, how long still, and the file."""
    shown = scan_shown(HALF)
    assert shown.line == "Scanning your music: 120 of 3,400 tracks"
    assert shown.facts == "6.1 min of music a second · about 12 min left"
    assert (shown.phase, shown.current, shown.done, shown.total) == ("running", "So What.flac", 120, 3400)


def test_what_is_not_known_yet_is_not_said() -> None:
    """At the beginning, and while a new model hears what is there."""
    shown = scan_shown(ScanState(ScanPhase.UPDATE, done=0, total=1))
    assert (shown.line, shown.facts) == ("Bringing your music up to date: 0 of 1 track", "")


@pytest.mark.parametrize(
    ("left_s", "said"),
    [
        (0.0, "less than a minute left"),
        (29.0, "less than a minute left"),
        (31.0, "about 1 min left"),
        (3569.0, "about 59 min left"),
        (3600.0, "about 1 h left"),
        (5400.0, "about 1 h 30 min left"),
        (86_430.0, "about 24 h left"),
    ],
)
def test_the_time_left_is_said_no_finer_than_it_is_known(left_s: float, said: str) -> None:
    """In minutes, then in hours."""
    assert scan_shown(replace(HALF, minutes_per_s=None, left_s=left_s)).facts == said


def test_preparation_and_end_in_words() -> None:
    """With the command that gives the reasons, where there are any."""
    assert scan_shown(ScanState(ScanPhase.PREPARING)).line == "Scanning your music: preparing the analysis"
    end = scan_shown(ScanState(ScanPhase.ENDED, outcome=ScanOutcome(new=12, unusable=2, recognised=3)))
    assert end.line == "Scanned: 12 new or changed, 3 under new names, 2 could not be used"
    assert end.facts == "dnai tracks --failed says why"
    assert scan_shown(ScanState(ScanPhase.ENDED, outcome=ScanOutcome(dropped=1))).facts == ""

"""The demo as a newcomer meets it: free music, the page, and the requests that it proposes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Visitor
from tests.demo_process import DemoProcess

FIRST_RUN_S = 420.0

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """A first run of the demo, with the free music, all of it analysed anew."""
    with DemoProcess(demo_dir=tmp_path_factory.mktemp("newcomer") / "demo") as running:
        running.await_ready(timeout_s=FIRST_RUN_S)
        yield running


def test_it_proposes_three_requests_of_two_winners_at_least(demo: DemoProcess) -> None:
    """Three different requests, a song among them, that not all the same provider answers."""
    assert len(demo.proposals) == 3
    assert len(set(demo.proposals.values())) >= 2
    assert any(text.startswith("something like ") for text in demo.proposals)


def test_what_it_proposes_is_heard_in_the_page(demo: DemoProcess, visit: Callable[..., Visitor]) -> None:
    """Typed into the page, each proposed request plays music of the provider that was named."""
    for text, name in demo.proposals.items():
        page = visit(demo.url)
        page.say(text)
        page.await_line(re.escape(name), timeout_s=30)
        page.await_sound(beyond_s=0.5, timeout_s=30)
        assert name in page.page.locator("#now-whose").inner_text()


def test_it_shows_how_far_it_is(demo: DemoProcess) -> None:
    """While music is prepared and analysed it says how many tracks of how many."""
    assert re.search(r"preparing free music: \d+ of 39 tracks", demo.told)
    assert re.search(r"analysing music: \d+ of 39 tracks \(Anna \d/8", demo.told)


def test_there_are_enough_tracks_in_three_collections(demo: DemoProcess) -> None:
    """Three workers share at least 25 tracks together, none of them failed, mp3 among them."""
    shared = [int(count) for count in re.findall(r"worker ready: .* shares (\d+) tracks", demo.told)]
    assert len(shared) == 3
    assert sum(shared) >= 25
    assert "could not be used" not in demo.told
    assert list((demo.demo_dir / "music").rglob("*.mp3"))


def test_licence_and_authors_are_on_the_page(demo: DemoProcess, visit: Callable[..., Visitor]) -> None:
    """Who made the music, and under which licence, can be read on the page."""
    page = visit(demo.url)
    page.page.locator("#credits summary").click()
    shown = page.page.locator("#credits").inner_text()
    for words in ("Muldjord", "Max McCracken", "Will Savino", "Michael Kievernagel", "CC BY-SA 3.0", "GPL-2+"):
        assert words in shown


def test_the_folder_of_the_demo_is_all_that_is_written(demo: DemoProcess, tmp_path: Path) -> None:
    """The music of the packages is copied, not touched: what is analysed lies under the demo's own folder."""
    assert {path.name for path in (demo.demo_dir / "music").iterdir()} >= {"Anna", "Ben", "Clara", "Lena"}

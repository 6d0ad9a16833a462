"""A scan of the listener's own music, as the open page shows it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from dnai.library.scan_state import ScanPhase, ScanStateReader
from tests.browser.conftest import Visitor
from tests.conftest import Eventually
from tests.sounds import music, tag, write_sound
from tests.web_process import WebApp

Visit = Callable[..., Visitor]
StartWeb = Callable[..., WebApp]
Scan = Callable[..., subprocess.Popen[bytes]]

SONGS = 20
MARKUP = "<img src=x onerror=alert(1)>"
SEEN_S = 60.0
GONE_S = 40.0

NOTE_CHANGES = """() => {
  window.seen = [];
  const note = () => {
    const bar = document.getElementById('scan-bar');
    const text = (id) => document.getElementById(id).textContent;
    window.seen.push({
      phase: document.getElementById('scan').dataset.phase, line: text('scan-line'), facts: text('scan-facts'),
      current: text('scan-current'), news: text('scan-news'), done: bar.value, total: bar.max, bar: !bar.hidden,
    });
  };
  const changes = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(note).observe(document.getElementById('scan'), changes);
}"""


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty minutes of something like music, and a file that is none; their names are markup."""
    folder = tmp_path_factory.mktemp("songs")
    for i in range(SONGS):
        path = write_sound(folder / f"{MARKUP}{i:02d}.flac", music(duration_s=60.0, root_hz=200 + 10 * i, seed=i))
        tag(path, {"title": f"Melody Number {i}", "artist": "The Testers", "genre": "Jazz"})
    (folder / "broken.mp3").write_bytes(b"no music")
    return folder


@pytest.fixture
def folder(songs: Path, tmp_path: Path) -> Path:
    """A music folder of the test's own."""
    return Path(shutil.copytree(songs, tmp_path / "music"))


@pytest.fixture
def scan(data_dir: Path, folder: Path) -> Iterator[Scan]:
    """Starts ``dnai scan`` into the data directory of the page, and ends it after the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "dnai.cli", "scan", str(folder), "--data-dir", str(data_dir)]
        command += ["--models", "librosa26", "--scan-processes", "1", *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DNAI_")}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(10)


@pytest.fixture
def scan_and_hold(scan: Scan, data_dir: Path, eventually: Eventually) -> Scan:
    """Starts a scan, and lets it stand still in the middle."""

    def start() -> subprocess.Popen[bytes]:
        reader, process = ScanStateReader(data_dir / "catalogue.sqlite3"), scan()

        def is_running() -> bool:
            state = reader.current()
            return state is not None and state.phase is ScanPhase.NEW

        eventually(is_running, "the scan to run", timeout_s=SEEN_S)
        process.send_signal(signal.SIGSTOP)
        return process

    return start


def await_phase(visitor: Visitor, phase: str, *, timeout_s: float = SEEN_S) -> None:
    """Wait until the page shows the scan in this phase; it is called none when it is not shown."""
    strip = visitor.page.locator("#scan")
    if phase == "none":
        expect(strip).to_be_hidden(timeout=timeout_s * 1000)
    else:
        expect(visitor.page.locator(f"#scan[data-phase={phase}]")).to_be_visible(timeout=timeout_s * 1000)


def seen(visitor: Visitor) -> list[dict[str, Any]]:
    """Return everything that the page has shown of scans since `NOTE_CHANGES`."""
    found: list[dict[str, Any]] = visitor.page.evaluate("window.seen")
    return found


def test_the_page_follows_a_scan_from_its_beginning_to_its_end(start_web: StartWeb, visit: Visit, scan: Scan) -> None:
    """With bar, numbers and names as text; then what came of it, the new tracks, and nothing any more."""
    page = visit(start_web("--models", "librosa26").await_ready())
    page.page.evaluate(NOTE_CHANGES)
    expect(page.page.locator("#status-text")).to_contain_text("0 tracks of your own")
    assert page.page.locator("#scan").is_hidden()
    scan()
    await_phase(page, "running")
    await_phase(page, "ended")
    expect(page.page.locator("#scan-line")).to_have_text(f"Scanned: {SONGS} new or changed, 1 could not be used")
    expect(page.page.locator("#scan-facts")).to_have_text("dnai tracks --failed says why")
    expect(page.page.locator("#scan-bar")).to_be_hidden()
    running = [one for one in seen(page) if one["phase"] == "running" and one["line"].startswith("Scanning")]
    assert {one["line"].split(": ")[1] for one in running} <= {f"{n} of 21 tracks" for n in range(22)}
    assert any(one["total"] == SONGS + 1 and one["bar"] for one in running)
    assert [one["done"] for one in running] == sorted(one["done"] for one in running)
    assert any(MARKUP in one["current"] for one in running)
    assert page.page.locator("#scan img").count() == 0
    expect(page.page.locator("#status-text")).to_contain_text(f"{SONGS} tracks of your own")
    page.say("play Melody Number 7 from my collection")
    page.await_title("Melody Number 7")
    await_phase(page, "none", timeout_s=GONE_S)


def test_a_reload_and_a_second_tab_show_the_scan_and_a_kill_takes_it_away(
    start_web: StartWeb, visit: Visit, scan: Scan, scan_and_hold: Scan
) -> None:
    """It was running before the page was there; killed, no bar stands still for ever, and the next scan is shown."""
    process = scan_and_hold()
    url = start_web("--models", "librosa26").await_ready()
    page = visit(url)
    await_phase(page, "running")
    page.page.reload()
    await_phase(page, "running")
    second = visit(url)
    await_phase(second, "running")
    shown = [one.page.locator("#scan-line").inner_text() for one in (page, second)]
    assert shown[0] == shown[1]
    assert re.fullmatch(r"Scanning your music: \d+ of 21 tracks", shown[0])
    process.kill()
    process.wait(10)
    await_phase(page, "none", timeout_s=10)
    await_phase(second, "none", timeout_s=10)
    scan()
    await_phase(page, "ended")
    await_phase(second, "ended")


def test_a_scan_that_watches_is_shown_each_time(start_web: StartWeb, visit: Visit, scan: Scan, folder: Path) -> None:
    """As that of a worker: the first scan, and the one after a song was added."""
    page = visit(start_web("--models", "librosa26").await_ready())
    scan("--watch", "--json")
    line = page.page.locator("#scan-line")
    expect(line).to_have_text(f"Scanned: {SONGS} new or changed, 1 could not be used", timeout=SEEN_S * 1000)
    write_sound(folder / "another.wav", music(duration_s=2.0, seed=99))
    expect(line).to_have_text("Scanned: 1 new or changed", timeout=SEEN_S * 1000)
    expect(page.page.locator("#status-text")).to_contain_text(f"{SONGS + 1} tracks of your own")


@pytest.mark.parametrize(("width", "height"), [(1280, 860), (360, 740)])
def test_the_strip_fits_the_page_and_is_told_to_those_who_listen(
    start_web: StartWeb, visit: Visit, scan_and_hold: Scan, width: int, height: int
) -> None:
    """Nothing scrolls sideways, the field stays in sight; the bar has a name, and numbers are no live region."""
    page = visit(start_web("--models", "librosa26").await_ready(), width=width, height=height)
    scan_and_hold()
    await_phase(page, "running")
    bar = page.page.get_by_role("progressbar")
    expect(bar).to_have_accessible_name(re.compile(r"Scanning your music: \d+ of 21 tracks"))
    assert page.page.locator("#scan [aria-live], #scan [role=status], #scan[aria-live]").count() == 0
    expect(page.page.locator("#scan-news")).to_have_text("Your music is being scanned.")
    assert page.page.evaluate("document.documentElement.scrollWidth") == width
    for part in ("#scan-bar", "#scan-line", "#say"):
        box = page.page.locator(part).bounding_box()
        assert box is not None, part
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= width, part
        assert box["y"] + box["height"] <= height, part


def test_the_scan_of_another_data_directory_is_not_shown(
    start_web: StartWeb, visit: Visit, folder: Path, tmp_path: Path, data_dir: Path
) -> None:
    """As in the demo, where each provider has one of its own."""
    page = visit(start_web("--models", "librosa26").await_ready())
    page.page.evaluate(NOTE_CHANGES)
    command = [sys.executable, "-P", "-m", "dnai.cli", "scan", str(folder), "--models", "librosa26"]
    command += ["--scan-processes", "1", "--data-dir", str(tmp_path / "other")]
    ended = subprocess.run(command, timeout=120, check=False, capture_output=True)
    assert ended.returncode == 0
    assert (tmp_path / "other" / "catalogue.sqlite3.scan-state").is_file()
    assert not (data_dir / "catalogue.sqlite3.scan-state").exists()
    assert seen(page) == []
    assert page.page.locator("#scan").is_hidden()

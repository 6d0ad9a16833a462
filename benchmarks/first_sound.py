"""Seconds from sending a message to the first sound, in Chromium, on loopback.

A real worker with real songs, a private RabbitMQ node, the page, and a request typed into it. The page
itself measures, from sending to an audio element whose time moves. The baseline is what no recommender
can beat: the same browser plays the same file from a plain web server, measured from ``play()`` on.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from benchmarks.analysis import find_songs
from dnai.broker.members import Member, definitions
from dnai.broker.private_node import PrivateNode
from dnai.config import PROJECT_DIR, load_settings
from dnai.library.catalogue import Catalogue
from dnai.library.collection import read_collection
from dnai.library.models import load_models

ROUNDS = 10
SONGS = 3
VHOST = "dnai"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_READY_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 10.0
_PAUSE_MS = 2500
"""Between two rounds, since the page asks people who type faster to wait."""

_PLAIN = """async (url) => {
  const audio = new Audio();
  const asked = performance.now();
  audio.src = url;
  await audio.play();
  while (audio.currentTime === 0) await new Promise(requestAnimationFrame);
  const took = performance.now() - asked;
  audio.pause();
  audio.removeAttribute("src");
  return took;
}"""


def main() -> None:
    """Print the table."""
    ours, plain = measure()
    ratio = statistics.median(ours) / statistics.median(plain)
    print(f"first sound in Chromium, {ROUNDS} rounds, milliseconds")
    print(f"{'':>26} {'median':>8} {'slowest':>8}")
    print(f"{'message sent to sound':>26} {statistics.median(ours):>8.0f} {max(ours):>8.0f}")
    print(f"{'plain file to sound':>26} {statistics.median(plain):>8.0f} {max(plain):>8.0f}")
    print(f"ratio of the medians {ratio:.2f}", flush=True)


def measure() -> tuple[list[float], list[float]]:
    """Return milliseconds to the first sound for each round, of the page and of a plain file, taken in turn."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dnai-bench-")))
        music = scratch / "music"
        music.mkdir()
        for song in find_songs()[:SONGS]:
            shutil.copy(song, music)
        members = [Member("anna", "pw-anna"), Member("you", "pw-you")]
        node = stack.enter_context(PrivateNode(home=scratch / "node", definitions=definitions(members, vhost=VHOST)))
        worker = ["-m", "workers.worker", str(music), "--listen", "127.0.0.1:0", "--data-dir", str(scratch / "anna")]
        worker += ["--broker", node.url("anna", "pw-anna", VHOST)]
        stack.enter_context(_running(worker, ready="worker ready"))
        web = ["-m", "dnai.cli", "web", "--listen", "127.0.0.1:0", "--data-dir", str(scratch / "you")]
        web += ["--broker", node.url("you", "pw-you", VHOST)]
        url = stack.enter_context(_running(web, ready="DN.ai is ready: ")).removeprefix("DN.ai is ready: ")
        settings = load_settings({"data_dir": scratch / "anna"})
        with Catalogue(settings.catalogue_path) as catalogue:
            track = read_collection(catalogue, load_models(settings.model_dirs)).tracks[0]
        plain_url = stack.enter_context(_plain_server(music)) + track.path.name
        chromium = stack.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_OPTIONS))
        stack.callback(browser.close)
        page, plain_page = browser.new_page(), browser.new_page()
        page.goto(url)
        page.locator("#log .line").first.wait_for()
        message = f"play some {track.genre.spoken} from peers"
        ours, plain = [], []
        for _ in range(ROUNDS + 1):
            ours.append(_first_sound_ms(page, message))
            page.evaluate("document.getElementById('audio').pause()")
            plain.append(float(plain_page.evaluate(_PLAIN, plain_url)))
            page.wait_for_timeout(_PAUSE_MS)
        return ours[1:], plain[1:]


def _first_sound_ms(page: Page, message: str) -> float:
    page.evaluate("delete document.getElementById('player').dataset.firstSoundMs")
    page.fill("#say", message)
    page.press("#say", "Enter")
    try:
        page.wait_for_selector("#player[data-first-sound-ms]", timeout=30_000)
    except PlaywrightTimeoutError as error:
        said = page.locator("#log .line-text").all_inner_texts()
        raise SystemExit(f"no sound in 30 s; the page says: {said[-6:]}") from error
    return float(page.get_attribute("#player", "data-first-sound-ms") or "nan")


@contextmanager
def _running(arguments: list[str], *, ready: str) -> Iterator[str]:
    """Run a Python program until the block ends; yields its first line that starts with `ready`."""
    environ: Mapping[str, str] = {**os.environ, "DNAI_LOG_LEVEL": "WARNING"}
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, cwd=PROJECT_DIR, env=environ
    )
    watchdog = threading.Timer(_READY_TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith(ready)), None)
        watchdog.cancel()
        if line is None:
            raise SystemExit(f"{' '.join(arguments[:3])} ended, or was not ready within {_READY_TIMEOUT_S:.0f} s")
        yield line.strip()
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


@contextmanager
def _plain_server(folder: Path) -> Iterator[str]:
    handler = functools.partial(_QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()

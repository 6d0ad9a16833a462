"""Covers in the player: of own music and of a peer's, and a placeholder where there is none."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dnai.tracks import Track
from tests.browser.conftest import Peer, Song, Visitor, WebApp

Join = Callable[..., Peer]
Visit = Callable[..., Visitor]
StartWeb = Callable[..., WebApp]

SHOWN = "() => { const c = document.getElementById('cover'); return !c.hidden && c.complete && c.naturalWidth > 0; }"
BOX = "() => { const b = document.querySelector('.cover').getBoundingClientRect(); return [b.width, b.height]; }"


def put_cover(folder: Path) -> None:
    """A picture with two halves, larger than it is shown, beside the music."""
    picture = Image.new("RGB", (900, 700), (190, 60, 30))
    picture.paste((30, 90, 120), (450, 0, 900, 700))
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    (folder / "Cover.PNG").write_bytes(encoded.getvalue())


def snap(page: Visitor, name: str) -> None:
    """Keep a picture of the page where somebody wants to look at it."""
    if folder := os.environ.get("DNAI_TEST_PICTURES"):
        page.page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_peers_cover_is_shown(circle: Any, start_web: StartWeb, join: Join, visit: Visit) -> None:
    """Small, from the page's own app, with words for those who do not see it; and on the system's controls."""
    anna = join("anna", Song("Covered", seconds=20.0), Song("Covered, too", distance=2.0, seconds=20.0))
    put_cover(anna.tracks[0].path.parent)
    page = visit(start_web("--broker", circle.url("dora")).await_ready())
    page.say("play some jazz from my peers")
    page.await_sound()
    page.page.wait_for_function(SHOWN, timeout=15_000)
    assert page.page.evaluate("document.getElementById('cover').naturalWidth") == 320
    assert page.page.get_attribute("#cover", "alt") == "Cover of Covered"
    artwork = page.page.evaluate("navigator.mediaSession.metadata.artwork.map(a => a.src)")
    assert artwork == [page.page.evaluate("document.getElementById('cover').src")]
    page.page.click("#next")
    page.await_title("Covered, too")
    page.page.wait_for_function(SHOWN, timeout=15_000)
    assert page.page.get_attribute("#cover", "alt") == "Cover of Covered, too"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("has_cover", [True, False])
def test_nothing_jumps_whether_there_is_a_cover_or_not(
    start_web: StartWeb,
    own_music: Callable[..., list[Track]],
    visit: Visit,
    width: int,
    scheme: str,
    has_cover: bool,
) -> None:
    """The place is kept from the start; without a picture it holds a plain sign, and the music plays."""
    [track] = own_music(Song("Alone", seconds=20.0))
    if has_cover:
        put_cover(track.path.parent)
    page = visit(start_web().await_ready(), width=width, color_scheme=scheme)
    before = page.page.evaluate(BOX)
    assert before[0] == before[1] >= 40
    height = page.page.evaluate("document.getElementById('player').offsetHeight")
    with page.page.expect_response(lambda answer: "/cover/" in answer.url, timeout=15_000) as asked:
        page.say("play some jazz from my collection")
    page.await_sound()
    assert asked.value.status == (200 if has_cover else 404)
    if has_cover:
        page.page.wait_for_function(SHOWN, timeout=15_000)
        assert asked.value.headers["content-type"] == "image/jpeg"
        assert asked.value.headers["x-content-type-options"] == "nosniff"
    assert page.page.locator("#cover").is_visible() is has_cover
    assert page.page.evaluate(BOX) == before
    assert page.page.evaluate("document.getElementById('player').offsetHeight") == height
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    snap(page, f"{width}-{scheme}-{'cover' if has_cover else 'none'}")

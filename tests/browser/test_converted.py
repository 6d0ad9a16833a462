"""Sound files that browsers do not play, heard in one: converted by whoever owns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dnai.tracks import Track
from tests.browser.conftest import Peer, Song, Visitor, WebApp

Join = Callable[..., Peer]
Visit = Callable[..., Visitor]
StartWeb = Callable[..., WebApp]

SECONDS = 20.0
KINDS = ("aiff", "alac.m4a", "wma")

FETCHED = """async () => {
  const answer = await fetch(document.getElementById('audio').src);
  const start = new Uint8Array(await answer.clone().arrayBuffer()).slice(0, 4);
  return [answer.status, answer.headers.get('Content-Type'), new TextDecoder().decode(start)];
}"""
LENGTH = "document.getElementById('audio').duration"


def songs() -> list[Song]:
    """One of each kind, as near as the list has it."""
    return [Song(f"In {kind}", distance=1.0 + number, seconds=SECONDS, kind=kind) for number, kind in enumerate(KINDS)]


def hears_and_seeks(page: Visitor) -> None:
    """The sound moves, from the middle as well as from the start, and its length is known."""
    page.await_sound(beyond_s=0.3)
    assert float(page.page.evaluate(LENGTH)) == pytest.approx(SECONDS, abs=0.3)
    assert page.page.evaluate(FETCHED) == [200, "audio/flac", "fLaC"]
    page.page.evaluate("document.getElementById('audio').currentTime = 14")
    page.await_sound(beyond_s=14.3)


def test_own_music_of_every_kind_is_heard(
    start_web: StartWeb, own_music: Callable[..., list[Track]], visit: Visit
) -> None:
    """Aiff, alac and wma from the own collection play, can be sought in, and follow each other."""
    own_music(*songs())
    page = visit(start_web().await_ready())
    page.say("play some jazz from my collection")
    page.page.locator("#queue .track-title").nth(2).wait_for(timeout=15_000)
    titles = page.page.locator("#queue .track-title").all_inner_texts()
    assert sorted(titles) == sorted(song.title for song in songs())
    for title in titles:
        page.await_title(title)
        hears_and_seeks(page)
        page.page.click("#next")
    page.await_line("That was the last of them")


def test_a_peers_music_of_every_kind_is_heard(circle: Any, start_web: StartWeb, join: Join, visit: Visit) -> None:
    """The same from a member of the circle."""
    join("anna", *songs())
    page = visit(start_web("--broker", circle.url("dora")).await_ready())
    page.say("play some jazz from my peers")
    for song in songs():
        page.await_title(song.title)
        hears_and_seeks(page)
        page.page.click("#next")
    page.await_line("That was everybody’s playlist")


def test_the_next_track_is_converted_while_one_plays(
    circle: Any, start_web: StartWeb, join: Join, visit: Visit
) -> None:
    """Only the next one; when its turn comes, it is there."""
    anna = join("anna", *songs())
    page = visit(start_web("--broker", circle.url("dora")).await_ready())
    page.say("play some jazz from my peers")
    with page.page.expect_response(lambda answer: answer.request.method == "HEAD", timeout=15_000) as ready:
        page.await_sound()
    assert ready.value.status == 200
    assert [anna.converted.find(track) is not None for track in anna.tracks] == [True, True, False]


def test_a_conversion_that_takes_long_is_said(
    start_web: StartWeb, own_music: Callable[..., list[Track]], visit: Visit
) -> None:
    """In the player, and no longer than it takes."""
    own_music(songs()[0])
    page = visit(start_web().await_ready())
    held: list[Any] = []
    page.page.route("**/audio/**", lambda route: held.append(route))
    page.say("play some jazz from my collection")
    page.page.wait_for_selector("#hint:not([hidden]) >> text=being converted", timeout=15_000)
    for route in held:
        route.continue_()
    page.page.unroute("**/audio/**")
    page.await_sound()
    assert page.page.locator("#hint").is_hidden()


def test_a_track_that_cannot_be_converted_is_left_out(
    circle: Any, start_web: StartWeb, join: Join, visit: Visit
) -> None:
    """The chat says so, and the next one plays."""
    anna = join("anna", *songs())
    broken = anna.tracks[0].path
    broken.write_bytes(bytes(broken.stat().st_size))
    page = visit(start_web("--broker", circle.url("dora")).await_ready())
    page.say("play some jazz from my peers")
    assert "cannot convert" in page.await_line("“In aiff” cannot be had", kind="trouble")
    page.await_title("In alac.m4a")
    page.await_sound()

"""Music in a real browser: asked for in words, heard, and never silent when a provider fails."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Peer, Song, Visitor, WebApp

Join = Callable[..., Peer]
Visit = Callable[..., Visitor]
StartWeb = Callable[..., WebApp]

FETCHED_SHA256 = """async () => {
  const answer = await fetch(document.getElementById('audio').src);
  const digest = await crypto.subtle.digest('SHA-256', await answer.arrayBuffer());
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [answer.status, answer.headers.get('Content-Type'), hex];
}"""


@pytest.fixture
def web(circle: Any, start_web: StartWeb) -> str:
    """The page of dora, who owns no music."""
    return start_web("--broker", circle.url("dora")).await_ready()


def test_a_message_finds_the_nearest_and_its_music_is_heard(join: Join, web: str, visit: Visit) -> None:
    """Of two providers the nearer one plays; the sound moves, and what arrives is the file itself."""
    join("bob", Song("Far Away", distance=3.0))
    anna = join("anna", Song("Second", distance=1.5, seconds=20.0), Song("Nearest", distance=1.0, seconds=20.0))
    page = visit(web)
    page.say("play some jazz from my peers")
    page.await_title("Nearest")
    page.await_sound(beyond_s=0.5)
    status, kind, sha256 = page.page.evaluate(FETCHED_SHA256)
    assert (status, kind) == (200, "audio/wav")
    assert sha256 == hashlib.sha256(anna.tracks[1].path.read_bytes()).hexdigest()
    assert "Anna plays: the best of 2 offers" in page.await_line("Anna plays")
    assert page.page.locator("#now-whose").inner_text().startswith("from Anna")
    assert page.page.locator("#circle-list .offer .offer-name").all_inner_texts() == ["Anna", "Bob"]
    assert page.page.locator("#circle-list .winner .offer-distance").inner_text() == "1.25"
    assert [row.split("\n")[0] for row in page.page.locator("#queue .track-title").all_inner_texts()] == [
        "Nearest",
        "Second",
    ]


def test_the_page_measures_how_long_the_first_sound_takes(join: Join, web: str, visit: Visit) -> None:
    """For each message anew, from sending it to an audio element that moves: within what a clock outside shows."""
    join("anna", Song("Quick", seconds=20.0))
    page = visit(web)
    for _ in range(2):
        page.page.evaluate("delete document.getElementById('player').dataset.firstSoundMs")
        began = time.monotonic()
        page.say("play some jazz from my peers")
        page.page.wait_for_selector("#player[data-first-sound-ms]", timeout=15_000)
        outside_ms = (time.monotonic() - began) * 1000
        assert page.position() > 0
        assert 0 < int(page.page.get_attribute("#player", "data-first-sound-ms") or 0) <= outside_ms + 1


def test_the_next_track_and_then_the_next_provider_follow_by_themselves(join: Join, web: str, visit: Visit) -> None:
    """At a track's end the next one plays; after the last the next offer's playlist, and the chat says whose."""
    join("anna", Song("One", distance=1.0, seconds=1.5), Song("Two", distance=1.1, seconds=1.5))
    join("bob", Song("Three", distance=2.0, seconds=20.0))
    page = visit(web)
    page.say("play some jazz from my peers")
    page.await_title("One")
    page.await_title("Two")
    page.await_title("Three")
    page.await_sound()
    assert "Bob" in page.await_line("Now it is Bob’s turn")
    assert "from Bob" in page.page.locator("#now-whose").inner_text()
    assert page.page.locator("#circle-list .offer.heard .offer-name").all_inner_texts() == ["Anna"]
    page.page.click("#next")
    page.await_line("That was everybody’s playlist")


def test_when_the_winner_dies_the_next_best_takes_over(join: Join, web: str, visit: Visit) -> None:
    """A provider that is switched off in the middle of a song is replaced, and the listener is told."""
    anna = join("anna", Song("Cut Short", distance=1.0, seconds=400.0))
    join("bob", Song("Rescue", distance=2.0, seconds=20.0))
    page = visit(web)
    page.say("play some jazz from my peers")
    page.await_title("Cut Short")
    page.await_sound(beyond_s=0.5)
    anna.die()
    page.page.evaluate("document.getElementById('audio').currentTime = 380")
    page.await_title("Rescue", timeout_s=30)
    page.await_sound(timeout_s=30)
    assert "Anna broke off" in page.await_line("broke off")
    assert "passed over" in page.page.locator("#circle-list .offer", has_text="Anna").inner_text()


def test_a_winner_that_cannot_be_reached_is_passed_over(join: Join, web: str, visit: Visit) -> None:
    """The nearest offers but does not stream: the next one plays, and the chat says who was passed over and why."""
    join("anna", Song("Unreachable", distance=1.0)).die()
    join("bob", Song("Reached", distance=2.0, seconds=20.0))
    page = visit(web)
    page.say("play some jazz from my peers")
    page.await_title("Reached")
    page.await_sound()
    assert "127.0.0.1" in page.await_line("I passed over Anna", kind="trouble")


def test_a_file_deleted_after_the_offer_is_left_out(join: Join, web: str, visit: Visit) -> None:
    """A track whose file is gone is named in the chat, and the next one plays."""
    anna = join("anna", Song("Deleted", distance=1.0), Song("Still There", distance=1.2, seconds=20.0))
    anna.tracks[0].path.unlink()
    page = visit(web)
    page.say("play some jazz from my peers")
    page.await_title("Still There")
    page.await_sound()
    assert "Anna" in page.await_line("“Deleted” cannot be had", kind="trouble")


def test_seek_pause_and_play_by_mouse_and_by_word(join: Join, web: str, visit: Visit) -> None:
    """The slider moves the sound, the button and the chat pause it and let it go on."""
    join("anna", Song("Long", seconds=40.0))
    page = visit(web)
    page.say("play some jazz from my peers")
    page.await_sound()
    page.page.locator("#seek").fill("30")
    assert 30.0 <= page.await_sound(beyond_s=30.0) < 35.0
    page.page.click("#toggle")
    page.page.wait_for_selector("#player[data-state=paused]")
    stood_at = page.position()
    page.page.wait_for_timeout(400)
    assert page.position() == stood_at
    page.page.click("#toggle")
    page.await_sound(beyond_s=stood_at + 0.1)
    page.say("pause")
    page.page.wait_for_selector("#player[data-state=paused]")
    page.say("resume")
    page.page.wait_for_selector("#player[data-state=playing]")
    page.say("stop")
    page.page.wait_for_selector("#player[data-state=paused]")
    assert page.position() == 0.0


def test_any_track_of_the_playlist_can_be_chosen(join: Join, web: str, visit: Visit) -> None:
    """A click on a title plays it; next and previous go on from there."""
    join("anna", *(Song(f"Track {i}", distance=i, seconds=20.0) for i in (1, 2, 3)))
    page = visit(web)
    page.say("play some jazz from my peers")
    page.await_title("Track 1")
    page.page.click("text=Track 3")
    page.await_title("Track 3")
    page.await_sound()
    page.page.click("#previous")
    page.await_title("Track 2")
    page.say("next")
    page.await_title("Track 3")
    assert page.page.locator("#queue [aria-current=true] .track-title").inner_text() == "Track 3"

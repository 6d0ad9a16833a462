"""What goes wrong is said in words in the chat, and costs that one thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dnai.tracks import Genre, Track
from tests.browser.conftest import Peer, Song, Visitor, WebApp

Join = Callable[..., Peer]
Visit = Callable[..., Visitor]
StartWeb = Callable[..., WebApp]
OwnMusic = Callable[..., list[Track]]


def test_without_a_broker_the_own_collection_plays(start_web: StartWeb, own_music: OwnMusic, visit: Visit) -> None:
    """No broker is set: peers cannot be asked, and it is said what to do; the own music plays."""
    own_music(Song("My Own", seconds=20.0))
    page = visit(start_web().await_ready())
    page.say("play some jazz from my peers")
    assert "--broker" in page.await_line("I know no broker", kind="trouble")
    page.say("play some jazz from my collection")
    page.await_title("My Own")
    page.await_sound()
    assert page.page.locator("#now-whose").inner_text() == "your own collection"
    assert "No broker is set · 1 track of your own" in page.page.locator("#status-text").inner_text()


def test_a_broker_that_nobody_answers_at_is_named(start_web: StartWeb, visit: Visit) -> None:
    """The address that does not answer stands in the chat, the password does not."""
    app = start_web("--broker", "amqp://dora:secret-word@127.0.0.1:9/circle")
    page = visit(app.await_ready())
    page.say("play some jazz from my peers")
    said = page.await_line("cannot reach the broker", kind="trouble")
    assert "127.0.0.1:9" in said
    assert "secret-word" not in said + app.log


def test_a_wrong_password_is_said_and_the_page_goes_on(
    circle: Any, start_web: StartWeb, own_music: OwnMusic, visit: Visit
) -> None:
    """The broker lets nobody in with a wrong password: the chat says so, and own music plays."""
    own_music(Song("My Own", seconds=20.0))
    wrong = circle.broker.url("dora", "not-the-password", circle.vhost)
    page = visit(start_web("--broker", wrong).await_ready())
    page.say("play some jazz from my peers")
    page.await_line("does not let us in", kind="trouble")
    page.say("play some jazz from my collection")
    page.await_title("My Own")


def test_nobody_else_there_is_known_at_once(circle: Any, start_web: StartWeb, visit: Visit) -> None:
    """Alone in the circle, the listener is told so without waiting for the deadline."""
    page = visit(start_web("--broker", circle.url("dora"), "--deadline-s", "20").await_ready())
    page.say("play some jazz from my peers")
    page.await_line("Nobody else is in the circle", kind="trouble", timeout_s=8)
    page.page.wait_for_selector("#status[data-state=alone]")


def test_who_has_nothing_and_who_cannot_be_compared_is_named(
    circle: Any, join: Join, start_web: StartWeb, visit: Visit
) -> None:
    """No track of that genre anywhere: the chat names who declined and why, and who measures differently."""
    join("anna", Song("Loud", genre=Genre.METAL))
    join("bob", Song("Elsewhere"), space_id="another-space-1")
    page = visit(start_web("--broker", circle.url("dora")).await_ready())
    page.say("play some jazz from my peers")
    said = page.await_line("Nobody in the circle can play jazz", kind="trouble")
    assert "Anna has no track of that genre" in said
    assert "Bob measures music in another feature space" in said
    others = page.page.locator("#circle-list .offer.out").all_inner_texts()
    assert len(others) == 2


def test_when_nobody_who_offered_can_be_reached_it_is_said(
    circle: Any, join: Join, start_web: StartWeb, visit: Visit
) -> None:
    """All who offered are switched off: each is passed over, and at the end it is said that nobody is left."""
    join("anna", Song("One", distance=1.0)).die()
    join("bob", Song("Two", distance=2.0)).die()
    page = visit(start_web("--broker", circle.url("dora")).await_ready())
    page.say("play some jazz from my peers")
    page.await_line("I passed over Anna", kind="trouble")
    page.await_line("I passed over Bob", kind="trouble")
    page.await_line("can be reached any more", kind="trouble")


def test_a_broker_that_restarts_costs_one_request(circle: Any, join: Join, start_web: StartWeb, visit: Visit) -> None:
    """With the broker down the chat says so and the song goes on; when it is back, peers can be asked again."""
    join("anna", Song("Steady", seconds=90.0))
    page = visit(start_web("--broker", circle.url("dora")).await_ready())
    page.say("play some jazz from my peers")
    page.await_title("Steady")
    page.await_sound()
    circle.broker.stop_listening()
    try:
        page.page.wait_for_selector("#status[data-state=bad]", timeout=20_000)
        page.say("play some jazz from my peers")
        page.await_line("broker", kind="trouble")
        stood_at = page.position()
        page.await_sound(beyond_s=stood_at + 0.3)
    finally:
        circle.broker.listen_again()
    page.page.wait_for_selector("#status[data-state=good]", timeout=60_000)
    page.say("play some jazz from my peers")
    page.page.wait_for_function("() => document.querySelectorAll('#log .line.note').length >= 2", timeout=20_000)
    page.await_sound()


def test_own_files_that_are_gone_are_left_out(start_web: StartWeb, own_music: OwnMusic, visit: Visit) -> None:
    """A file deleted since the scan is named, without its path, and the next own track plays."""
    tracks = own_music(
        Song("Lost", distance=1.0), Song("Kept", distance=1.1, seconds=20.0), Song("Other", distance=5.0)
    )
    by_title = {track.title: Path(track.path) for track in tracks}
    page = visit(start_web().await_ready())
    by_title["Kept"].unlink()
    page.say("play some jazz from my collection")
    said = page.await_line("“Kept” cannot be had from your collection", kind="trouble", timeout_s=25)
    assert str(by_title["Kept"].parent) not in said
    page.await_sound()


def test_an_empty_collection_says_what_to_do(start_web: StartWeb, visit: Visit) -> None:
    """Who owns nothing and asks for their own music hears how to come by some."""
    page = visit(start_web().await_ready())
    page.say("play some jazz from my collection")
    page.await_line("dnai scan", kind="trouble")


def test_a_restarted_app_is_noticed_by_the_page(start_web: StartWeb, own_music: OwnMusic, visit: Visit) -> None:
    """The page says that the app is gone, connects to the next one on the same port, and can be used again."""
    own_music(Song("My Own", seconds=20.0))
    first = start_web()
    url = first.await_ready()
    page = visit(url)
    page.say("play some jazz from my collection")
    page.await_title("My Own")
    first.stop()
    page.page.locator("#status-text", has_text="The app").wait_for(timeout=10_000)
    start_web("--listen", url.removeprefix("http://")).await_ready()
    page.page.locator("#status-text", has_text="of your own").wait_for(timeout=20_000)
    page.say("play some jazz from my collection")
    page.await_sound()

"""The page itself: for keyboards, phones, several tabs, hostile texts, and behind a password."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect

from dnai.tracks import Track
from tests.browser.conftest import CHROMIUM, CHROMIUM_OPTIONS, Peer, Song, Visitor, WebApp

Join = Callable[..., Peer]
Visit = Callable[..., Visitor]
StartWeb = Callable[..., WebApp]
OwnMusic = Callable[..., list[Track]]

FOCUSED = """() => {
  const focused = document.activeElement;
  const style = getComputedStyle(focused);
  const label = focused.getAttribute('aria-label') || focused.labels?.[0]?.textContent || focused.textContent;
  const form = getComputedStyle(focused.closest('form') ?? focused);
  return [focused.id || label.trim(), style.outlineStyle, form.boxShadow, label];
}"""

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\u202egnp.exe"


def test_hostile_titles_and_names_are_shown_as_text(circle: Any, join: Join, start_web: StartWeb, visit: Visit) -> None:
    """HTML stays text, and terminal escapes and direction marks are gone, in the page's every corner."""
    join("anna", Song(HOSTILE, artist="<script>alert(2)</script>", seconds=20.0), name="<b>Anna</b>")
    page = visit(start_web("--broker", circle.url("dora")).await_ready())
    page.page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.say("play some jazz from my peers")
    page.await_sound()
    shown = page.page.locator("#now-title").inner_text()
    assert shown == "<img src=x onerror=alert(1)>[31mgnp.exe"
    assert page.page.locator("#queue .track-title").inner_text() == shown
    assert page.page.locator("#now-artist").inner_text() == "<script>alert(2)</script>"
    assert page.page.locator("#circle-list .offer-name").inner_text() == "<b>Anna</b>"
    assert "<b>Anna</b> plays" in page.await_line("Anna")
    assert (
        page.page.locator("#log img, #queue img, #player img:not(#cover), #log b, #circle-list b, .room script").count()
        == 0
    )


def test_what_the_listener_types_is_shown_as_text(start_web: StartWeb, visit: Visit) -> None:
    """One's own message is no markup either."""
    page = visit(start_web().await_ready())
    page.say("<b>hello</b> there")
    expect(page.page.locator("#log .line.you .line-text")).to_have_text("<b>hello</b> there")


def test_a_message_that_is_too_long_is_cut_by_the_field(start_web: StartWeb, visit: Visit) -> None:
    """The field takes 500 characters, and the app still answers."""
    page = visit(start_web().await_ready())
    page.page.click("#say")
    page.page.keyboard.insert_text("jazz " * 500)
    assert len(page.page.input_value("#say")) == 500


def test_the_page_is_used_with_the_keyboard_alone(start_web: StartWeb, own_music: OwnMusic, visit: Visit) -> None:
    """Ask, pause, seek, jump and go back without a mouse; keys that are typed into the field do nothing else."""
    own_music(Song("First", distance=1.0, seconds=60.0), Song("Second", distance=1.0, seconds=60.0))
    page = visit(start_web().await_ready())
    keyboard = page.page.keyboard
    assert page.page.evaluate("document.activeElement.id") == "say"
    keyboard.type("play some jazz from my collection")
    keyboard.press("Enter")
    page.await_sound()
    first = page.page.locator("#now-title").inner_text()
    keyboard.type("n p / ")
    assert page.page.input_value("#say") == "n p / "
    expect(page.page.locator("#now-title")).to_have_text(first)
    keyboard.press("Escape")
    keyboard.press("Space")
    page.page.wait_for_selector("#player[data-state=paused]")
    keyboard.press("ArrowRight")
    assert page.position() >= 10.0
    keyboard.press("Space")
    page.await_sound(beyond_s=10.0)
    keyboard.press("n")
    second = {"First": "Second", "Second": "First"}[first]
    page.await_title(second)
    page.page.locator("#queue button").first.focus()
    keyboard.press("Enter")
    page.await_title(first)
    keyboard.press("/")
    assert page.page.evaluate("document.activeElement.id") == "say"


def test_tabbing_reaches_everything_and_shows_where_it_is(
    start_web: StartWeb, own_music: OwnMusic, visit: Visit
) -> None:
    """Each control can be reached with Tab, and has a visible focus and a name."""
    own_music(Song("Only", seconds=60.0))
    page = visit(start_web().await_ready())
    page.say("play some jazz from my collection")
    page.await_sound()
    seen: dict[str, str] = {}
    for _ in range(40):
        page.page.keyboard.press("Tab")
        if page.page.evaluate("document.activeElement === document.body"):
            continue  # between the last control and the first
        spot = page.page.evaluate(FOCUSED)
        assert "none" not in spot[1] or spot[2] != "none", f"{spot[0]} has no visible focus"
        assert spot[3].strip(), f"{spot[0]} has no name"
        seen[spot[0]] = spot[3]
    assert {"say", "previous", "toggle", "next", "seek", "volume", "log"} <= set(seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(
    circle: Any, join: Join, start_web: StartWeb, visit: Visit, tmp_path: Path, scheme: str
) -> None:
    """At 360 pixels nothing is cut off or scrolls sideways, also with long titles and names."""
    songs = [Song("Supercalifragilisticexpialidocious" * 3, distance=i, seconds=20.0) for i in (1, 2, 3)]
    join("anna", *songs, name="AnnaWithAVeryLongNameThatNeverEndsAndNeverBreaks")
    join("bob", Song("Another", distance=4.0))
    page = visit(start_web("--broker", circle.url("dora")).await_ready(), width=360, height=740, color_scheme=scheme)
    page.say("play some jazz from my peers")
    page.await_sound()
    page.page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert page.page.evaluate("document.documentElement.scrollWidth") == 360
    for control in ("#toggle", "#next", "#previous", ".send", "#say"):
        box = page.page.locator(control).bounding_box()
        assert box is not None
        assert box["x"] >= 0, f"{control} is outside the screen"
        assert box["x"] + box["width"] <= 360, f"{control} is outside the screen"
        assert box["height"] >= 40, f"{control} is too small for a thumb"


def test_two_tabs_have_a_conversation_and_a_player_each(start_web: StartWeb, own_music: OwnMusic, visit: Visit) -> None:
    """What is said in one tab is not shown in another, and its music is its own."""
    own_music(Song("Mine", seconds=20.0))
    url = start_web().await_ready()
    one, other = visit(url), visit(url)
    one.say("play some jazz from my collection")
    one.await_title("Mine")
    assert other.page.locator("#now-title").inner_text() == "Nothing is playing"
    assert len(other.lines()) == 1


def test_a_duplicated_tab_is_a_tab_of_its_own(start_web: StartWeb, visit: Visit) -> None:
    """A copied tab id is exchanged for a new one while the first tab is open."""
    page = visit(start_web().await_ready())
    page.say("hello")
    page.page.wait_for_function("() => document.querySelectorAll('#log .line').length >= 3")
    with page.page.expect_popup() as opened:  # window.open copies the session storage, as duplicating does
        page.page.evaluate("window.open(location.href)")
    twin = opened.value
    twin.locator("#log .line").first.wait_for()
    assert twin.locator("#log .line").count() == 1
    assert twin.evaluate("sessionStorage.getItem('dnai-tab')") != page.page.evaluate(
        "sessionStorage.getItem('dnai-tab')"
    )


def test_a_reload_keeps_conversation_and_playlist(start_web: StartWeb, own_music: OwnMusic, visit: Visit) -> None:
    """After a reload the lines and the playlist are there again; the sound waits for the listener."""
    own_music(Song("Mine", seconds=60.0))
    page = visit(start_web().await_ready())
    page.say("play some jazz from my collection")
    page.await_sound()
    before = page.lines()
    page.page.reload()
    page.await_title("Mine")
    assert page.lines() == before
    assert page.page.evaluate("document.getElementById('audio').paused")
    page.page.click("#toggle")
    page.await_sound()


def test_a_lost_connection_keeps_the_conversation(start_web: StartWeb, visit: Visit) -> None:
    """When the line breaks, the page comes back to the same conversation by itself."""
    page = visit(start_web().await_ready())
    page.say("hello")
    page.page.wait_for_function("() => document.querySelectorAll('#log .line').length >= 3")
    before = page.lines()
    page.page.context.set_offline(True)
    page.page.locator("#status-text", has_text="The app").wait_for(timeout=15_000)
    page.page.context.set_offline(False)
    page.say("hello")
    page.page.wait_for_function(f"() => document.querySelectorAll('#log .line').length >= {len(before) + 2}")
    assert page.lines()[: len(before)] == before
    assert sum("/socket.io/" in asked for asked in page.requested) >= 2, "the line never broke"


def test_a_browser_that_wants_a_click_first_gets_a_hint(
    start_web: StartWeb, own_music: OwnMusic, playwright: Playwright
) -> None:
    """Where sound may not start by itself, the page says that play has to be pressed, and then it plays."""
    own_music(Song("Shy", seconds=20.0))
    url = start_web().await_ready()
    options = [o for o in CHROMIUM_OPTIONS if "autoplay" not in o] + [
        "--autoplay-policy=document-user-activation-required"
    ]
    shy = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
    page = shy.new_page()
    # All that Playwright does counts as the listener's own doing; a script of the page itself does not.
    page.add_init_script(
        "addEventListener('load', () => { const hint = document.getElementById('hint');"
        " new MutationObserver(() => console.log('hint: ' + hint.textContent)).observe(hint, {childList: true});"
        " document.getElementById('say').value = 'play some jazz from my collection';"
        " document.getElementById('say-form').requestSubmit(); })"
    )
    with page.expect_console_message(lambda message: "press play" in message.text, timeout=15_000):
        page.goto(url, wait_until="commit")
    expect(page.locator("#hint")).to_be_visible()
    page.click("#toggle")
    page.wait_for_function("() => document.getElementById('audio').currentTime > 0.2", timeout=15_000)
    expect(page.locator("#hint")).to_be_hidden()
    shy.close()


def test_with_a_password_nothing_is_shown_before_it_is_given(
    start_web: StartWeb, own_music: OwnMusic, browser: Browser, tmp_path: Path
) -> None:
    """A wrong password is refused, the right one opens the page, and logging out closes it again."""
    own_music(Song("Secret", seconds=20.0))
    (tmp_path / "password").write_text("open sesame\n")
    url = start_web("--password-file", str(tmp_path / "password")).await_ready()
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    expect(page).to_have_url(f"{url}/login")
    page.fill("#password", "open barley")
    page.press("#password", "Enter")
    expect(page.locator("#problem")).to_have_text("That is not the password.")
    page.fill("#password", "open sesame")
    page.press("#password", "Enter")
    page.locator("#log .line").first.wait_for()
    page.fill("#say", "play some jazz from my collection")
    page.press("#say", "Enter")
    page.wait_for_function("() => document.getElementById('audio').currentTime > 0.2", timeout=15_000)
    cookie = context.cookies()[0]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.click("text=Log out")
    expect(page).to_have_url(f"{url}/login")
    context.close()


def test_credits_and_privacy_are_on_the_page(start_web: StartWeb, visit: Visit, tmp_path: Path) -> None:
    """Licence and authors of the music are shown, and what leaves the machine."""
    (tmp_path / "credits.json").write_text(
        '[{"title": "<i>Songs</i>", "authors": "A. Nonymous", "licence": "CC BY-SA 3.0", "source": "package songs"}]'
    )
    page = visit(start_web("--credits", str(tmp_path / "credits.json")).await_ready())
    page.page.click("#credits summary")
    text = page.page.locator("#credits").inner_text()
    assert "<i>Songs</i> by A. Nonymous. CC BY-SA 3.0" in text
    assert "What leaves this machine" in page.page.locator(".about").inner_text()

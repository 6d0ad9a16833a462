"""What goes to the page, and what comes from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.errors import ProtocolError
from dnai.tracks import Genre
from tests.web.conftest import MakeTrack, made_offer, made_result
from web.listener import Target
from web.payloads import (
    MAX_MESSAGE_CHARS,
    Arrival,
    Failed,
    More,
    Now,
    Say,
    State,
    circle_shown,
    playlist_shown,
    received,
    sent,
)
from web.sources import LocalSource
from web.succession import Succession

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(data=JSON | st.binary(max_size=20))
def test_whatever_a_page_sends_is_typed_or_refused(data: Any) -> None:
    """No data whatever gets past its type, and none raises anything but a protocol error."""
    for kind in (Arrival, Say, Now, State, More, Failed):
        try:
            message = received(data, kind)
        except ProtocolError:
            continue
        assert isinstance(message, kind)


def test_a_message_has_bounds() -> None:
    """Not empty, and not longer than 500 characters."""
    assert received({"text": "x" * MAX_MESSAGE_CHARS}, Say).text == "x" * MAX_MESSAGE_CHARS
    for text in ("", "x" * (MAX_MESSAGE_CHARS + 1)):
        with pytest.raises(ProtocolError):
            received({"text": text}, Say)


def test_a_playlist_for_the_page_has_no_path_and_clean_titles(make_track: MakeTrack) -> None:
    """Only what is shown goes out, and titles without control and direction characters."""
    track = make_track("Bad\x1b[2J\u202etitle", artist="\x00")
    shown = playlist_shown(LocalSource([(track, 1.0)]).playlist, stream="s", whose="An\u202ena", line="l")
    assert str(track.path.parent) not in repr(sent(shown))
    assert shown.tracks[0].title == "Bad[2Jtitle"
    assert shown.tracks[0].artist == ""
    assert shown.whose == "Anna"
    assert not shown.own


def test_a_track_without_a_title_can_still_be_clicked(make_track: MakeTrack) -> None:
    """A title of control characters only becomes a word."""
    shown = playlist_shown(LocalSource([(make_track("\x07"), 1.0)]).playlist, stream="s", whose=None, line="l")
    assert shown.tracks[0].title == "untitled"
    assert shown.own


def test_the_circle_for_the_page_says_what_became_of_everybody() -> None:
    """Offers with their fate, and who declined, was left out or silent with the reason; no ticket, no address."""
    anna, bob = made_offer("anna", 1.0), made_offer("bob", 2.0)
    result = made_result(
        anna,
        bob,
        left_out=(made_offer("carl", 1.0, space_id="old-1"),),
        declines=(("dora", "no_tracks"),),
        silent=("Eve",),
    )
    succession = Succession(result, gathered_at=0.0)
    succession.pass_over(anna, reason="nobody answers")
    succession.plays(bob)
    shown = circle_shown(succession, Target(Genre.JAZZ, {"space": np.zeros(26, dtype=np.float32)}))
    assert [(offer.name, offer.fate, offer.reason) for offer in shown.offers] == [
        ("Anna", "passed over", "nobody answers"),
        ("Bob", "playing", ""),
    ]
    assert [other.name for other in shown.others] == ["Dora", "Carl", "Eve"]
    assert shown.others[1].why.startswith("left out: has no space vectors yet")
    assert "ticket" not in repr(sent(shown))
    assert "127.0.0.1" not in repr(sent(shown))

"""What is said in the chat: all of it facts, and harmless."""

from __future__ import annotations

import numpy as np
import pytest

from dnai.errors import (
    BrokerClosedError,
    BrokerError,
    BrokerRefusedError,
    BrokerRightsError,
    BrokerUnreachableError,
)
from dnai.recommend.gather import ProviderKey
from dnai.recommend.requester import PresentProvider
from dnai.tracks import Genre, GenreOrigin
from tests.web.conftest import MakeTrack, made_offer, made_result
from web import wording
from web.listener import NO_BROKER, Target
from web.succession import PassedOver, Succession

VECTOR = np.zeros(26, dtype=np.float32)
JAZZ = Target(Genre.JAZZ, {"space": VECTOR})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BrokerUnreachableError(NO_BROKER), "--broker"),
        (BrokerUnreachableError("nobody answers at broker.example:5672"), "broker.example:5672"),
        (BrokerRefusedError("wrong user or password"), "does not let us in"),
        (BrokerRightsError("may not write dnai.requests"), "lacks rights"),
        (BrokerClosedError("lost"), "went away"),
    ],
)
def test_each_trouble_with_the_broker_is_told_apart(error: BrokerError, said: str) -> None:
    """Not set, not there, not let in, no rights, gone: each in its own words, and that own music still plays."""
    line = wording.broker_trouble(error)
    assert said in line
    assert "from my collection" in line


def test_a_winner_is_named_with_distance_tracks_and_rivals() -> None:
    """Whose music, the best of how many, how far on average, over how many tracks."""
    anna, bob = made_offer("anna", 1.234), made_offer("bob", 2.0)
    line = wording.winner_line(anna, made_result(anna, bob), JAZZ)
    assert line == (
        "Anna plays: the best of 2 offers, 1.23 from your jazz on average over 5 jazz tracks (50% of the collection)."
    )
    assert "the only offer" in wording.winner_line(anna, made_result(anna), JAZZ)


def test_a_reference_midpoint_is_not_called_the_listeners_taste() -> None:
    """Who has no such track is measured from the model's midpoint, and is told so."""
    anna = made_offer("anna", 1.0)
    target = Target(Genre.JAZZ, {"space": VECTOR}, references=frozenset({"space"}))
    assert "you have none of your own" in wording.winner_line(anna, made_result(anna), target)
    mixed = Target(Genre.JAZZ, {"space": VECTOR, "new": VECTOR}, references=frozenset({"new"}))
    assert "you have none of your own" not in wording.winner_line(anna, made_result(anna), mixed)


def test_nothing_found_names_who_declined_and_why() -> None:
    """No track of the genre, another feature space, busy, silent, left out: with names, one or several."""
    result = made_result(
        left_out=(made_offer("frida", 1.0, space_id="other"),),
        declines=(
            ("anna", "no_tracks"),
            ("bob", "no_tracks"),
            ("carl", "unknown_space"),
            ("dora", "busy"),
            ("eve", "x"),
        ),
        silent=("Gert",),
    )
    line = wording.nothing_found(result, JAZZ)
    assert "Anna and Bob have no track of that genre." in line
    assert "Carl measures music in another feature space." in line
    assert "Dora is too busy at the moment." in line
    assert "Eve declined." in line
    assert "I left out Frida, who measures in other, which was not asked for." in line
    assert "Gert did not answer in time." in line


def test_who_was_left_out_is_named_with_the_reason_and_what_helps() -> None:
    """An older space, one or several, and another version of the same; never a distance that means nothing."""
    anna = made_offer("anna", 1.0, space_id="musicnn200-1")
    old = tuple(made_offer(name, 0.1, space_id="librosa26-1") for name in ("ben", "carl"))
    twin = made_offer("dora", 0.1, space_id="musicnn200-2")
    line = wording.winner_line(anna, made_result(anna, left_out=(*old, twin)), JAZZ)
    missing = "no musicnn200 vectors yet (librosa26 cannot be compared with them): update that worker"
    assert f"I left out Ben and Carl, who have {missing}." in line
    assert "I left out Dora, who has another version of musicnn200, which cannot be compared: update one" in line
    assert "0.1" not in line
    assert f"who has {missing}." in wording.winner_line(anna, made_result(anna, left_out=old[:1]), JAZZ)


def test_a_guessed_genre_is_called_a_guess(make_track: MakeTrack) -> None:
    """With how probable it is; a genre that is known, or asked for, is none."""
    unsure = make_track("Odd", origin=GenreOrigin.UNSURE)
    line = wording.guess_line(Target(Genre.JAZZ, {"space": VECTOR}, track=unsure))
    assert line == "I am not sure what “Odd” is; I ask for jazz, my best guess (50 %)."
    assert wording.guess_line(Target(Genre.JAZZ, {"space": VECTOR}, track=make_track("Plain"))) is None
    assert wording.guess_line(JAZZ) is None


def test_nobody_else_is_not_called_nothing_found() -> None:
    """Being alone is another thing than finding nothing."""
    assert "Nobody else is in the circle" in wording.nothing_found(made_result(nobody_else=True), JAZZ)


def test_who_was_nearer_is_told_when_asked_why() -> None:
    """The second best says who was nearer and why they do not play; the best says nothing."""
    anna, bob, carl = made_offer("anna", 1.0), made_offer("bob", 2.0), made_offer("carl", 3.0)
    succession = Succession(made_result(anna, bob, carl), gathered_at=0.0)
    succession.plays(anna)
    assert wording.better_line(succession, anna) is None
    succession.pass_over(bob, reason="gone")
    succession.plays(carl)
    assert (
        wording.better_line(succession, carl) == "Better still: Anna (1.00, already heard), Bob (2.00, could not play)."
    )


def test_many_names_are_counted() -> None:
    """A long list of names ends in a number."""
    assert wording.listed(["A"]) == "A"
    assert wording.listed(["A", "B", "C"]) == "A, B and C"
    assert wording.listed([f"N{i}" for i in range(20)]).endswith("and 14 more")


def test_names_and_reasons_of_others_are_harmless(make_track: MakeTrack) -> None:
    """Escapes, directions and line breaks in names, titles and reasons do not reach a sentence."""
    nasty = "\x1b[31mEve\u202e\nWinner plays: me"
    unsure = make_track(nasty, origin=GenreOrigin.UNSURE)
    lines = [
        wording.passed_over_line(PassedOver(ProviderKey("eve", "e" * 16), nasty, nasty)),
        wording.broke_off_line(nasty, nasty),
        wording.track_gone(nasty, nasty, nasty),
        wording.cannot_decode(nasty, "mp3"),
        wording.slept_too_long(nasty),
        wording.own_line(Target(Genre.JAZZ, {"space": VECTOR}, track=make_track(nasty)), 3),
        str(wording.guess_line(Target(Genre.JAZZ, {"space": VECTOR}, track=unsure))),
        wording.space_name(nasty),
    ]
    for line in lines:
        assert "\x1b" not in line
        assert "\u202e" not in line
        assert "\n" not in line


@pytest.mark.parametrize(
    ("has_broker", "connected", "names", "own", "said"),
    [
        (False, False, [], 0, "No broker is set · 0 tracks of your own"),
        (True, False, [], 1, "Broker not reached, trying · 1 track of your own"),
        (True, True, [], 2, "Broker reached, nobody else there · 2 tracks of your own"),
        (True, True, ["Bob", "Anna"], 2, "Anna and Bob are there · 2 tracks of your own"),
        (True, True, ["Bob"], None, "Bob is there · your catalogue cannot be read"),
    ],
)
def test_the_line_at_the_top(has_broker: bool, connected: bool, names: list[str], own: int | None, said: str) -> None:
    """Broker, others and own collection in one line."""
    others = [PresentProvider(ProviderKey(name, name * 16), name, 3) for name in names]
    assert wording.status_line(has_broker=has_broker, connected=connected, others=others, own=own) == said

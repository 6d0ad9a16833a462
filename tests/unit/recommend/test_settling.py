"""When "nobody there" may be said: just after connecting, with no worker at all, and with only one's own."""

from __future__ import annotations

import pytest

from dnai.recommend.messages import Goodbye
from dnai.recommend.requester import Requester
from dnai.tracks import Genre
from tests.unit.recommend.conftest import VECTORS, Circle, Clock, made_decline, made_offer, provider_id


def fresh_circle(*present: str) -> Circle:
    """A circle in the moment after Anna has connected."""
    circle = Circle()
    circle.anna.connected()
    for name in present:
        circle.hello(name)
    return circle


def test_with_nobody_present_it_is_said_at_once() -> None:
    """A second after connecting, silence means that nobody is there."""
    circle = Circle()
    circle.ask()
    result = circle.result()
    assert result.nobody_else
    assert (result.offers, result.silent, result.winner) == ((), (), None)
    assert result.elapsed_s == 0


def test_with_only_ones_own_worker_nobody_else_is_there() -> None:
    """At once, and not after the deadline."""
    circle = Circle("anna")
    circle.ask()
    result = circle.result()
    assert result.nobody_else
    assert circle.anna.present() == []


def test_a_request_that_the_broker_gives_back_is_over() -> None:
    """No queue is bound, so no worker is there, whoever was present before."""
    circle = Circle("bob")
    asked = circle.ask()
    circle.anna.returned(asked)
    circle.anna.returned("never-asked")
    result = circle.result()
    assert result.nobody_else


def test_a_refusal_is_somebody() -> None:
    """Who has no such track is there all the same."""
    circle = Circle("bob")
    asked = circle.ask()
    circle.send(made_decline("bob"), "bob", asked)
    result = circle.result()
    assert not result.nobody_else
    assert result.offers == ()


def test_who_is_present_and_silent_is_somebody() -> None:
    """Silence means trouble, never that nobody is there."""
    circle = Circle("bob")
    circle.ask()
    circle.clock.now += 1
    result = circle.result()
    assert not result.nobody_else
    assert result.silent == ("bob",)


def test_who_leaves_in_the_middle_was_the_only_one() -> None:
    """Then nobody else is there, and nothing is waited for."""
    circle = Circle("bob")
    circle.ask()
    circle.send(Goodbye(provider_id("bob")), "bob")
    assert circle.result().nobody_else


def test_just_after_connecting_silence_does_not_yet_mean_nobody() -> None:
    """Greetings may still be on their way: half a second is waited for them."""
    circle = fresh_circle()
    circle.ask()
    assert circle.anna.finished() == []
    assert circle.anna.next_deadline() == pytest.approx(circle.clock.now + 0.5)
    circle.clock.now += 0.5
    assert circle.result().nobody_else


def test_who_greets_while_it_settles_is_waited_for_by_requests_in_the_air() -> None:
    """As if it had been known when the request went out."""
    circle = fresh_circle()
    asked = circle.ask()
    circle.clock.now += 0.1
    circle.hello("bob")
    circle.clock.now += 0.5
    assert circle.anna.finished() == []
    circle.send(made_offer("bob"), "bob", asked)
    assert [offer.name for offer in circle.result().offers] == ["bob"]


def test_who_has_answered_before_greeting_is_not_waited_for_twice() -> None:
    """The offer was faster than the hello."""
    circle = fresh_circle()
    asked = circle.ask()
    circle.send(made_offer("bob"), "bob", asked)
    circle.hello("bob")
    circle.clock.now += 0.5
    result = circle.result()
    assert result.silent == ()
    assert [offer.name for offer in result.offers] == ["bob"]


def test_who_greets_later_is_not_waited_for_by_requests_in_the_air() -> None:
    """It was not there when they went out."""
    circle = Circle("bob")
    asked = circle.ask()
    circle.hello("carl")
    circle.send(made_offer("bob"), "bob", asked)
    assert circle.result().silent == ()


def test_when_who_is_there_comes_back_nothing_is_waited_for() -> None:
    """The broker knows at once that there is no worker at all."""
    circle = fresh_circle()
    circle.ask()
    circle.anna.nobody_answers()
    assert circle.result().nobody_else


def test_settling_is_never_longer_than_the_deadline() -> None:
    """A listener who is in a hurry is not kept waiting by it."""
    clock = Clock()
    requester = Requester(user_id="anna", deadline_s=0.1, clock=clock, new_id=lambda: "one")
    requester.connected()
    requester.open(Genre.JAZZ, VECTORS)
    clock.now += 0.1
    assert len(requester.finished()) == 1


def test_a_new_connection_forgets_who_was_there_and_what_was_asked() -> None:
    """Answers to the old reply queue are lost; whoever is there will greet again."""
    circle = Circle("bob")
    asked = circle.ask()
    circle.anna.connected()
    assert circle.anna.present() == []
    assert circle.anna.finished() == []
    circle.send(made_offer("bob"), "bob", asked)
    assert circle.anna.dropped == {"late": 1}

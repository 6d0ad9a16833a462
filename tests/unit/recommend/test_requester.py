"""The requester's side, driven by hand and by a clock that the test turns."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from dnai.errors import UsageError
from dnai.recommend.gather import MAX_PROVIDERS_PER_USER, ProviderKey
from dnai.recommend.messages import Goodbye, Message, Request, Who
from dnai.recommend.requester import PRESENCE_LIFETIME_S, Presence
from dnai.tracks import Genre
from tests.unit.recommend.conftest import OTHER_SPACE, SPACE, VECTORS, Circle, made_decline, made_offer, provider_id


def test_a_request_names_genre_and_vectors_in_order_of_preference_and_expires() -> None:
    """It lives as long as the answer is waited for."""
    outgoing = Circle().anna.open(Genre.JAZZ, VECTORS)
    assert outgoing.request == Request(Genre.JAZZ, {SPACE: [1.0, 2.0], OTHER_SPACE: [3.0]})
    assert list(outgoing.request.vectors) == [SPACE, OTHER_SPACE]
    assert outgoing.expires_ms == 1000


@pytest.mark.parametrize("vector", [[1, np.nan], [np.inf], [1e7], None])
def test_vectors_that_nobody_would_take_are_not_sent(vector: list[float] | None) -> None:
    """Not finite, beyond the bound, or none at all; nothing is in the air afterwards."""
    circle = Circle()
    vectors = {} if vector is None else {SPACE: np.array(vector)}
    with pytest.raises(UsageError, match="at least one vector"):
        circle.anna.open(Genre.JAZZ, vectors)
    assert circle.anna.next_deadline() is None


def test_a_request_is_over_when_all_who_are_present_have_answered() -> None:
    """Ranked by distance, refusals beside, latency by the clock, long before the deadline."""
    circle = Circle("bob", "carl", "dora")
    asked = circle.ask()
    circle.clock.now += 0.01
    circle.send(made_offer("carl", 3.0), "carl", asked)
    circle.send(made_decline("dora"), "dora", asked)
    assert circle.anna.finished() == []
    circle.clock.now += 0.02
    circle.send(made_offer("bob", 2.0), "bob", asked)
    result = circle.result()
    assert [(offer.name, offer.mean_distance) for offer in result.offers] == [("bob", 2.0), ("carl", 3.0)]
    assert result.winner is result.offers[0]
    assert result.winner.latency_s == pytest.approx(0.03)
    assert [(decline.name, decline.reason) for decline in result.declines] == [("dora", "no_tracks")]
    assert (result.silent, result.nobody_else, result.genre) == ((), False, Genre.JAZZ)
    assert result.elapsed_s == pytest.approx(0.03)
    assert circle.anna.finished() == []


def test_who_is_silent_costs_the_deadline_and_is_named() -> None:
    """The offer that came in time still wins."""
    circle = Circle("bob", "carl")
    asked = circle.ask()
    circle.send(made_offer("bob"), "bob", asked)
    circle.clock.now += 0.999
    assert circle.anna.finished() == []
    assert circle.anna.next_deadline() == pytest.approx(circle.clock.now + 0.001)
    circle.clock.now += 0.002
    result = circle.result()
    assert result.silent == ("carl",)
    assert [offer.name for offer in result.offers] == ["bob"]
    assert circle.anna.next_deadline() is None


def test_who_says_goodbye_is_waited_for_no_longer() -> None:
    """Neither by this request nor by the next."""
    circle = Circle("bob", "carl")
    asked = circle.ask()
    circle.send(made_offer("bob"), "bob", asked)
    circle.send(Goodbye(provider_id("carl")), "carl")
    assert circle.result().silent == ()
    assert [present.name for present in circle.anna.present()] == ["bob"]


def test_nobody_can_say_goodbye_for_another() -> None:
    """A provider is its user and its id together."""
    circle = Circle("bob")
    circle.send(Goodbye(provider_id("bob")), "eve")
    assert [present.name for present in circle.anna.present()] == ["bob"]


def test_one_offer_of_each_provider_counts() -> None:
    """The first; a second is counted as a duplicate, and another user's with the same id as another's."""
    circle = Circle("bob", "eve")
    asked = circle.ask()
    circle.send(made_offer("bob", 5.0), "bob", asked)
    circle.send(made_offer("bob", 1.0), "bob", asked)
    circle.send(made_offer("bob", 7.0), "eve", asked)
    circle.send(made_decline("eve"), "eve", asked)
    result = circle.result()
    assert [(o.provider.user_id, o.mean_distance) for o in result.offers] == [("bob", 5.0), ("eve", 7.0)]
    assert circle.anna.dropped == {"duplicate": 1}


def test_one_user_cannot_fill_a_gathering_with_made_up_providers() -> None:
    """Eight are taken; who is present is taken all the same."""
    circle = Circle("bob", "carl")
    asked = circle.ask()
    for i in range(100):
        circle.send(made_offer(f"eve{i}", 0.1), "eve", asked)
    circle.send(made_offer("bob"), "bob", asked)
    circle.send(made_offer("carl"), "carl", asked)
    result = circle.result()
    assert sum(offer.provider.user_id == "eve" for offer in result.offers) == MAX_PROVIDERS_PER_USER
    assert {"bob", "carl"} <= {offer.name for offer in result.offers}
    assert circle.anna.dropped == {"crowded": 100 - MAX_PROVIDERS_PER_USER}


def test_late_answers_and_foreign_ones_are_told_apart() -> None:
    """By whether the correlation id was ours."""
    circle = Circle("bob")
    asked = circle.ask()
    circle.clock.now += 2
    assert circle.result().silent == ("bob",)
    circle.send(made_offer("bob"), "bob", asked)
    circle.send(made_offer("bob"), "bob", "somebody-elses")
    circle.send(made_offer("bob"), "bob", None)
    assert circle.anna.dropped == {"late": 1, "foreign": 2}


@pytest.mark.parametrize("message", [Who(), Request(Genre.JAZZ, {SPACE: [1.0]})])
def test_what_a_requester_has_no_use_for_is_counted(message: Message) -> None:
    """Others' requests, and "who is there"."""
    circle = Circle()
    circle.send(message, "bob")
    assert circle.anna.dropped == {"unexpected": 1}


def test_the_listeners_own_worker_is_never_ranked_and_never_waited_for() -> None:
    """Its offer stands beside, were it the nearest of all."""
    circle = Circle("anna", "bob")
    asked = circle.ask()
    circle.send(made_offer("anna", 0.0), "anna", asked)
    circle.send(made_offer("bob", 9.0), "bob", asked)
    result = circle.result()
    assert [offer.name for offer in result.offers] == ["bob"]
    assert [offer.name for offer in result.own] == ["anna"]


def test_an_unknown_provider_that_answers_in_time_counts() -> None:
    """It came after the last greeting, or its greeting was lost."""
    circle = Circle("bob")
    asked = circle.ask()
    circle.send(made_offer("carl", 1.0), "carl", asked)
    circle.send(made_offer("bob", 2.0), "bob", asked)
    assert [offer.name for offer in circle.result().offers] == ["carl", "bob"]


def test_equal_distances_are_ranked_by_provider_and_not_by_chance() -> None:
    """The same whoever was faster."""
    for order in (("bob", "carl"), ("carl", "bob")):
        circle = Circle("bob", "carl")
        asked = circle.ask()
        for name in order:
            circle.send(made_offer(name, 1.0), name, asked)
        assert [offer.name for offer in circle.result().offers] == ["bob", "carl"]


@pytest.mark.parametrize(
    ("answers", "ranked", "left_out"),
    [
        ({"bob": SPACE, "carl": OTHER_SPACE}, ["bob"], ["carl"]),
        ({"bob": OTHER_SPACE, "carl": OTHER_SPACE}, ["bob", "carl"], []),
        ({"bob": "never-asked-for", "carl": OTHER_SPACE}, ["carl"], ["bob"]),
        ({"bob": "never-asked-for", "carl": "neither"}, [], ["bob", "carl"]),
    ],
)
def test_only_offers_of_one_space_are_ranked(answers: dict[str, str], ranked: list[str], left_out: list[str]) -> None:
    """The most preferred in which anybody answered; distances of others cannot be compared."""
    circle = Circle(*answers)
    asked = circle.ask()
    for name, space_id in answers.items():
        circle.send(made_offer(name, space_id=space_id), name, asked)
    result = circle.result()
    assert [offer.name for offer in result.offers] == ranked
    assert [offer.name for offer in result.left_out] == left_out
    assert not result.nobody_else


def test_several_requests_are_in_the_air_at_once() -> None:
    """Each gets its own answers, and ends by itself."""
    circle = Circle("bob", "carl")
    first, second = circle.ask(), circle.ask()
    for name in ("bob", "carl"):
        circle.send(made_offer(name, 4.0), name, second)
    assert circle.result().correlation_id == second
    for name in ("bob", "carl"):
        circle.send(made_offer(name, 6.0), name, first)
    result = circle.result()
    assert (result.correlation_id, result.offers[0].mean_distance) == (first, 6.0)


def test_names_of_others_are_cleaned() -> None:
    """In offers, refusals, and the list of who is there; a ticket is not in a log line."""
    circle = Circle()
    circle.hello("bob", label="Bob\x1b[2J")
    asked = circle.ask()
    circle.send(msgspec.structs.replace(made_offer("bob"), name="Bob\u202e"), "bob", asked)
    assert circle.anna.present()[0].name == "Bob[2J"
    result = circle.result()
    assert result.offers[0].name == "Bob"
    assert "ticket-" not in repr(result)


def test_presence_runs_out_and_is_renewed() -> None:
    """Each greeting counts for as long as two of them may be lost."""
    circle = Circle("bob", "carl")
    circle.clock.now += PRESENCE_LIFETIME_S - 10
    circle.hello("carl")
    circle.clock.now += 11
    assert [present.name for present in circle.anna.present()] == ["carl"]


def test_presence_is_bounded_for_each_user() -> None:
    """A user who greets as a thousand providers has room for eight, and others still have theirs."""
    presence = Presence()
    taken = [presence.greet(ProviderKey("eve", str(i)), name="e", tracks=1, now=0.0) for i in range(1000)]
    assert sum(taken) == MAX_PROVIDERS_PER_USER
    assert presence.greet(ProviderKey("bob", "1"), name="b", tracks=1, now=0.0)
    assert presence.greet(ProviderKey("eve", "0"), name="again", tracks=1, now=1.0)
    assert len(presence.others("anna", now=1.0)) == MAX_PROVIDERS_PER_USER + 1

"""Requests and offers between real requesters and real workers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dnai.broker.scatter import Scatter
from dnai.broker.topology import REQUESTS
from dnai.errors import BrokerClosedError, BrokerError, BrokerUnreachableError, UsageError
from dnai.recommend.messages import Goodbye, Hello
from dnai.tracks import Genre

if TYPE_CHECKING:
    from tests.broker.conftest import MakeProvider, Parts, Publish, Vectors
    from tests.conftest import Circle, Eventually


def test_an_offer_comes_back_with_all_that_a_listener_needs(
    circle: Circle, parts: Parts, make_provider: MakeProvider, vectors: Vectors, eventually: Eventually
) -> None:
    """Distance, tracks, address and ticket survive the way; the ticket was issued to the asker."""
    issued: list[tuple[str, Genre]] = []
    provider = make_provider(
        "Bob's", {Genre.JAZZ: 2.0}, issue_ticket=lambda user, query: issued.append((user, query.genre)) or "t" * 20
    )
    parts.worker(circle.url("bob"), provider)
    scatter = parts.scatter(circle.url("anna"))
    result = scatter.ask(Genre.JAZZ, vectors(0.0))
    offer = result.winner
    assert offer is not None
    assert offer.provider.user_id == "bob"
    assert offer.provider.provider_id == provider.provider_id
    assert (offer.name, offer.tracks, offer.host, offer.port) == ("Bob's", 3, "127.0.0.1", 7711)
    assert offer.mean_distance == pytest.approx(2.0 * np.sqrt(26), rel=1e-5)
    assert offer.ticket == "t" * 20
    assert issued == [("anna", Genre.JAZZ)]
    assert not result.nobody_else


def test_the_right_provider_wins_by_genre_and_by_song(
    circle: Circle, parts: Parts, make_provider: MakeProvider, vectors: Vectors
) -> None:
    """Three workers: who is nearest differs by genre, and by the vector within a genre."""
    shelves = {
        "bob": {Genre.JAZZ: 1.0, Genre.ROCK: 5.0},
        "carl": {Genre.JAZZ: 5.0, Genre.ROCK: 1.0},
        "dora": {Genre.JAZZ: 9.0},
    }
    for name, at in shelves.items():
        parts.worker(circle.url(name), make_provider(name, at))
    scatter = parts.scatter(circle.url("anna"))

    def order(genre: Genre, value: float) -> list[str]:
        return [offer.provider.user_id for offer in scatter.ask(genre, vectors(value)).offers]

    assert order(Genre.JAZZ, 0.0) == ["bob", "carl", "dora"]
    assert order(Genre.JAZZ, 6.5) == ["carl", "dora", "bob"]
    assert order(Genre.JAZZ, 9.0) == ["dora", "carl", "bob"]
    assert order(Genre.ROCK, 0.0) == ["carl", "bob"]


def test_everybody_answered_ends_a_request_long_before_the_deadline(
    circle: Circle, parts: Parts, make_provider: MakeProvider, vectors: Vectors, eventually: Eventually
) -> None:
    """One has music, one has none and says so, one knows another space: nobody is silent, nobody is waited for."""
    parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    parts.worker(circle.url("carl"), make_provider("carl", {Genre.ROCK: 1.0}))
    parts.worker(circle.url("dora"), make_provider("dora", {Genre.JAZZ: 1.0}, space_id="another"))
    scatter = parts.scatter(circle.url("anna"), deadline_s=20.0)
    eventually(lambda: len(scatter.who()) == 3, "three hellos")
    result = scatter.ask(Genre.JAZZ, vectors(0.0))
    assert [offer.name for offer in result.offers] == ["bob"]
    assert {(decline.name, decline.reason) for decline in result.declines} == {
        ("carl", "no_tracks"),
        ("dora", "unknown_space"),
    }
    assert result.silent == ()
    assert result.elapsed_s < 5.0


def test_nobody_there_is_known_at_once(circle: Circle, parts: Parts, vectors: Vectors) -> None:
    """Without any worker the broker gives the request back, and the deadline is not waited for."""
    scatter = parts.scatter(circle.url("anna"), deadline_s=20.0)
    result = scatter.ask(Genre.JAZZ, vectors(0.0))
    assert result.nobody_else
    assert result.offers == ()
    assert result.elapsed_s < 1.0
    assert scatter.who() == ()


def test_only_the_own_worker_there_is_nobody_else(
    circle: Circle, parts: Parts, make_provider: MakeProvider, vectors: Vectors
) -> None:
    """The listener's own worker is never ranked, and not waited for."""
    parts.worker(circle.url("anna"), make_provider("anna's own", {Genre.JAZZ: 0.0}))
    scatter = parts.scatter(circle.url("anna"), deadline_s=20.0)
    assert scatter.who() == ()
    result = scatter.ask(Genre.JAZZ, vectors(0.0))
    assert result.nobody_else
    assert result.offers == ()
    assert result.elapsed_s < 2.0


def test_several_requests_in_the_air_do_not_mix(
    circle: Circle, parts: Parts, make_provider: MakeProvider, vectors: Vectors
) -> None:
    """Forty requests from eight threads: each gets the answers to its own vector."""
    parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 0.0}))
    parts.worker(circle.url("carl"), make_provider("carl", {Genre.JAZZ: 100.0}))
    scatter = parts.scatter(circle.url("anna"), deadline_s=10.0)
    found: dict[int, list[float]] = {}

    def ask(thread: int) -> None:
        for value in range(thread * 5, thread * 5 + 5):
            offers = scatter.ask(Genre.JAZZ, vectors(float(value))).offers
            found[value] = [offer.mean_distance for offer in sorted(offers, key=lambda offer: offer.name)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    root = np.sqrt(26)
    assert {value: pytest.approx([value * root, (100 - value) * root], rel=1e-4) for value in range(40)} == found


def test_a_dead_peer_costs_the_deadline_and_is_named(
    circle: Circle,
    parts: Parts,
    make_provider: MakeProvider,
    publish: Publish,
    vectors: Vectors,
    eventually: Eventually,
) -> None:
    """A provider that said hello and died is waited for until the deadline, no longer; the others' offers are there."""
    parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    scatter = parts.scatter(circle.url("anna"), deadline_s=0.4)
    publish("carl", Hello(provider_id="c" * 16, name="Carl", tracks=3))
    eventually(lambda: len(scatter.who()) == 2, "the hellos of bob and carl")
    result = scatter.ask(Genre.JAZZ, vectors(0.0))
    assert [offer.name for offer in result.offers] == ["bob"]
    assert result.silent == ("Carl",)
    assert 0.39 <= result.elapsed_s < 1.5


def test_a_goodbye_is_waited_for_no_longer(
    circle: Circle,
    parts: Parts,
    make_provider: MakeProvider,
    publish: Publish,
    vectors: Vectors,
    eventually: Eventually,
) -> None:
    """Who said goodbye costs nothing; also while a request is in the air."""
    bob = parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    scatter = parts.scatter(circle.url("anna"), deadline_s=20.0)
    publish("carl", Hello(provider_id="c" * 16, name="Carl", tracks=3))
    eventually(lambda: len(scatter.who()) == 2, "the hellos of bob and carl")
    future = scatter.submit(Genre.JAZZ, vectors(0.0))
    eventually(lambda: bob.answered == 1, "bob's answer")
    assert not future.done()
    publish("carl", Goodbye(provider_id="c" * 16))
    result = future.result(timeout=5)
    assert [offer.name for offer in result.offers] == ["bob"]
    assert result.silent == ()
    bob.close()
    eventually(lambda: scatter.who() == (), "bob's goodbye")
    assert scatter.ask(Genre.JAZZ, vectors(0.0)).nobody_else


def test_a_worker_that_comes_later_is_known_by_its_hello(
    circle: Circle, parts: Parts, make_provider: MakeProvider, vectors: Vectors, eventually: Eventually
) -> None:
    """A hello reaches requesters that were there before; announcing again tells the new number of tracks."""
    scatter = parts.scatter(circle.url("anna"))
    assert scatter.who() == ()
    provider = make_provider("bob", {Genre.JAZZ: 1.0})
    worker = parts.worker(circle.url("bob"), provider)
    eventually(lambda: [one.tracks for one in scatter.who()] == [3], "bob's hello")
    provider.shelf = make_provider("other", {Genre.JAZZ: 1.0, Genre.POP: 1.0}, tracks=5).shelf
    worker.announce()
    eventually(lambda: [one.tracks for one in scatter.who()] == [10], "bob's second hello")


def test_two_requesters_of_one_member_get_each_their_own(
    circle: Circle, parts: Parts, make_provider: MakeProvider, vectors: Vectors
) -> None:
    """Each has a reply queue of its own."""
    parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    first, second = parts.scatter(circle.url("anna")), parts.scatter(circle.url("anna"))
    assert len(first.ask(Genre.JAZZ, vectors(0.0)).offers) == 1
    assert len(second.ask(Genre.JAZZ, vectors(0.0)).offers) == 1
    assert dict(first.dropped) == dict(second.dropped) == {}


def test_a_request_without_a_finite_vector_is_the_callers_mistake(
    circle: Circle, parts: Parts, vectors: Vectors
) -> None:
    """It is refused before anything is sent, and the requester lives on."""
    scatter = parts.scatter(circle.url("anna"))
    with pytest.raises(UsageError, match="numbers"):
        scatter.ask(Genre.JAZZ, vectors(float("nan")))
    with pytest.raises(UsageError, match="vector"):
        scatter.ask(Genre.JAZZ, {})
    assert scatter.ask(Genre.JAZZ, vectors(0.0)).nobody_else


def test_closing_ends_requests_in_the_air_at_once(
    circle: Circle, parts: Parts, publish: Publish, vectors: Vectors, eventually: Eventually
) -> None:
    """Whoever waits gets an error that says so, long before the deadline, and asking later fails."""
    mute = parts.channel(circle.url("carl"))
    mute.queue_declare("carl.mute", exclusive=True)
    mute.queue_bind("carl.mute", REQUESTS)
    scatter = parts.scatter(circle.url("anna"), deadline_s=20.0)
    publish("carl", Hello(provider_id="c" * 16, name="Carl", tracks=3))
    eventually(lambda: len(scatter.who()) == 1, "carl's hello")
    future = scatter.submit(Genre.JAZZ, vectors(0.0))
    scatter.close()
    with pytest.raises(BrokerClosedError):
        future.result(timeout=0)
    with pytest.raises(BrokerError):
        scatter.ask(Genre.JAZZ, vectors(0.0))


def test_a_patient_requester_starts_without_a_broker(vectors: Vectors) -> None:
    """It can be started where nobody answers yet; requests fail at once, naming the address."""
    scatter = Scatter("amqp://anna:secret@127.0.0.1:1/c")
    scatter.start(patient=True)
    try:
        assert not scatter.connected
        with pytest.raises(BrokerUnreachableError, match=r"127\.0\.0\.1:1"):
            scatter.ask(Genre.JAZZ, vectors(0.0))
    finally:
        scatter.close()

"""Members who do not keep to the rules: their messages are dropped, logged and counted, and nothing else suffers."""

from __future__ import annotations

import json
import logging
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pika
import pytest
from pika import data as pika_data

from dnai.broker.consumer import WINDOW
from dnai.broker.topology import OFFERS, PRESENCE, REQUESTS
from dnai.recommend.messages import Goodbye, Hello, Offer, Request, Who
from dnai.recommend.provider import RequestLimit
from dnai.tracks import Genre

if TYPE_CHECKING:
    from dnai.broker.scatter import Scatter
    from tests.broker.conftest import MakeProvider, Parts, Publish, Vectors
    from tests.conftest import Circle, Eventually

EVES_ID = "e" * 16


def offer(**changes: Any) -> Offer:
    """An offer of eve's, nearer than any honest one."""
    fields: dict[str, Any] = {
        "provider_id": EVES_ID,
        "name": "Eve",
        "space_id": "test26",
        "model_id": "test-model",
        "mean_distance": 0.001,
        "tracks": 5,
        "host": "127.0.0.1",
        "port": 6666,
        "ticket": "t" * 20,
    }
    return Offer(**{**fields, **changes})


def offer_bytes(**changes: object) -> bytes:
    """The same as JSON, in which anything can stand."""
    fields = json.loads(json.dumps({name: getattr(offer(), name) for name in Offer.__struct_fields__}))
    return json.dumps({**fields, **changes}).encode()


@dataclass
class Victim:
    """A requester whose next request eve sees, as any worker does."""

    scatter: Scatter
    eves_queue: Any

    def next_request(self) -> tuple[str, str]:
        """Return correlation id and reply key of the request that is in the air."""
        end = time.monotonic() + 10
        while True:
            _, properties, _ = self.eves_queue.basic_get("eve.q", auto_ack=True)
            if properties is not None and properties.type == "dnai.request":
                return properties.correlation_id, properties.reply_to
            assert time.monotonic() < end, "waited 10 s for a request in eve's queue"


@pytest.fixture
def victim(
    circle: Circle, parts: Parts, make_provider: MakeProvider, publish: Publish, eventually: Eventually
) -> Iterator[Victim]:
    """Anna asks; bob is honest, at distance 1 per axis; eve is present and sees the requests."""
    channel = parts.channel(circle.url("eve"))
    channel.queue_declare("eve.q", exclusive=True)
    channel.queue_bind("eve.q", REQUESTS)
    parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    scatter = parts.scatter(circle.url("anna"), deadline_s=3.0)
    publish("eve", Hello(provider_id=EVES_ID, name="Eve", tracks=5))
    eventually(lambda: len(scatter.who()) == 2, "the hellos of bob and eve")
    yield Victim(scatter, channel)
    assert scatter.connected


BAD_OFFERS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "NaN": (offer_bytes(mean_distance=float("nan")), {}),
    "infinite": (offer_bytes().replace(b"0.001", b"1e999"), {}),
    "negative": (offer_bytes(mean_distance=-1.0), {}),
    "text for a number": (offer_bytes(mean_distance="0.001"), {}),
    "no tracks": (offer_bytes(tracks=0), {}),
    "a path for a host": (offer_bytes(host="../../etc"), {}),
    "port 0": (offer_bytes(port=0), {}),
    "a bad ticket": (offer_bytes(ticket="short"), {}),
    "10 MB": (offer_bytes(name="x" * 10_000_000), {}),
    "not JSON": (b"\x80\x04pickle", {}),
    "nested deep": (b"[" * 30_000, {}),
    "no type": (offer_bytes(), {"type": None}),
    "another type": (offer_bytes(), {"type": "dnai.surprise"}),
    "another version": (offer_bytes(), {"headers": {"v": 2}}),
    "version true": (offer_bytes(), {"headers": {"v": True}}),
    "no headers": (offer_bytes(), {"headers": None}),
    "type not UTF-8": (offer_bytes(), {"type": b"\xff\xfe"}),
}


@pytest.mark.parametrize("what", BAD_OFFERS)
def test_a_bad_offer_is_dropped_and_the_good_one_wins(
    what: str, victim: Victim, publish: Publish, vectors: Vectors, eventually: Eventually
) -> None:
    """Out of bounds in any way: counted as malformed, and the honest offer is the winner."""
    body, properties = BAD_OFFERS[what]
    future = victim.scatter.submit(Genre.JAZZ, vectors(0.0))
    correlation_id, key = victim.next_request()
    publish("eve", body, key=key, **{"type": "dnai.offer", "correlation_id": correlation_id, **properties})
    eventually(lambda: victim.scatter.dropped.get("malformed") == 1, "the bad offer to be counted")
    assert not future.done()
    publish("eve", Goodbye(provider_id=EVES_ID))
    result = future.result(timeout=5)
    assert [one.name for one in result.offers] == ["bob"]
    assert dict(victim.scatter.dropped) == {"malformed": 1}


def test_an_offer_without_user_id_is_dropped(
    victim: Victim, publish: Publish, vectors: Vectors, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker checks user_id only where there is one, so a message without it counts for nothing."""
    future = victim.scatter.submit(Genre.JAZZ, vectors(0.0))
    correlation_id, key = victim.next_request()
    with caplog.at_level(logging.WARNING, logger="dnai.broker.scatter"):
        publish("eve", offer(), key=key, correlation_id=correlation_id, user_id=None)
        eventually(lambda: "no user_id" in caplog.text, "a line on the unsigned offer")
    assert victim.scatter.dropped.get("unsigned") == 1
    assert correlation_id in caplog.text
    publish("eve", Goodbye(provider_id=EVES_ID))
    assert [one.name for one in future.result(timeout=5).offers] == ["bob"]


def test_an_offer_under_anothers_user_id_never_arrives(victim: Victim, publish: Publish, vectors: Vectors) -> None:
    """RabbitMQ refuses it and closes the impostor's channel."""
    future = victim.scatter.submit(Genre.JAZZ, vectors(0.0))
    correlation_id, key = victim.next_request()
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        publish("eve", offer(), key=key, correlation_id=correlation_id, user_id="bob")
    assert [one.name for one in future.result(timeout=10).offers] == ["bob"]
    assert dict(victim.scatter.dropped) == {}


def test_a_foreign_correlation_id_is_dropped(
    victim: Victim, publish: Publish, vectors: Vectors, eventually: Eventually
) -> None:
    """An offer that belongs to no request of this requester, or names none, changes nothing."""
    future = victim.scatter.submit(Genre.JAZZ, vectors(0.0))
    _, key = victim.next_request()
    publish("eve", offer(), key=key, correlation_id="made-up-by-eve")
    publish("eve", offer(), key=key)
    publish("eve", offer(), key=key, correlation_id=b"\xff\xff")
    eventually(lambda: victim.scatter.dropped.get("foreign") == 3, "three foreign offers to be counted")
    publish("eve", Goodbye(provider_id=EVES_ID))
    assert [one.name for one in future.result(timeout=5).offers] == ["bob"]


def test_an_offer_after_the_deadline_is_late(
    circle: Circle, parts: Parts, victim: Victim, publish: Publish, vectors: Vectors, eventually: Eventually
) -> None:
    """The result stands; what comes later is counted as late."""
    hasty = parts.scatter(circle.url("anna"), deadline_s=0.3)
    eventually(lambda: len(hasty.who()) == 1, "bob's hello")
    publish("eve", Hello(provider_id=EVES_ID, name="Eve", tracks=5))
    eventually(lambda: len(hasty.who()) == 2, "eve's hello")
    future = hasty.submit(Genre.JAZZ, vectors(0.0))
    correlation_id, key = victim.next_request()
    assert future.result(timeout=5).silent == ("Eve",)
    publish("eve", offer(), key=key, correlation_id=correlation_id)
    eventually(lambda: hasty.dropped.get("late") == 1, "the late offer to be counted")


def test_one_offer_of_each_provider_is_taken(
    victim: Victim, publish: Publish, vectors: Vectors, eventually: Eventually
) -> None:
    """The first counts; a second, better one is dropped."""
    future = victim.scatter.submit(Genre.JAZZ, vectors(0.0))
    correlation_id, key = victim.next_request()
    publish("eve", Hello(provider_id="f" * 16, name="Eve's other", tracks=5))
    publish("eve", offer(mean_distance=2.0), key=key, correlation_id=correlation_id)
    result = future.result(timeout=5)
    publish("eve", offer(mean_distance=0.0), key=key, correlation_id=correlation_id)
    eventually(lambda: victim.scatter.dropped.get("late") == 1, "the second offer to be counted")
    assert [one.mean_distance for one in result.offers if one.name == "Eve"] == [2.0]


def test_two_offers_of_one_provider_while_another_is_missing(
    victim: Victim, publish: Publish, vectors: Vectors, eventually: Eventually
) -> None:
    """The second is a duplicate while the request is still open."""
    publish("carl", Hello(provider_id="c" * 16, name="Carl", tracks=1))
    eventually(lambda: len(victim.scatter.who()) == 3, "carl's hello")
    future = victim.scatter.submit(Genre.JAZZ, vectors(0.0))
    correlation_id, key = victim.next_request()
    for distance in (2.0, 0.0):
        publish("eve", offer(mean_distance=distance), key=key, correlation_id=correlation_id)
    eventually(lambda: victim.scatter.dropped.get("duplicate") == 1, "the second offer to be counted")
    publish("carl", Goodbye(provider_id="c" * 16))
    result = future.result(timeout=5)
    assert {one.name: one.mean_distance for one in result.offers}["Eve"] == 2.0


def test_requests_of_the_wrong_kind_are_dropped_by_the_worker(
    circle: Circle,
    parts: Parts,
    make_provider: MakeProvider,
    publish: Publish,
    vectors: Vectors,
    eventually: Eventually,
) -> None:
    """Unsigned, malformed, with another's reply key, without correlation id, or no request at all: no answer."""
    worker = parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    request = Request(genre=Genre.JAZZ, vectors={"test26": [0.0] * 26})
    proper: dict[str, Any] = {"exchange": REQUESTS, "correlation_id": "c" * 16, "reply_to": "eve.q"}
    publish("eve", request, **{**proper, "user_id": None})
    publish("eve", request, **{**proper, "reply_to": "anna.q"})
    publish("eve", request, **{**proper, "reply_to": None})
    publish("eve", request, **{**proper, "reply_to": b"eve.\xff"})
    publish("eve", request, **{**proper, "correlation_id": None})
    publish("eve", Request(genre=Genre.JAZZ, vectors={"test26": [0.0] * 25}), **proper)
    publish("eve", b"{}", **{**proper, "type": "dnai.request"})
    publish("eve", b'{"genre":"polka","vectors":{"test26":[0]}}', **{**proper, "type": "dnai.request"})
    publish("eve", Hello(provider_id=EVES_ID, name="Eve", tracks=1), **proper)
    eventually(lambda: sum(worker.dropped.values()) == 9, "nine messages to be dropped")
    assert dict(worker.dropped) == {"unsigned": 1, "malformed": 7, "unexpected": 1}
    assert worker.answered == 0
    assert len(parts.scatter(circle.url("anna")).ask(Genre.JAZZ, vectors(0.0)).offers) == 1


def _table(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _nested(levels: int) -> bytes:
    content = b""
    for _ in range(levels):
        content = b"\x01aF" + _table(content)
    return _table(content)


FAR_FUTURE = _table(b"\x04whenT" + struct.pack(">Q", 2**62))
NESTED_DEEP = _nested(2000)


def test_properties_that_pika_cannot_decode_cut_nobody_off(
    circle: Circle,
    parts: Parts,
    make_provider: MakeProvider,
    vectors: Vectors,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A timestamp beyond the year 9999, and headers nested a thousand deep, are dropped like any bad message."""
    worker = parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    scatter = parts.scatter(circle.url("anna"))
    assert len(scatter.who()) == 1
    channel = parts.channel(circle.url("eve"))
    caplog.set_level(logging.WARNING)
    plain_encode = pika_data.encode_table
    for raw in (FAR_FUTURE, NESTED_DEEP):
        headers = {"this": "is replaced by raw bytes"}

        def encode(pieces: list[bytes], table: Any, raw: bytes = raw, headers: Any = headers) -> int:
            if table is not headers:
                return plain_encode(pieces, table)
            pieces.append(raw)
            return len(raw)

        with monkeypatch.context() as patch:
            patch.setattr(pika_data, "encode_table", encode)
            for exchange in (REQUESTS, PRESENCE):
                properties = pika.BasicProperties(user_id="eve", type="dnai.who", headers=headers)
                channel.basic_publish(exchange, "", b"{}", properties)
    eventually(lambda: worker.dropped.get("unsigned") == 2, "the worker to drop both messages")
    eventually(lambda: scatter.dropped.get("unsigned") == 2, "the requester to drop both messages")
    assert "trying again" not in caplog.text
    assert len(scatter.ask(Genre.JAZZ, vectors(0.0)).offers) == 1


def test_a_crowd_of_questions_who_is_there_gets_few_answers(
    circle: Circle, parts: Parts, make_provider: MakeProvider, publish: Publish, eventually: Eventually
) -> None:
    """A hello goes to everybody, so a worker does not let itself be made to shout."""
    channel = parts.channel(circle.url("anna"))
    channel.queue_declare("anna.q", exclusive=True)
    channel.queue_bind("anna.q", PRESENCE)
    parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    started_at = time.monotonic()
    for _ in range(100):
        publish("eve", Who(), exchange=REQUESTS)
    publish("eve", Goodbye(provider_id=EVES_ID))
    seen = []

    def goodbye_has_come() -> bool:
        _, properties, _ = channel.basic_get("anna.q", auto_ack=True)
        seen.append(properties.type if properties else None)
        return seen[-1] == "dnai.goodbye"

    eventually(goodbye_has_come, "eve's goodbye behind all the hellos")
    allowed = 2 + (time.monotonic() - started_at) / 0.1
    assert 1 <= seen.count("dnai.hello") <= allowed


def test_a_user_who_floods_is_told_busy_and_others_are_served(
    circle: Circle,
    parts: Parts,
    make_provider: MakeProvider,
    publish: Publish,
    vectors: Vectors,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The limit is for each user, and what is above it does not fill the worker's log."""
    caplog.set_level(logging.INFO, logger="dnai.broker.consumer")
    provider = make_provider("bob", {Genre.JAZZ: 1.0}, limit=RequestLimit(burst=5, per_s=0.001))
    worker = parts.worker(circle.url("bob"), provider)
    request = Request(genre=Genre.JAZZ, vectors={"test26": [0.0] * 26})
    for number in range(30):
        publish("eve", request, exchange=REQUESTS, correlation_id=f"{number:016}", reply_to="eve.q")
    eventually(lambda: worker.answered == 30, "thirty answers")
    assert len([line for line in caplog.messages if "of eve" in line]) == 5
    assert len([line for line in caplog.messages if "busy" in line]) <= 2  # one in five seconds
    scatter = parts.scatter(circle.url("anna"))
    assert len(scatter.ask(Genre.JAZZ, vectors(0.0)).offers) == 1
    eves = parts.scatter(circle.url("eve"))
    assert [decline.reason for decline in eves.ask(Genre.JAZZ, vectors(0.0)).declines] == ["busy"]


def test_a_correlation_id_cannot_write_into_the_workers_terminal(
    circle: Circle,
    parts: Parts,
    make_provider: MakeProvider,
    publish: Publish,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is the asker's own text: it is logged on one line, without what a terminal would obey."""
    caplog.set_level(logging.INFO, logger="dnai.broker.consumer")
    worker = parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    request = Request(genre=Genre.JAZZ, vectors={"test26": [0.0] * 26})
    publish("eve", request, exchange=REQUESTS, correlation_id="\x1b[2J\nWARNING made up", reply_to="eve.q")
    eventually(lambda: any(line.startswith("request ") for line in caplog.messages), "the line on the request")
    assert worker.answered == 1
    [line] = [line for line in caplog.messages if line.startswith("request ")]
    assert line.startswith("request [2J WARNING made up of eve for jazz: distance")


def _waiting(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.message_count)


def test_a_request_that_has_expired_is_not_answered(
    circle: Circle, parts: Parts, make_provider: MakeProvider, publish: Publish, eventually: Eventually
) -> None:
    """A worker with its hands full never sees a request whose asker has stopped to wait."""
    release = threading.Event()
    provider = make_provider("bob", {Genre.JAZZ: 1.0})
    plain_answer = provider.answer

    def slow_answer(request: Request, **about: Any) -> Any:
        assert release.wait(30), "waited 30 s for the requests to be published"
        return plain_answer(request, **about)

    provider.answer = slow_answer  # type: ignore[method-assign]
    worker = parts.worker(circle.url("bob"), provider)
    request = Request(genre=Genre.JAZZ, vectors={"test26": [0.0] * 26})
    proper: dict[str, Any] = {"exchange": REQUESTS, "reply_to": "eve.q"}
    for number in range(WINDOW):
        publish("eve", request, correlation_id=f"{number:016}", **proper)
    watch = parts.channel(circle.url("eve"))
    watch.queue_declare("eve.watch", exclusive=True)
    watch.queue_bind("eve.watch", REQUESTS)
    for number in range(20):
        publish("eve", request, correlation_id=f"old-{number:016}", expiration="200", **proper)
    assert _waiting(watch, "eve.watch") == 20
    eventually(lambda: _waiting(watch, "eve.watch") == 0, "the requests in a queue like the worker's to expire")
    publish("eve", request, correlation_id="new-0000000000000", **proper)
    release.set()
    eventually(lambda: worker.answered > WINDOW, "the request behind those that expired to be answered")
    assert worker.answered == WINDOW + 1


def test_a_worker_that_falls_behind_loses_the_oldest_requests(
    circle: Circle, parts: Parts, make_provider: MakeProvider, publish: Publish, eventually: Eventually
) -> None:
    """With its queue full, the first ones that wait there go, and the latest are answered."""
    answered: list[str] = []
    may_go_on = time.monotonic() + 60
    provider = make_provider("bob", {Genre.JAZZ: 1.0})
    plain_answer = provider.answer
    replies = parts.channel(circle.url("eve"))
    replies.queue_declare("eve.q", exclusive=True)
    replies.queue_bind("eve.q", OFFERS, routing_key="eve.q")
    release: list[bool] = []

    def slow_answer(request: Request, **about: Any) -> Any:
        eventually(lambda: release or time.monotonic() > may_go_on, "the flood to be over", timeout_s=60)
        return plain_answer(request, **about)

    provider.answer = slow_answer  # type: ignore[method-assign]
    worker = parts.worker(circle.url("bob"), provider)
    request = Request(genre=Genre.JAZZ, vectors={"test26": [0.0] * 26})
    for number in range(1000):
        publish("eve", request, exchange=REQUESTS, correlation_id=f"{number:016}", reply_to="eve.q")
    release.append(True)

    def last_is_answered() -> bool:
        _, properties, _ = replies.basic_get("eve.q", auto_ack=True)
        if properties is not None:
            answered.append(properties.correlation_id)
        return bool(answered) and answered[-1] == f"{999:016}"

    eventually(last_is_answered, "the last request to be answered")
    numbers = [int(one) for one in answered]
    assert worker.answered == len(numbers) < 400
    assert numbers == sorted(numbers)
    assert numbers[-256:] == list(range(1000 - 256, 1000))

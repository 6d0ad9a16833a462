"""What a member may do on the broker, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from dnai.broker.members import Member, definitions
from dnai.broker.scatter import Scatter
from dnai.broker.topology import OFFERS, PRESENCE, REQUESTS, TRACE

if TYPE_CHECKING:
    from tests.broker.conftest import Parts
    from tests.conftest import Circle


def _own_queue(channel: Any, name: str) -> str:
    channel.queue_declare(name, exclusive=True)
    return name


def _refused(error: pytest.ExceptionInfo[ChannelClosedByBroker], code: int) -> bool:
    return bool(error.value.reply_code == code)


def test_a_member_binds_requests_and_presence_and_their_own_reply_key(circle: Circle, parts: Parts) -> None:
    """All that a worker and a requester need is allowed."""
    channel = parts.channel(circle.url("anna"))
    queue = _own_queue(channel, "anna.q")
    channel.queue_bind(queue, REQUESTS)
    channel.queue_bind(queue, PRESENCE)
    channel.queue_bind(queue, OFFERS, routing_key="anna.q")
    channel.basic_publish(OFFERS, "anna.q", b"x", pika.BasicProperties(user_id="anna"))
    _, _, body = channel.basic_get(queue, auto_ack=True)
    assert body == b"x"


@pytest.mark.parametrize("key", ["bob.q", "#", "*.q", "*.*", "#.q", "annabel.q", "anna"])
def test_a_member_cannot_bind_anothers_reply_key(circle: Circle, parts: Parts, key: str) -> None:
    """Another's key, and every pattern that would cover it, is refused."""
    channel = parts.channel(circle.url("anna"))
    queue = _own_queue(channel, "anna.q")
    with pytest.raises(ChannelClosedByBroker) as error:
        channel.queue_bind(queue, OFFERS, routing_key=key)
    assert _refused(error, 403)


def test_a_member_cannot_reach_anothers_key_through_an_exchange_of_their_own(circle: Circle, parts: Parts) -> None:
    """Binding exchange to exchange is checked like binding a queue."""
    channel = parts.channel(circle.url("anna"))
    channel.exchange_declare("anna.x", exchange_type="topic", auto_delete=True)
    with pytest.raises(ChannelClosedByBroker) as error:
        channel.exchange_bind("anna.x", OFFERS, routing_key="#")
    assert _refused(error, 403)


@pytest.mark.parametrize("name", ["bob.q", "q", "dnai.requests", "annabel.q"])
def test_a_member_cannot_declare_a_queue_of_anothers_name(circle: Circle, parts: Parts, name: str) -> None:
    """Only queues whose name begins with the member's own may be made."""
    channel = parts.channel(circle.url("anna"))
    with pytest.raises(ChannelClosedByBroker) as error:
        channel.queue_declare(name, exclusive=True)
    assert _refused(error, 403)


def test_a_member_cannot_delete_or_redefine_the_exchanges(circle: Circle, parts: Parts) -> None:
    """The exchanges belong to the operator."""
    with pytest.raises(ChannelClosedByBroker) as error:
        parts.channel(circle.url("anna")).exchange_delete(REQUESTS)
    assert _refused(error, 403)
    with pytest.raises(ChannelClosedByBroker) as error:
        parts.channel(circle.url("anna")).exchange_declare("dnai.more", exchange_type="fanout")
    assert _refused(error, 403)


def test_a_member_cannot_read_or_consume_anothers_queue(circle: Circle, parts: Parts) -> None:
    """A queue that is not exclusive is no more open to others."""
    parts.channel(circle.url("bob")).queue_declare("bob.q", durable=True)
    with pytest.raises(ChannelClosedByBroker) as error:
        parts.channel(circle.url("anna")).basic_get("bob.q")
    assert _refused(error, 403)


def test_a_member_cannot_use_the_default_exchange_nor_the_firehose(circle: Circle, parts: Parts) -> None:
    """Nobody writes past the exchanges, and only a tap user reads the firehose."""
    channel = parts.channel(circle.url("anna"))
    channel.confirm_delivery()
    with pytest.raises(ChannelClosedByBroker) as error:
        channel.basic_publish("", "bob.q", b"x", pika.BasicProperties(user_id="anna"))
    assert _refused(error, 403)
    channel = parts.channel(circle.url("anna"))
    queue = _own_queue(channel, "anna.q")
    with pytest.raises(ChannelClosedByBroker) as error:
        channel.queue_bind(queue, TRACE, routing_key="#")
    assert _refused(error, 403)


def test_a_message_under_anothers_user_id_is_refused(circle: Circle, parts: Parts) -> None:
    """RabbitMQ itself checks user_id: the channel is closed with 406."""
    channel = parts.channel(circle.url("eve"))
    channel.confirm_delivery()
    with pytest.raises(ChannelClosedByBroker) as error:
        channel.basic_publish(REQUESTS, "", b"{}", pika.BasicProperties(user_id="anna"))
    assert _refused(error, 406)


def test_a_tap_user_reads_the_firehose_and_nothing_else(circle: Circle, parts: Parts) -> None:
    """No binding to the exchanges of the circle, no publishing, no other part of the firehose."""
    queue = _own_queue(parts.channel(circle.tap_url), "dnai-tap.a")
    assert queue
    for exchange, key in ((REQUESTS, ""), (OFFERS, "anna.q"), (PRESENCE, ""), (TRACE, "#"), (TRACE, "deliver.#")):
        channel = parts.channel(circle.tap_url)
        queue = _own_queue(channel, f"dnai-tap.{exchange}{key}")
        with pytest.raises(ChannelClosedByBroker) as error:
            channel.queue_bind(queue, exchange, routing_key=key)
        assert _refused(error, 403), (exchange, key)
    channel = parts.channel(circle.tap_url)
    channel.confirm_delivery()
    with pytest.raises(ChannelClosedByBroker) as error:
        channel.basic_publish(REQUESTS, "", b"{}")
    assert _refused(error, 403)


def test_adding_a_member_disturbs_nobody(circle: Circle, parts: Parts) -> None:
    """Others stay connected, keep their passwords and their rights."""
    with Scatter(circle.url("anna")) as scatter:
        circle.add("frida")
        circle.apply(definitions([Member("frida", "a new password")], vhost=circle.vhost))
        assert scatter.who() == ()
        assert scatter.connected
    assert parts.channel(circle.url("bob")).is_open
    assert parts.channel(circle.broker.url("frida", "a new password", circle.vhost)).is_open

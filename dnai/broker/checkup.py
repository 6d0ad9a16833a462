"""Trying out, once, everything that a member does on the broker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pika.exceptions import UnroutableError

from dnai.broker.connection import connect, translated
from dnai.broker.envelope import envelope
from dnai.broker.topology import (
    OFFERS,
    PRESENCE,
    REQUESTER_QUEUE,
    REQUESTS,
    declare_queue,
    new_queue_name,
    require_exchanges,
)
from dnai.config import broker_user
from dnai.recommend.messages import Who, encode


@dataclass(frozen=True, slots=True)
class Checkup:
    """What the broker said: its version, and whether any worker is there."""

    server: str
    any_worker: bool


def check_member(url: str, *, ca_file: Path | None = None) -> Checkup:
    """Connect, make and bind the queues of a member, and publish as one; nothing stays behind.

    Raises
    ------
    ConfigurationError
        When the URL or `ca_file` cannot be used.
    BrokerError
        When the broker cannot be reached, lets the user not in, lacks the exchanges, or the user
        has not the rights of a member.
    """
    user_id = broker_user(url)
    connection = connect(url, ca_file=ca_file, label="dnai doctor")
    try:
        with translated(url):
            channel = connection.channel()
            require_exchanges(channel)
            # Two queues, since a queue that is bound to REQUESTS counts as a worker's.
            for bindings in ({REQUESTS: ""}, {OFFERS: None, PRESENCE: ""}):
                queue = new_queue_name(user_id)
                declare_queue(channel, queue, REQUESTER_QUEUE)
                for exchange, key in bindings.items():
                    channel.queue_bind(queue, exchange, routing_key=queue if key is None else key)
                if REQUESTS in bindings:
                    channel.queue_delete(queue)
            channel.confirm_delivery()
            who = Who()
            try:
                channel.basic_publish(REQUESTS, "", encode(who), envelope(who, user_id=user_id), mandatory=True)
                any_worker = True
            except UnroutableError:
                any_worker = False
            properties = connection._impl.server_properties or {}  # pika shows it nowhere else
            return Checkup(server=f"{properties.get('product')} {properties.get('version')}", any_worker=any_worker)
    finally:
        if connection.is_open:
            connection.close()

"""The circle's exchanges, and the queues that its members bind to them.

There are three durable exchanges, which the operator makes once (`dnai.broker.members`):

- `REQUESTS` (fanout): requests, and "who is there", to every worker;
- `OFFERS` (topic): offers and declines, to the one queue whose name is the routing key;
- `PRESENCE` (fanout): hello and goodbye, to every requester.

A worker has one queue bound to `REQUESTS`. A requester has one queue bound to `OFFERS` under its own
name and to `PRESENCE`. Nobody but workers binds `REQUESTS`, so that a mandatory publish tells when no
worker is there. Queues are exclusive, deleted with their connection, and bounded in messages, bytes and age.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import MappingProxyType

from pika.adapters.blocking_connection import BlockingChannel

REQUESTS = "dnai.requests"
OFFERS = "dnai.offers"
PRESENCE = "dnai.presence"
TRACE = "amq.rabbitmq.trace"
"""RabbitMQ's own exchange of what passes through it, while the firehose is on."""

EXCHANGE_TYPES: Mapping[str, str] = MappingProxyType({REQUESTS: "fanout", OFFERS: "topic", PRESENCE: "fanout"})
TAP_QUEUE_PREFIX = "dnai-tap"
TRACE_KEYS = (f"publish.{REQUESTS}", f"publish.{OFFERS}")

WORKER_QUEUE: Mapping[str, object] = MappingProxyType(
    {"x-max-length": 256, "x-max-length-bytes": 4 * 2**20, "x-message-ttl": 30_000, "x-overflow": "drop-head"}
)
"""A slow worker loses old requests, not memory."""
REQUESTER_QUEUE: Mapping[str, object] = MappingProxyType(
    {"x-max-length": 20_000, "x-max-length-bytes": 64 * 2**20, "x-message-ttl": 60_000, "x-overflow": "drop-head"}
)


def new_queue_name(user_id: str) -> str:
    """Return a fresh name (and routing key) for a queue of `user_id`: ``<user>.<random>``."""
    return f"{user_id}.{secrets.token_urlsafe(12)}"


def require_exchanges(channel: BlockingChannel) -> None:
    """Have the broker say whether the exchanges exist; it closes the channel over one that does not."""
    for name, kind in EXCHANGE_TYPES.items():
        channel.exchange_declare(name, exchange_type=kind, durable=True, passive=True)


def declare_queue(channel: BlockingChannel, name: str, arguments: Mapping[str, object]) -> None:
    """Declare a queue of one's own that ends with the connection."""
    channel.queue_declare(name, exclusive=True, auto_delete=True, arguments=dict(arguments))

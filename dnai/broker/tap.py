"""Reads the broker's firehose: what is published to the exchanges of requests and offers.

While the firehose is on (``rabbitmqctl trace_on``), RabbitMQ publishes a copy of each message to
`amq.rabbitmq.trace`. The tap binds a queue of its own to that, and never to `dnai.requests`: it must not look
like a worker.
"""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.spec import Basic

from dnai.broker.envelope import text_of
from dnai.broker.link import Link
from dnai.broker.tap_log import TracedMessage
from dnai.broker.topology import TAP_QUEUE_PREFIX, TRACE, TRACE_KEYS, declare_queue
from dnai.config import broker_place, broker_user
from dnai.errors import BrokerError, BrokerRightsError
from dnai.recommend.messages import VERSION_HEADER

TAP_QUEUE: Mapping[str, object] = {"x-max-length": 20_000, "x-max-length-bytes": 64 * 2**20}

_PUBLISHED = "publish."


@dataclass(frozen=True, slots=True)
class SeenMessage:
    """A traced message, and when it was seen: steady seconds, and the time of day."""

    message: TracedMessage
    now: float
    time: datetime


class Tap:
    """A reader of the firehose; a context manager that connects and closes.

    Parameters
    ----------
    url, ca_file
        As for `dnai.broker.connection.connect`; the user of ``dnai member NAME --tap``.
    clock
        Steady seconds.
    """

    def __init__(self, url: str, *, ca_file: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._seen: queue.SimpleQueue[SeenMessage] = queue.SimpleQueue()
        self._link = Link(url, ca_file=ca_file, label="dnai tap", user=self)

    def __enter__(self) -> Tap:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Connect and bind; from then on the connection is kept up.

        Raises
        ------
        BrokerError
            When nobody answers, the user is not let in, or may not read the firehose.
        """
        try:
            self._link.start(patient=False)
        except BrokerRightsError as error:
            raise BrokerRightsError(
                f"user {broker_user(self._url)!r} may not read the firehose at {broker_place(self._url)}; have the "
                f"operator run dnai member NAME --tap, and use that user ({error})"
            ) from error

    def close(self) -> None:
        """End the connection."""
        self._link.close()

    def read(self, *, timeout_s: float) -> SeenMessage | None:
        """Return the next message, or None when there is none in `timeout_s` seconds."""
        try:
            return self._seen.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def on_connected(self, connection: BlockingConnection, channel: BlockingChannel) -> None:
        """Bind a queue of the tap's own to the firehose (called by the link)."""
        name = f"{TAP_QUEUE_PREFIX}.{secrets.token_urlsafe(12)}"
        declare_queue(channel, name, TAP_QUEUE)
        for key in TRACE_KEYS:
            channel.queue_bind(name, TRACE, routing_key=key)
        channel.basic_consume(name, self._on_message, auto_ack=True, exclusive=True)

    def on_lost(self, error: BrokerError) -> None:
        """Nothing is under way (called by the link)."""

    def on_leaving(self, channel: BlockingChannel) -> None:
        """Nothing is to be said (called by the link)."""

    def _on_message(
        self, _channel: BlockingChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        message = read_trace(method.routing_key, properties.headers or {}, body)
        self._seen.put(SeenMessage(message, self._clock(), datetime.now().astimezone()))


def read_trace(trace_key: str, headers: Mapping[str, object], body: bytes) -> TracedMessage:
    """Return the message that the firehose tells of: routing key, headers and body of the trace message."""
    told = headers.get("properties")
    properties: Mapping[str, object] = told if isinstance(told, dict) else {}
    own_headers = properties.get("headers")
    routing_keys = headers.get("routing_keys")
    return TracedMessage(
        exchange=trace_key.removeprefix(_PUBLISHED),
        routing_key=text_of(routing_keys[0]) if isinstance(routing_keys, list) and routing_keys else "",
        publisher=text_of(headers.get("user")),
        body=body,
        type=text_of(properties.get("type")),
        version=own_headers.get(VERSION_HEADER) if isinstance(own_headers, dict) else None,
        user_id=text_of(properties.get("user_id")),
        correlation_id=text_of(properties.get("correlation_id")),
        reply_to=text_of(properties.get("reply_to")),
        expiration=text_of(properties.get("expiration")),
    )

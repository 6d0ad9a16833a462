"""The provider's side of the broker: takes requests off the worker's queue and publishes the answers.

The decisions are those of `dnai.recommend.provider.Provider`. The worker's queue is bounded, and only a
window of requests is on the way at a time (acknowledged in batches), so that a worker that falls behind
loses the oldest requests, and neither it nor the broker runs out of memory.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError
from pika.spec import Basic

from dnai.broker.dropped import DropLog
from dnai.broker.envelope import AnswerStamp, envelope, open_envelope, sender, text_of
from dnai.broker.link import Link
from dnai.broker.topology import (
    OFFERS,
    PRESENCE,
    REQUESTS,
    WORKER_QUEUE,
    declare_queue,
    new_queue_name,
    require_exchanges,
)
from dnai.config import broker_user
from dnai.errors import BrokerError, ProtocolError
from dnai.recommend.messages import Decline, Goodbye, Hello, Offer, Request, Who, encode, type_name
from dnai.recommend.provider import BUSY, Provider
from dnai.recommend.requester import HELLO_INTERVAL_S
from dnai.text import clean_text
from dnai.tracks import Genre

WINDOW = 100
"""How many requests are on their way to the worker at a time, and no longer subject to the queue's limits."""
ACKNOWLEDGED_TOGETHER = 32
HELLO_PAUSE_S = 0.1
"""Answers to "who is there" within this time are one answer, since a hello goes to everybody."""

_log = logging.getLogger(__name__)


class OfferConsumer:
    """Answers the requests of a circle out of a provider's shelf.

    Parameters
    ----------
    url, ca_file
        As for `dnai.broker.connection.connect`.
    provider
        Its `answer` is called in the thread of this consumer; its shelf may be replaced from any.
    clock
        Steady seconds.

    Raises
    ------
    ConfigurationError
        When the URL or `ca_file` cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        provider: Provider,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.user_id = broker_user(url)
        self.answered = 0
        self._provider = provider
        self._clock = clock
        self._offer_stamp = AnswerStamp(Offer, user_id=self.user_id)
        self._decline_stamp = AnswerStamp(Decline, user_id=self.user_id)
        self._drops = DropLog(_log, clock=clock)
        self._link = Link(url, ca_file=ca_file, label=f"dnai worker {provider.name}", user=self)
        self._connection: BlockingConnection
        self._channel: BlockingChannel
        self._unacknowledged = 0
        self._last_tag = 0
        self._hello_at = float("-inf")
        self._hello_is_due = False

    def __enter__(self) -> OfferConsumer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the broker at this moment."""
        return self._link.connected

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages were dropped, by kind: malformed, unsigned, refused, unexpected, failed."""
        return dict(self._drops.counts)

    def start(self, *, patient: bool = True) -> None:
        """Connect, bind the queue and say hello; from then on the connection is kept up.

        Parameters
        ----------
        patient
            Where nobody answers, go on trying in the background instead of raising.

        Raises
        ------
        BrokerError
            When the broker does not let this user in, or lacks the exchanges; also when nobody
            answers, unless `patient`.
        """
        self._link.start(patient=patient)

    def close(self) -> None:
        """Say goodbye and end the connection, within a second."""
        self._link.close()

    def announce(self) -> None:
        """Say hello to everybody soon, as after the shelf was replaced, if there is a connection."""
        with contextlib.suppress(BrokerError):  # on the next connection it says hello anyway
            self._link.call(self._hello_soon)

    def on_connected(self, connection: BlockingConnection, channel: BlockingChannel) -> None:
        """Make and bind the worker's queue, and say hello (called by the link)."""
        self._connection, self._channel = connection, channel
        self._unacknowledged, self._hello_is_due = 0, False
        queue = new_queue_name(self.user_id)
        require_exchanges(channel)
        declare_queue(channel, queue, WORKER_QUEUE)
        channel.queue_bind(queue, REQUESTS)
        channel.basic_qos(prefetch_count=WINDOW)
        channel.basic_consume(queue, self._on_message, exclusive=True)
        self._say_hello()
        self._schedule_heartbeat()

    def on_lost(self, error: BrokerError) -> None:
        """Nothing is under way between two messages (called by the link)."""

    def on_leaving(self, channel: BlockingChannel) -> None:
        """Say goodbye (called by the link)."""
        self._publish_presence(self._provider.goodbye())

    def _schedule_heartbeat(self) -> None:
        delay_s = HELLO_INTERVAL_S * random.uniform(0.8, 1.0)  # noqa: S311 - so that a circle does not speak in chorus
        self._connection.call_later(delay_s, self._on_heartbeat)

    def _on_heartbeat(self) -> None:
        self._acknowledge()  # RabbitMQ closes channels that leave messages unacknowledged for long
        self._say_hello()
        self._schedule_heartbeat()

    def _hello_soon(self) -> None:
        wait_s = self._hello_at + HELLO_PAUSE_S - self._clock()
        if wait_s <= 0:
            self._say_hello()
        elif not self._hello_is_due:
            self._hello_is_due = True
            self._connection.call_later(wait_s, self._say_hello)

    def _say_hello(self) -> None:
        self._hello_is_due = False
        self._hello_at = self._clock()
        self._publish_presence(self._provider.hello())

    def _publish_presence(self, message: Hello | Goodbye) -> None:
        self._channel.basic_publish(PRESENCE, "", encode(message), envelope(message, user_id=self.user_id))

    def _on_message(
        self, _channel: BlockingChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        try:
            self._take(properties, body)
        except AMQPError:
            raise  # the connection is at its end, which the link sees to
        except ProtocolError as error:
            self._drop("malformed" if properties.user_id else "unsigned", properties, error)
        except Exception as error:  # noqa: BLE001 - one message must not end the worker
            _log.exception("request %r failed", properties.correlation_id)
            self._drop("failed", properties, error)
        self._last_tag = method.delivery_tag
        self._unacknowledged += 1
        if self._unacknowledged >= ACKNOWLEDGED_TOGETHER:
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self._unacknowledged:
            self._unacknowledged = 0
            self._channel.basic_ack(self._last_tag, multiple=True)

    def _take(self, properties: BasicProperties, body: bytes) -> None:
        user_id = sender(properties)
        message = open_envelope(body, properties)
        if isinstance(message, Request):
            self._answer(message, user_id, properties)
        elif isinstance(message, Who):
            self._hello_soon()
        else:
            self._drop("unexpected", properties, f"{type_name(message)} is no request")

    def _answer(self, request: Request, user_id: str, properties: BasicProperties) -> None:
        started_at = self._clock()
        reply_to, correlation_id = text_of(properties.reply_to), text_of(properties.correlation_id)
        if not correlation_id:
            raise ProtocolError("malformed dnai.request: it has no correlation id")
        answer = self._provider.answer(request, user_id=user_id, reply_to=reply_to, now=started_at)
        stamp = self._offer_stamp if isinstance(answer, Offer) else self._decline_stamp
        self._channel.basic_publish(OFFERS, reply_to, encode(answer), stamp.properties(correlation_id))
        self.answered += 1
        self._log_answer(answer, request.genre, user_id, correlation_id, took_s=self._clock() - started_at)

    def _log_answer(
        self, answer: Offer | Decline, genre: Genre, user_id: str, correlation_id: str, *, took_s: float
    ) -> None:
        if not _log.isEnabledFor(logging.INFO):
            return
        if isinstance(answer, Decline) and answer.reason == BUSY:  # a line for each would be a flood of lines
            self._drops.note(BUSY, user_id=user_id, correlation_id=correlation_id, reason="too many requests")
            return
        _log.info(
            "request %s of %s for %s: %s, %.1f ms",
            clean_text(correlation_id, max_chars=64),
            clean_text(user_id, max_chars=64),
            genre.value,
            f"distance {answer.mean_distance:.3f}" if isinstance(answer, Offer) else answer.reason,
            took_s * 1000.0,
        )

    def _drop(self, kind: str, properties: BasicProperties, reason: object) -> None:
        self._drops.drop(kind, user_id=properties.user_id, correlation_id=properties.correlation_id, reason=reason)

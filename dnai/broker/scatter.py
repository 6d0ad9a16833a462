"""The requester's side of the broker: scatters requests to all workers and gathers their offers.

The decisions are those of `dnai.recommend.requester.Requester`; here are the queue, the messages and the
timer, in the one thread of a `Link`. A connection has a reply queue of its own with a new random name,
so that what was meant for an earlier connection never arrives.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

from dnai.broker.dropped import DropLog
from dnai.broker.envelope import envelope, open_envelope, sender, text_of
from dnai.broker.link import Link
from dnai.broker.pending import PendingCalls
from dnai.broker.topology import (
    OFFERS,
    PRESENCE,
    REQUESTER_QUEUE,
    REQUESTS,
    declare_queue,
    new_queue_name,
    require_exchanges,
)
from dnai.config import broker_place, broker_user
from dnai.errors import BrokerClosedError, BrokerError, DnaiError, ProtocolError
from dnai.recommend.gather import GatherResult
from dnai.recommend.messages import Who, encode, type_name
from dnai.recommend.requester import PresentProvider, Requester
from dnai.tracks import Genre

SETTLING_S = 0.5
"""For how long after connecting the hellos that answer "who is there" are waited for."""

_PATIENCE_S = 5.0
_WHO_TYPE = type_name(Who())

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class Scatter:
    """Asks all workers of a circle for music, from any thread, several requests at once.

    Parameters
    ----------
    url, ca_file
        As for `dnai.broker.connection.connect`.
    deadline_s
        How long a request waits for providers that do not answer, seconds.
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
        ca_file: Path | None = None,
        deadline_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.user_id = broker_user(url)
        self._place = broker_place(url)
        self._deadline_s = deadline_s
        self._clock = clock
        self._requester = Requester(
            user_id=self.user_id,
            deadline_s=deadline_s,
            clock=clock,
            new_id=partial(secrets.token_urlsafe, 12),
            settling_s=SETTLING_S,
        )
        self._drops = DropLog(_log, clock=clock)
        self._link = Link(url, ca_file=ca_file, label="dnai requester", user=self)
        self._connection: BlockingConnection
        self._channel: BlockingChannel
        self._queue = ""
        self._who_is_complete_at = 0.0
        self._timer: tuple[int, float] | None = None
        self._in_the_air: dict[str, Future[GatherResult]] = {}
        self._pending = PendingCalls()

    def __enter__(self) -> Scatter:
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
        """How many messages were dropped, by kind: malformed, unsigned, late, foreign, duplicate, …."""
        return dict(self._drops.counts + self._requester.dropped)

    def start(self, *, patient: bool = False) -> None:
        """Connect; from then on the connection is kept up.

        Parameters
        ----------
        patient
            Where nobody answers, go on trying in the background; requests fail until it works.

        Raises
        ------
        BrokerError
            When the broker does not let this user in, or lacks the exchanges; also when nobody
            answers, unless `patient`.
        """
        self._link.start(patient=patient)

    def close(self) -> None:
        """End the connection; requests in the air fail with `BrokerClosedError`."""
        self._link.close()
        self.on_lost(BrokerClosedError(f"the connection to RabbitMQ at {self._place} was closed"))

    def ask(self, genre: Genre, vectors: Mapping[str, NDArray[np.float32]]) -> GatherResult:
        """Ask everybody and return what came, at the latest after the deadline.

        Parameters
        ----------
        genre
            The genre to look for.
        vectors
            The vector to be near to, in each feature space that the requester knows, shape ``(d,)``,
            the preferred space first.

        Raises
        ------
        BrokerError
            When there is no connection, or it is lost meanwhile.
        UsageError
            When the vectors cannot be sent.
        """
        return self._wait(self.submit(genre, vectors), self._deadline_s)

    def submit(self, genre: Genre, vectors: Mapping[str, NDArray[np.float32]]) -> Future[GatherResult]:
        """Ask everybody and return at once; the future holds what `ask` returns or raises.

        Callbacks of the future run in the thread that serves the broker: they must be short.
        """
        future: Future[GatherResult] = Future()
        self._hand_in(future, lambda: self._publish_request(future, genre, dict(vectors)))
        return future

    def who(self) -> tuple[PresentProvider, ...]:
        """Return the other people's providers that are there; just after connecting it waits for their hellos.

        Raises
        ------
        BrokerError
            When there is no connection.
        """
        future: Future[tuple[PresentProvider, ...]] = Future()
        self._hand_in(future, lambda: self._tell_who(future))
        return self._wait(future, SETTLING_S)

    def on_connected(self, connection: BlockingConnection, channel: BlockingChannel) -> None:
        """Make the reply queue and ask who is there (called by the link)."""
        self._connection, self._channel, self._timer = connection, channel, None
        self._queue = new_queue_name(self.user_id)
        require_exchanges(channel)
        declare_queue(channel, self._queue, REQUESTER_QUEUE)
        channel.queue_bind(self._queue, OFFERS, routing_key=self._queue)
        channel.queue_bind(self._queue, PRESENCE)
        channel.add_on_return_callback(self._on_return)
        channel.basic_consume(self._queue, self._on_message, auto_ack=True, exclusive=True)
        self._requester.connected()
        self._who_is_complete_at = self._clock() + SETTLING_S
        who = Who()
        properties = envelope(who, user_id=self.user_id, reply_to=self._queue)
        channel.basic_publish(REQUESTS, "", encode(who), properties, mandatory=True)

    def on_lost(self, error: BrokerError) -> None:
        """Let every request in the air fail (called by the link)."""
        self._in_the_air.clear()
        self._pending.fail_all(BrokerClosedError(f"the request was given up: {error}"))

    def on_leaving(self, channel: BlockingChannel) -> None:
        """Nothing is to be said at the end (called by the link)."""

    def _hand_in(self, future: Future[Any], work: Callable[[], None]) -> None:
        self._pending.add(future)
        try:
            self._link.call(work)
        except BrokerError as error:
            self._pending.fail(future, error)

    def _wait(self, future: Future[_T], expected_s: float) -> _T:
        try:
            return future.result(timeout=expected_s + _PATIENCE_S)
        except TimeoutError as error:
            self._pending.forget(future)
            raise BrokerClosedError(f"no connection to RabbitMQ at {self._place} worth the name: no answer") from error

    def _publish_request(
        self, future: Future[GatherResult], genre: Genre, vectors: Mapping[str, NDArray[np.float32]]
    ) -> None:
        try:
            outgoing = self._requester.open(genre, vectors)
        except DnaiError as error:
            self._pending.fail(future, error)
            return
        self._in_the_air[outgoing.correlation_id] = future
        properties = envelope(
            outgoing.request,
            user_id=self.user_id,
            correlation_id=outgoing.correlation_id,
            reply_to=self._queue,
            expires_ms=outgoing.expires_ms,
        )
        self._channel.basic_publish(REQUESTS, "", encode(outgoing.request), properties, mandatory=True)
        self._settle()

    def _tell_who(self, future: Future[tuple[PresentProvider, ...]]) -> None:
        wait_s = self._who_is_complete_at - self._clock()
        if wait_s > 0:
            self._connection.call_later(wait_s, lambda: self._tell_who(future))
        else:
            self._pending.succeed(future, tuple(self._requester.present()))

    def _on_message(self, _channel: BlockingChannel, _method: object, properties: BasicProperties, body: bytes) -> None:
        correlation_id = text_of(properties.correlation_id)
        try:
            user_id = sender(properties)
            message = open_envelope(body, properties)
        except ProtocolError as error:
            kind = "malformed" if properties.user_id else "unsigned"
            self._drops.drop(kind, user_id=properties.user_id, correlation_id=correlation_id, reason=error)
            return
        dropped = self._requester.dropped.total()
        self._requester.receive(message, user_id=user_id, correlation_id=correlation_id)
        if self._requester.dropped.total() != dropped:
            reason = f"{type_name(message)} that is not expected (late, foreign, again or too many)"
            self._drops.note("stray", user_id=user_id, correlation_id=correlation_id, reason=reason)
        self._settle()

    def _on_return(self, _channel: BlockingChannel, _method: object, properties: BasicProperties, _body: bytes) -> None:
        """Nobody has bound the exchange of requests: there is no worker at all."""
        if properties.type == _WHO_TYPE:
            self._requester.nobody_answers()
            self._who_is_complete_at = self._clock()
        else:
            self._requester.returned(text_of(properties.correlation_id))
        self._settle()

    def _on_timer(self) -> None:
        self._timer = None
        self._settle()

    def _settle(self) -> None:
        """Hand out what is finished, and see to it that the next deadline is not missed."""
        for result in self._requester.finished():
            future = self._in_the_air.pop(result.correlation_id, None)
            _log_result(result)
            if future is not None:
                self._pending.succeed(future, result)
        deadline = self._requester.next_deadline()
        if deadline is not None and (self._timer is None or deadline < self._timer[1]):
            if self._timer is not None:
                self._connection.remove_timeout(self._timer[0])
            delay_s = max(0.0, deadline - self._clock())
            self._timer = (self._connection.call_later(delay_s, self._on_timer), deadline)


def _log_result(result: GatherResult) -> None:
    _log.info(
        "request %s for %s: %d offers, %d declined, %d silent, %.0f ms",
        result.correlation_id,
        result.genre.value,
        len(result.offers) + len(result.left_out),
        len(result.declines),
        len(result.silent),
        result.elapsed_s * 1000.0,
    )

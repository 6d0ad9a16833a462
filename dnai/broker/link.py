"""A connection that is kept up, in a thread of its own.

pika's `BlockingConnection` belongs to one thread. Here it has one, which connects, serves events, and
connects again when the connection is lost: after half a second, then ever later, up to 15 s. Other
threads hand their work in with `Link.call`.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError

from dnai.broker.connection import SOCKET_TIMEOUT_S, STACK_TIMEOUT_S, connect, connection_parameters, translated
from dnai.config import broker_place
from dnai.errors import (
    BrokerClosedError,
    BrokerError,
    BrokerRefusedError,
    BrokerRightsError,
    BrokerUnreachableError,
)

CLOSE_TIMEOUT_S = 1.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 15.0

_START_TIMEOUT_S = SOCKET_TIMEOUT_S + STACK_TIMEOUT_S + 5.0

_log = logging.getLogger(__name__)


class LinkUser(Protocol):
    """What is told of a link's connections; all of it is called in the link's thread."""

    def on_connected(self, connection: BlockingConnection, channel: BlockingChannel) -> None:
        """Declare, bind and consume on a fresh connection."""

    def on_lost(self, error: BrokerError) -> None:
        """Give up what was under way: the connection is gone."""

    def on_leaving(self, channel: BlockingChannel) -> None:
        """Say the last words on a connection that is about to be closed in good order."""


class Link:
    """Keeps a connection to one broker for one user of it.

    Parameters
    ----------
    url, ca_file
        As for `dnai.broker.connection.connect`.
    label
        What this is, in log lines and as the connection's name on the management page.
    user
        Is told of every new connection and of its loss.
    """

    def __init__(self, url: str, *, ca_file: Path | None, label: str, user: LinkUser) -> None:
        connection_parameters(url, ca_file=ca_file, label=label)  # a mistake in them is the caller's, now
        self.label = label
        self._url = url
        self._ca_file = ca_file
        self._user = user
        self._connection: BlockingConnection | None = None
        self._channel: BlockingChannel | None = None
        self._error: BrokerError | None = None
        self._attempted = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._connection is not None

    def start(self, *, patient: bool) -> None:
        """Start the thread and wait for the first attempt to connect.

        Parameters
        ----------
        patient
            Where nobody answers, go on trying in the background instead of raising.

        Raises
        ------
        BrokerError
            What the first attempt came to; the link is closed then.
        """
        self._thread = threading.Thread(target=self._run, name=self.label, daemon=True)
        self._thread.start()
        if not self._attempted.wait(_START_TIMEOUT_S):
            self._error = BrokerUnreachableError(f"{self._place} did not answer in {_START_TIMEOUT_S:.0f} s")
        error = self._error
        if error is None:
            return
        if patient and isinstance(error, BrokerUnreachableError | BrokerClosedError):
            _log.warning("%s: %s; trying again", self.label, error)
            return
        self.close()
        raise error

    def close(self, *, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Say the last words, close the connection and end the thread; returns within `timeout_s`."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(AMQPError):  # it was lost at this very moment: there is nobody to say it to
                connection.add_callback_threadsafe(self._leave)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                _log.warning("%s: the broker did not take leave within %.1f s", self.label, timeout_s)

    def call(self, work: Callable[[], None]) -> None:
        """Have `work` done in the link's thread, soon.

        Raises
        ------
        BrokerError
            When there is no connection; why not is in the message.
        """
        connection = self._connection
        if connection is None:
            raise self._why_not()
        try:
            connection.add_callback_threadsafe(work)
        except AMQPError as error:
            raise self._why_not() from error

    @property
    def _place(self) -> str:
        return broker_place(self._url)

    def _why_not(self) -> BrokerError:
        error = self._error
        if self._closing.is_set() or error is None:
            return BrokerClosedError(f"there is no connection to RabbitMQ at {self._place}")
        return type(error)(str(error))

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            started_at = time.monotonic()
            try:
                self._serve()
            except BrokerError as error:
                self._note_loss(error)
            except Exception as error:  # noqa: BLE001 - the link goes on, whatever a message did to its user
                _log.exception("%s: unexpected failure", self.label)
                self._note_loss(BrokerClosedError(f"{self.label} failed: {error}"))
            self._attempted.set()
            failures = 0 if time.monotonic() - started_at > LONGEST_DELAY_S else failures + 1
            self._closing.wait(_delay_s(failures))
        self._user.on_lost(BrokerClosedError(f"the connection to RabbitMQ at {self._place} was closed"))

    def _serve(self) -> None:
        """Connect and serve until the link is closed."""
        connection = connect(self._url, ca_file=self._ca_file, label=self.label)
        try:
            with translated(self._url):
                self._serve_connection(connection)
        finally:
            # First this, so that nobody hands in work any more that `LinkUser.on_lost` would not hear of.
            self._connection = None
            _close_quietly(connection)

    def _serve_connection(self, connection: BlockingConnection) -> None:
        channel = connection.channel()
        self._user.on_connected(connection, channel)
        self._channel, self._connection = channel, connection
        if self._error is not None:
            _log.info("%s: connected to RabbitMQ at %s again", self.label, self._place)
        self._error = None
        self._attempted.set()
        if not self._closing.is_set():
            channel.start_consuming()
        if not self._closing.is_set():
            raise BrokerClosedError(f"RabbitMQ at {self._place} took the queue away")

    def _leave(self) -> None:
        if self._channel is not None:
            self._user.on_leaving(self._channel)
            self._channel.stop_consuming()

    def _note_loss(self, error: BrokerError) -> None:
        is_news = self._error is None or isinstance(error, BrokerRefusedError | BrokerRightsError)
        if is_news and type(error) is not type(self._error) and self._attempted.is_set() and not self._closing.is_set():
            _log.warning("%s: %s; trying again", self.label, error)
        self._error = error
        self._user.on_lost(error)


def _delay_s(failures: int) -> float:
    """Return how long to wait before the next attempt; random, so that a circle does not come back in one moment."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(max(failures - 1, 0), 10)) * random.uniform(0.6, 1.0)  # noqa: S311


def _close_quietly(connection: BlockingConnection) -> None:
    if connection.is_open:
        with contextlib.suppress(AMQPError, OSError):  # it is being thrown away
            connection.close()

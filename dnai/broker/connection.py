"""Connecting to RabbitMQ, and the one place where pika's errors become ours.

Each error names host, port and virtual host, and says what to do; none names a password.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pika
from pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    IncompatibleProtocolError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from dnai.broker.member_connection import MemberConnection
from dnai.config import broker_place, broker_user
from dnai.errors import (
    BrokerClosedError,
    BrokerError,
    BrokerRefusedError,
    BrokerRightsError,
    BrokerUnreachableError,
    ConfigurationError,
)

HEARTBEAT_S = 20
BLOCKED_TIMEOUT_S = 30.0
SOCKET_TIMEOUT_S = 5.0
STACK_TIMEOUT_S = 10.0

_NO_LOGIN = 403
_NOT_ALLOWED = 530
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """``amqp://USER:PASSWORD@HOST:PORT/VHOST`` taken apart; printed without the password."""

    user: str
    password: str
    host: str
    port: int
    vhost: str
    tls: bool

    def __repr__(self) -> str:
        return f"BrokerUrl({self.user}@{self.host}:{self.port}/{self.vhost}, tls={self.tls})"


def parse_url(url: str) -> BrokerUrl:
    """Return the parts of a broker URL, with percent signs decoded.

    Raises
    ------
    ConfigurationError
        When it is not a broker URL; the message does not hold the URL, because of its password.
    """
    expected = "expected amqp://USER:PASSWORD@HOST:PORT/VHOST, or amqps:// for TLS"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"the broker's URL is not one: {expected}") from error
    if parts.scheme not in {"amqp", "amqps"} or not parts.hostname or not parts.username or parts.password is None:
        raise ConfigurationError(f"the broker's URL is not one: {expected}")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"the broker's URL has options after its virtual host, which are not read: {expected}")
    tls = parts.scheme == "amqps"
    return BrokerUrl(
        user=unquote(parts.username),
        password=unquote(parts.password),
        host=parts.hostname,
        port=port or (5671 if tls else 5672),
        vhost=unquote(parts.path[1:]) or "/",
        tls=tls,
    )


def connect(url: str, *, ca_file: Path | None = None, label: str = "dnai") -> pika.BlockingConnection:
    """Return an open connection. It belongs to the thread that asked for it.

    Parameters
    ----------
    url
        ``amqp://USER:PASSWORD@HOST:PORT/VHOST``, or ``amqps://`` for TLS, whose certificate must be
        for HOST and signed by an authority in `ca_file` (else by one that the system trusts).
    label
        The connection's name on the management page.

    Raises
    ------
    ConfigurationError
        When the URL or `ca_file` cannot be used.
    BrokerUnreachableError, BrokerRefusedError
        When nobody answers there, or does not let this user in.
    """
    parameters = connection_parameters(url, ca_file=ca_file, label=label)
    _silence_pika()
    with translated(url):
        return pika.BlockingConnection(parameters, _impl_class=MemberConnection)


def connection_parameters(url: str, *, ca_file: Path | None, label: str) -> pika.ConnectionParameters:
    """Return what pika needs to connect to `url`; see `connect`. TCP_NODELAY is set by pika itself."""
    target = parse_url(url)
    return pika.ConnectionParameters(
        host=target.host,
        port=target.port,
        virtual_host=target.vhost,
        credentials=pika.PlainCredentials(target.user, target.password),
        ssl_options=_ssl_options(target, ca_file) if target.tls else None,
        heartbeat=HEARTBEAT_S,
        blocked_connection_timeout=BLOCKED_TIMEOUT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        stack_timeout=STACK_TIMEOUT_S,
        connection_attempts=1,
        client_properties={"connection_name": label, "product": "DN.ai"},
    )


def _ssl_options(target: BrokerUrl, ca_file: Path | None) -> pika.SSLOptions:
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise ConfigurationError(f"{ca_file} is not a file of trusted certificates (PEM): {error}") from error
    return pika.SSLOptions(context, target.host)


def _silence_pika() -> None:
    """Keep pika from logging, with a traceback, each error that we translate and log in a line of our own."""
    pika_log = logging.getLogger("pika")
    if pika_log.level == logging.NOTSET:
        pika_log.setLevel(logging.CRITICAL)


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn what pika and the socket raise inside the block into `BrokerError` of the right kind."""
    try:
        yield
    except AMQPError as error:
        raise translate(error, url) from error
    except OSError as error:
        raise BrokerUnreachableError(_unreachable(error, url)) from error


def translate(error: AMQPError, url: str) -> BrokerError:
    """Return our error for pika's, about the broker at `url`."""
    place, user = broker_place(url), broker_user(url)
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return BrokerRefusedError(
            f"RabbitMQ at {place} does not let {user!r} in: unknown user or wrong password; "
            "check the broker URL, or ask the operator for a new one (dnai member)"
        )
    if isinstance(error, ProbableAccessDeniedError) or _reply_code(error) == _NOT_ALLOWED:
        return BrokerRefusedError(
            f"RabbitMQ at {place} does not let {user!r} into this virtual host: it does not exist, or {user!r} is "
            "no member of it; check the last part of the broker URL, or have the operator run dnai member"
        )
    if isinstance(error, ChannelClosedByBroker):
        return _translate_channel_error(error, place=place, user=user)
    if isinstance(error, IncompatibleProtocolError):
        return BrokerUnreachableError(
            f"what answers at {place} is not RabbitMQ, or wants TLS: check the port (5672; 5671 with amqps://)"
        )
    if isinstance(error, ConnectionClosedByBroker):
        return BrokerClosedError(f"RabbitMQ at {place} closed the connection: {error.reply_text}")
    cause = _socket_error(error)
    if cause is not None:
        return BrokerUnreachableError(_unreachable(cause, url))
    return BrokerClosedError(f"the connection to RabbitMQ at {place} was lost: {error!r}")


def _translate_channel_error(error: ChannelClosedByBroker, *, place: str, user: str) -> BrokerError:
    if error.reply_code == _NOT_FOUND:
        return BrokerRightsError(
            f"RabbitMQ at {place} lacks what the circle needs ({error.reply_text}); have the operator run dnai member"
        )
    if error.reply_code == _NO_LOGIN:
        return BrokerRightsError(
            f"user {user!r} has not the rights of a member at {place} ({error.reply_text}); "
            "have the operator run dnai member"
        )
    return BrokerError(f"RabbitMQ at {place} refused an operation: {error.reply_text} ({error.reply_code})")


def _reply_code(error: AMQPError) -> int | None:
    return error.reply_code if isinstance(error, ConnectionClosedByBroker) else None


def _socket_error(error: AMQPError) -> OSError | None:
    """The socket's error inside pika's, which wraps it once or twice."""
    inner: object = error
    for _ in range(4):
        if isinstance(inner, OSError):
            return inner
        arguments = getattr(inner, "args", ())
        inner = getattr(inner, "exception", None) or (arguments[0] if arguments else None)
    return None


def _unreachable(error: OSError, url: str) -> str:
    place = broker_place(url)
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of RabbitMQ at {place} is not trusted: {error.verify_message}; give the circle's "
            "certificate authority with broker_ca, and the host name that the certificate is for"
        )
    if isinstance(error, ssl.SSLError):
        return f"what answers at {place} does not speak TLS as expected ({error.reason}): check port and amqps://"
    if isinstance(error, socket.gaierror):
        return f"the broker's host name is not known: {place} ({error.strerror}); check the broker URL"
    reason = error.strerror or str(error) or type(error).__name__
    return f"nobody answers at {place} ({reason}); is RabbitMQ running, and the port open?"

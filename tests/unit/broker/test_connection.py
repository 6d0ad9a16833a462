"""Broker URLs, and pika's errors in our words."""

import pytest
from pika import exceptions

from dnai.broker.connection import connection_parameters, parse_url, translate, translated
from dnai.errors import (
    BrokerClosedError,
    BrokerError,
    BrokerRefusedError,
    BrokerRightsError,
    BrokerUnreachableError,
    ConfigurationError,
)

URL = "amqp://anna:the-password@music.example:5673/circle"


def test_a_url_is_taken_apart() -> None:
    """Percent signs are decoded, defaults filled in, and the password is not printed."""
    parts = parse_url("amqps://an%40na:p%2F%3A@[::1]/a%2Fb")
    assert (parts.user, parts.password, parts.host, parts.port) == ("an@na", "p/:", "::1", 5671)
    assert (parts.vhost, parts.tls) == ("a/b", True)
    assert parse_url("amqp://a:b@h").port == 5672
    assert parse_url("amqp://a:b@h/").vhost == "/"
    assert "p/:" not in repr(parts)


@pytest.mark.parametrize("url", ["", "anna", "http://a:b@h/", "amqp://a@h/", "amqp://a:b@/", "amqp://a:b@h:99999/c"])
def test_what_is_no_url_is_refused_without_being_shown(url: str) -> None:
    """An error may end in a log: the URL holds a password."""
    with pytest.raises(ConfigurationError, match="expected amqp://") as error:
        parse_url(url)
    assert "a:b" not in str(error.value)


def test_parameters_have_time_limits_and_tls_checks_names() -> None:
    """Nothing waits for ever, and amqps:// checks certificate and host name."""
    parameters = connection_parameters(URL.replace("amqp:", "amqps:"), ca_file=None, label="test")
    assert parameters.heartbeat
    assert parameters.socket_timeout
    assert parameters.stack_timeout
    assert parameters.blocked_connection_timeout
    assert parameters.ssl_options.context.check_hostname
    assert parameters.ssl_options.server_hostname == "music.example"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (exceptions.ProbableAuthenticationError("403"), BrokerRefusedError, "wrong password"),
        (exceptions.AuthenticationError("PLAIN"), BrokerRefusedError, "wrong password"),
        (exceptions.ProbableAccessDeniedError("530"), BrokerRefusedError, "virtual host"),
        (exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED"), BrokerRefusedError, "virtual host"),
        (exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED"), BrokerClosedError, "CONNECTION_FORCED"),
        (exceptions.IncompatibleProtocolError("x"), BrokerUnreachableError, "not RabbitMQ"),
        (exceptions.ChannelClosedByBroker(404, "no exchange 'dnai.offers'"), BrokerRightsError, "dnai.offers"),
        (exceptions.ChannelClosedByBroker(403, "ACCESS_REFUSED"), BrokerRightsError, "rights of a member"),
        (exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED"), BrokerError, "PRECONDITION_FAILED"),
        (exceptions.StreamLostError("gone"), BrokerClosedError, "was lost"),
        (exceptions.AMQPHeartbeatTimeout("late"), BrokerClosedError, "was lost"),
        (
            exceptions.AMQPConnectionError(ConnectionRefusedError(111, "refused")),
            BrokerUnreachableError,
            "nobody answers",
        ),
        (exceptions.AMQPConnectionError(TimeoutError()), BrokerUnreachableError, "TimeoutError"),
    ],
)
def test_errors_say_where_and_what(error: exceptions.AMQPError, kind: type[BrokerError], words: str) -> None:
    """Each of pika's errors becomes one of ours, with host, port and virtual host, and no password."""
    ours = translate(error, URL)
    assert type(ours) is kind
    assert words in str(ours)
    assert "music.example:5673, virtual host circle" in str(ours)
    assert "the-password" not in str(ours)


def test_the_cause_is_kept() -> None:
    """What pika said can still be found in the traceback."""
    with pytest.raises(BrokerClosedError) as error, translated(URL):
        raise exceptions.StreamLostError("gone")
    assert isinstance(error.value.__cause__, exceptions.StreamLostError)

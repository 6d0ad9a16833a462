"""The AMQP properties around a message: reading them, and making them."""

from __future__ import annotations

from pika import BasicProperties

from dnai.errors import ProtocolError
from dnai.recommend.messages import PROTOCOL_VERSION, VERSION_HEADER, Message, decode, type_name

_CONTENT_TYPE = "application/json"


def open_envelope(body: bytes, properties: BasicProperties) -> Message:
    """Return the message inside.

    Raises
    ------
    ProtocolError
        As `dnai.recommend.messages.decode`.
    """
    headers = properties.headers
    return decode(body, message_type=text_of(properties.type), version=headers.get(VERSION_HEADER) if headers else None)


def sender(properties: BasicProperties) -> str:
    """Return who sent the message, as the broker has checked it.

    Raises
    ------
    ProtocolError
        When the message does not say; the broker checks only what is there.
    """
    user_id = text_of(properties.user_id)
    if not user_id:
        raise ProtocolError("it carries no user_id")
    return user_id


def text_of(value: object) -> str:
    """Return a property that should be text; empty where it is missing, or was no UTF-8 and came as bytes."""
    return value if isinstance(value, str) else ""


def envelope(
    message: Message,
    *,
    user_id: str,
    correlation_id: str | None = None,
    reply_to: str | None = None,
    expires_ms: int | None = None,
) -> BasicProperties:
    """Return the properties for `message`, sent by `user_id`; never persistent."""
    return BasicProperties(
        content_type=_CONTENT_TYPE,
        type=type_name(message),
        headers={VERSION_HEADER: PROTOCOL_VERSION},
        user_id=user_id,
        correlation_id=correlation_id,
        reply_to=reply_to,
        expiration=None if expires_ms is None else str(expires_ms),
        delivery_mode=1,
    )

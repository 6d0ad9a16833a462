"""The AMQP properties around a message: reading them, and making them."""

from __future__ import annotations

from pika import BasicProperties

from dnai.errors import ProtocolError
from dnai.recommend.messages import MESSAGE_TYPES, PROTOCOL_VERSION, VERSION_HEADER, Message, decode, type_name

_CONTENT_TYPE = "application/json"
_PLACEHOLDER = "correlation-id-placeholder"


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
    return _properties(
        type_name(message),
        user_id=user_id,
        correlation_id=correlation_id,
        reply_to=reply_to,
        expiration=None if expires_ms is None else str(expires_ms),
    )


def _properties(
    message_type: str,
    *,
    user_id: str,
    correlation_id: str | None,
    reply_to: str | None = None,
    expiration: str | None = None,
) -> BasicProperties:
    return BasicProperties(
        content_type=_CONTENT_TYPE,
        type=message_type,
        headers={VERSION_HEADER: PROTOCOL_VERSION},
        user_id=user_id,
        correlation_id=correlation_id,
        reply_to=reply_to,
        expiration=expiration,
        delivery_mode=1,
    )


class AnswerStamp:
    """The properties of one kind of answer of one user, encoded once but for the correlation id.

    Encoding properties anew is a tenth of what a worker does for a request.
    """

    def __init__(self, message_class: type[Message], *, user_id: str) -> None:
        message_type = next(name for name, known in MESSAGE_TYPES.items() if known is message_class)
        template = _properties(message_type, user_id=user_id, correlation_id=_PLACEHOLDER)
        before, after = b"".join(template.encode()).split(_short_string(_PLACEHOLDER))
        self._before, self._after = before, after

    def properties(self, correlation_id: str) -> BasicProperties:
        """Return the properties for the answer to the request of this id, at most 255 bytes of UTF-8."""
        return _EncodedProperties(self._before + _short_string(correlation_id) + self._after)


class _EncodedProperties(BasicProperties):  # type: ignore[misc] # pika ships no types
    """Properties that know nothing but their bytes."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded

    def encode(self) -> list[bytes]:
        return [self._encoded]


def _short_string(text: str) -> bytes:
    """AMQP's short string: a byte that says how long it is, and that many bytes."""
    encoded = text.encode()
    return bytes((len(encoded),)) + encoded

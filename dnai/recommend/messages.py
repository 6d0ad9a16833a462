"""The messages of the circle: their types, their bounds, their bytes.

Every message is JSON; its type and version stand in the AMQP properties ``type`` and
``headers["v"]``. Bytes become a typed message once, in :func:`decode`, or a
:class:`~dnai.errors.ProtocolError` that says why not. Whoever sent a message is not in it: that is
the AMQP ``user_id``, which the broker checks.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dnai.errors import ProtocolError
from dnai.recommend.ranking import UNTOLD
from dnai.tracks import Genre

PROTOCOL_VERSION: Final = 1
VERSION_HEADER: Final = "v"

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_SPACES: Final = 8
MAX_DIMENSIONS: Final = 1024
MAX_TRACKS: Final = 10_000_000
MAX_COORDINATE: Final = 1e6
"""The largest number of a vector, either way: distances of such vectors are finite in 32 bits."""
MAX_DISTANCE: Final = 1e8
"""No two vectors of `MAX_DIMENSIONS` such numbers are farther apart."""

SpaceId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+\Z")]
Token = Annotated[str, Meta(min_length=16, max_length=64, pattern=r"^[A-Za-z0-9_-]+\Z")]
Label = Annotated[str, Meta(max_length=200)]
Host = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:-]+\Z")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Coordinate = Annotated[float, Meta(ge=-MAX_COORDINATE, le=MAX_COORDINATE)]
Vector = Annotated[list[Coordinate], Meta(min_length=1, max_length=MAX_DIMENSIONS)]


class Request(msgspec.Struct, frozen=True):
    """A listener looks for music near a vector.

    `vectors` has one vector for each feature space that the requester knows, the preferred one first.
    """

    genre: Genre
    vectors: Annotated[dict[SpaceId, Vector], Meta(min_length=1, max_length=MAX_SPACES)]


class Offer(msgspec.Struct, frozen=True):
    """A worker has music: its mean distance in `space_id` over `tracks` tracks, and how to get it.

    `collection` is how many tracks it has in that space, of whatever genre; 0 from workers that do not tell.

    `mean_distance` is Euclidean, in the unit of `space_id`: standard deviations of a feature, or, where
    the vectors of the space have length one, a number from 0 (same direction) to 2 (opposite). It means
    nothing beside a distance of another space. `model_id` is the classifier of that space; it only
    informs. The ticket opens one session at ``host:port``.
    """

    provider_id: Token
    name: Label
    space_id: SpaceId
    model_id: SpaceId
    mean_distance: Annotated[float, Meta(ge=0, le=MAX_DISTANCE)]
    tracks: Annotated[int, Meta(ge=1, le=MAX_TRACKS)]
    host: Host
    port: Port
    ticket: Token
    collection: Annotated[int, Meta(ge=0, le=MAX_TRACKS)] = UNTOLD


class Decline(msgspec.Struct, frozen=True):
    """A worker has nothing for this request, and says why: ``no_tracks``, ``unknown_space`` or ``busy``."""

    provider_id: Token
    name: Label
    reason: Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z_]+\Z")]


class Hello(msgspec.Struct, frozen=True):
    """A worker is there."""

    provider_id: Token
    name: Label
    tracks: Annotated[int, Meta(ge=0, le=MAX_TRACKS)]


class Goodbye(msgspec.Struct, frozen=True):
    """A worker is going."""

    provider_id: Token


class Who(msgspec.Struct, frozen=True):
    """A requester asks every worker to say hello."""


Message = Request | Offer | Decline | Hello | Goodbye | Who

MESSAGE_TYPES: Final[dict[str, type[Message]]] = {
    "dnai.request": Request,
    "dnai.offer": Offer,
    "dnai.decline": Decline,
    "dnai.hello": Hello,
    "dnai.goodbye": Goodbye,
    "dnai.who": Who,
}
_TYPE_NAMES: Final = {message_class: name for name, message_class in MESSAGE_TYPES.items()}
_DECODERS: Final = {name: msgspec.json.Decoder(message_class) for name, message_class in MESSAGE_TYPES.items()}
_ENCODER: Final = msgspec.json.Encoder()


def type_name(message: Message) -> str:
    """Return what the AMQP property ``type`` says of `message`."""
    return _TYPE_NAMES[type(message)]


def encode(message: Message) -> bytes:
    """Return the bytes of `message`; its numbers must be finite."""
    return _ENCODER.encode(message)


def decode(body: bytes, *, message_type: str | None, version: object) -> Message:
    """Return the message that `body` holds.

    Parameters
    ----------
    body
        As it came from the broker.
    message_type, version
        The AMQP property ``type`` and the header ``v``, as they came.

    Raises
    ------
    ProtocolError
        When the type or version is unknown, the body too long, not JSON of that type, or out of bounds.
    """
    if len(body) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"message of {len(body)} bytes; at most {MAX_MESSAGE_BYTES} are read")
    if version != PROTOCOL_VERSION or isinstance(version, bool):
        raise ProtocolError(f"message of version {str(version)[:40]!r}; this is version {PROTOCOL_VERSION}")
    decoder = _DECODERS.get(message_type or "")
    if decoder is None:
        raise ProtocolError(f"message of unknown type {str(message_type)[:40]!r}")
    try:
        message: Message = decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ProtocolError(f"malformed {message_type}: {error}") from error
    return message

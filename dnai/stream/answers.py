"""What a provider answers where it does not give what was asked for."""

from __future__ import annotations

from collections.abc import Mapping

from dnai.errors import PeerRefusedError, ProtocolError, StreamError
from dnai.stream import payloads
from dnai.stream.connection import PeerConnection
from dnai.stream.payloads import ErrorReply, ReadError

_REFUSED: Mapping[str, str] = {
    ReadError.UNKNOWN_TRACK: "it never offered this track",
    ReadError.BAD_RANGE: "the track ends before the range that was asked for",
    ReadError.UNPREPARED: "it has not prepared this track",
    ReadError.NOT_CONVERTED: "it cannot convert this track into what browsers play",
    ReadError.GONE: "the file was deleted or changed since it was offered",
    ReadError.BAD_REQUEST: "it does not understand what this version of DN.ai asks",
    ReadError.SESSION_OVER: "the session is over",
    ReadError.FAILED: "something failed on its side",
}


class NotPreparedError(PeerRefusedError):
    """The provider keeps a converted track no longer; it can be made anew."""


def refusal(connection: PeerConnection, answer: object, *, wanted: str) -> StreamError:
    """Return the error that an answer tells; where it is none, the provider is given up."""
    try:
        code = payloads.parse(answer, ErrorReply).error
    except ProtocolError:
        return connection.give_up(f"what it sent is no {wanted} of a track")
    kind = NotPreparedError if code == ReadError.UNPREPARED else PeerRefusedError
    reason = _REFUSED.get(code, "it gives no reason")
    return kind(f"{connection.place.named} does not send this track: {reason}")

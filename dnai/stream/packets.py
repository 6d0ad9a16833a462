"""Socket.IO packets that are looked at before the library acts on them, and its loggers kept discreet.

python-socketio takes a packet apart without checking its shape: it would call the handler of
``connect`` for an event of that name, collect any number of attachments, and write what it receives,
tickets included, into its log. Both ends therefore give it a packet class of their own.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from socketio import packet

from dnai.stream.payloads import BYE_EVENT, COVER_EVENT, PLAYLIST_EVENT, PREPARE_EVENT, READ_EVENT

GARBAGE_EVENT = "garbage"
"""What a packet that is none becomes; its handler ends the connection."""

_CALLS = frozenset({PLAYLIST_EVENT, PREPARE_EVENT, READ_EVENT, COVER_EVENT, BYE_EVENT})
_ONE_ATTACHMENT = [{"_placeholder": True, "num": 0}]


class CheckedPacket(packet.Packet):  # type: ignore[misc]  # the library ships no types
    """A packet that is either what the other side may send, or the event `GARBAGE_EVENT`."""

    shapes: ClassVar[frozenset[int]] = frozenset()

    packet_type: int
    namespace: str | None
    id: int | None
    data: Any

    def decode(self, encoded_packet: str) -> int:
        """Take `encoded_packet` apart; return how many attachments follow, 0 or 1."""
        try:
            attachments = int(super().decode(encoded_packet))
            if self.packet_type in self.shapes and self.namespace is None and self.is_expected(attachments):
                return attachments
        except (ValueError, TypeError, LookupError, RecursionError):
            pass  # told apart below: it is garbage either way
        self.packet_type, self.namespace, self.id, self.data = packet.EVENT, None, None, [GARBAGE_EVENT]
        return 0

    def is_expected(self, attachments: int) -> bool:
        """Return whether the data fits the packet's type."""
        raise NotImplementedError


class ServerSidePacket(CheckedPacket):
    """What a server may receive: a connection, calls with at most one argument, a disconnection."""

    shapes = frozenset({packet.CONNECT, packet.DISCONNECT, packet.EVENT})

    def is_expected(self, attachments: int) -> bool:
        """Return whether the data fits the packet's type."""
        if self.packet_type != packet.EVENT:
            return attachments == 0 and (self.data is None or isinstance(self.data, dict))
        is_call = isinstance(self.data, list) and 1 <= len(self.data) <= 2 and isinstance(self.data[0], str)
        return attachments == 0 and is_call and self.data[0] in _CALLS


class ClientSidePacket(CheckedPacket):
    """What a client may receive: the answer to its connection, and answers to its calls."""

    shapes = frozenset({packet.CONNECT, packet.DISCONNECT, packet.CONNECT_ERROR, packet.ACK, packet.BINARY_ACK})

    def is_expected(self, attachments: int) -> bool:
        """Return whether the data fits the packet's type."""
        if self.packet_type == packet.BINARY_ACK:
            return attachments == 1 and self.data == _ONE_ATTACHMENT
        if self.packet_type == packet.ACK:
            return attachments == 0 and isinstance(self.data, list) and len(self.data) <= 1
        return attachments == 0 and (self.packet_type != packet.CONNECT or isinstance(self.data, dict))


def discreet_logger(name: str) -> logging.Logger:
    """Return the logger `name`, which passes on errors only, one line each."""
    logger = logging.getLogger(name)
    if not any(isinstance(present, _ErrorsInOneLine) for present in logger.filters):
        logger.addFilter(_ErrorsInOneLine())
    return logger


class _ErrorsInOneLine(logging.Filter):
    """Keeps back what shows received data: lines below ERROR, and tracebacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return False
        if record.exc_info and record.exc_info[0] is not None:
            record.msg, record.args = "%s (%s)", (record.getMessage(), record.exc_info[0].__name__)
            record.exc_info = None
        return True

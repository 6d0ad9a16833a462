"""A pika connection for a circle: it outlives odd messages, and writes each of its own in one piece.

Properties are the sender's, and RabbitMQ hands them through. pika 1.4 raises on some that are well
formed, for instance on a timestamp beyond the year 9999 among the headers, or on headers
nested a thousand deep, and then drops the connection: any member could cut off all others. Here such a
message arrives without properties, and so is dropped as one that does not say who sent it.

A message is three frames (method, header, body). pika writes them one by one, and without Nagle's
delay each is a system call, a packet and a waking of the broker. Here they are one.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence

from pika import BasicProperties, SelectConnection, frame, spec
from pika.exceptions import InvalidFrameError

_log = logging.getLogger(__name__)

_FRAME_START = struct.Struct(">BHL")
_CONTENT_START = struct.Struct(">HHQ")


class MemberConnection(SelectConnection):  # type: ignore[misc] # pika ships no types
    """What `pika.BlockingConnection` is built on, with another way to read and to write frames."""

    def _read_frame(self) -> tuple[int, frame.Frame | None]:
        try:
            consumed, value = super()._read_frame()
        except InvalidFrameError:
            raise
        except Exception as error:
            consumed, value = read_bare_header(self._frame_buffer)
            if value is None:
                raise
            _log.debug("message with unreadable properties: %s", error)
        return consumed, value

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        self.frames_sent += len(marshaled_frames) - 1
        super()._output_marshaled_frames([b"".join(marshaled_frames)])


def read_bare_header(buffer: bytes) -> tuple[int, frame.Header | None]:
    """Return the length of the header frame at the start of `buffer`, and the frame without its properties.

    The frame is None when `buffer` does not start with a header frame.
    """
    frame_type, channel_number, size = _FRAME_START.unpack_from(buffer)
    if frame_type != spec.FRAME_HEADER:
        return 0, None
    _class_id, _weight, body_size = _CONTENT_START.unpack_from(buffer, spec.FRAME_HEADER_SIZE)
    consumed = spec.FRAME_HEADER_SIZE + size + spec.FRAME_END_SIZE
    return consumed, frame.Header(channel_number, body_size, BasicProperties())

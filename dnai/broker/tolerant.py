"""A pika connection that outlives a message whose properties cannot be decoded.

Properties are the sender's, and RabbitMQ hands them through. pika 1.4 raises on some that are well
formed, for instance on a timestamp beyond the year 9999 among the headers, or on headers
nested a thousand deep, and then drops the connection: any member could cut off all others. Here such a
message arrives without properties, and so is dropped as one that does not say who sent it.
"""

from __future__ import annotations

import logging
import struct

from pika import BasicProperties, SelectConnection, frame, spec
from pika.exceptions import InvalidFrameError

_log = logging.getLogger(__name__)

_FRAME_START = struct.Struct(">BHL")
_CONTENT_START = struct.Struct(">HHQ")


class TolerantConnection(SelectConnection):  # type: ignore[misc] # pika ships no types
    """What `pika.BlockingConnection` is built on, with a second way to read a header frame."""

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

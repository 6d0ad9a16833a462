"""Which bytes of a file a browser asks for: one HTTP range (RFC 9110, section 14)."""

from __future__ import annotations

from dataclasses import dataclass

from werkzeug.http import parse_range_header


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes these are."""
        return self.stop - self.start

    def content_range(self, size_bytes: int) -> str:
        """Return the value of ``Content-Range`` for a file of `size_bytes`."""
        return f"bytes {self.start}-{self.stop - 1}/{size_bytes}"


class RangeNotSatisfiableError(ValueError):
    """A range lies wholly beyond the file."""


def wanted_range(header: str | None, *, size_bytes: int) -> ByteRange | None:
    """Return the bytes that a ``Range`` header names, or None where the whole file is to be sent.

    A header that is malformed, of another unit or names several ranges is ignored, as the
    specification allows.

    Raises
    ------
    RangeNotSatisfiableError
        When the one range begins beyond the last byte.
    """
    parsed = parse_range_header(header)
    if parsed is None or parsed.units != "bytes" or len(parsed.ranges) != 1:
        return None
    start, stop = parsed.ranges[0]
    if start < 0:  # the last -start bytes; all of them where the file is shorter
        start = max(size_bytes + start, 0)
    if start >= size_bytes:
        raise RangeNotSatisfiableError(f"the file has {size_bytes} bytes; byte {start} was asked for")
    return ByteRange(start=start, stop=size_bytes if stop is None else min(stop, size_bytes))

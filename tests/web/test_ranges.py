"""Which bytes a browser asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.ranges import ByteRange, RangeNotSatisfiableError, wanted_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-", ByteRange(0, 100)),
        ("bytes=10-19", ByteRange(10, 20)),
        ("bytes=99-99", ByteRange(99, 100)),
        ("bytes=90-500", ByteRange(90, 100)),
        ("bytes=-10", ByteRange(90, 100)),
        ("bytes=-500", ByteRange(0, 100)),
    ],
)
def test_a_single_range_is_cut_to_the_file(header: str, expected: ByteRange) -> None:
    """Open ends, last bytes and ends beyond the file all mean bytes that are there."""
    assert wanted_range(header, size_bytes=100) == expected


@pytest.mark.parametrize("header", [None, "", "bytes=", "bytes=5-2", "bytes=a-b", "items=0-5", "bytes=0-1,5-6", "0-5"])
def test_what_is_no_single_range_means_the_whole_file(header: str | None) -> None:
    """Malformed headers, other units and several ranges are ignored, as RFC 9110 allows."""
    assert wanted_range(header, size_bytes=100) is None


@pytest.mark.parametrize(("header", "size_bytes"), [("bytes=100-", 100), ("bytes=5000-6000", 100), ("bytes=0-", 0)])
def test_a_range_beyond_the_file_is_refused(header: str, size_bytes: int) -> None:
    """A range that begins after the last byte cannot be satisfied."""
    with pytest.raises(RangeNotSatisfiableError, match=f"{size_bytes} bytes"):
        wanted_range(header, size_bytes=size_bytes)


@given(
    header=st.text(max_size=60) | st.from_regex(r"bytes=-?\d{1,30}-\d{0,30}", fullmatch=True),
    size=st.integers(0, 10**12),
)
def test_no_header_at_all_leads_outside_the_file(header: str, size: int) -> None:
    """Whatever a client writes, the bytes lie within the file, or the range is refused."""
    try:
        wanted = wanted_range(header, size_bytes=size)
    except RangeNotSatisfiableError:
        return
    assert wanted is None or 0 <= wanted.start < wanted.stop <= size


def test_content_range_names_the_last_byte() -> None:
    """The header counts the last byte in, unlike the range itself."""
    assert ByteRange(10, 20).content_range(100) == "bytes 10-19/100"

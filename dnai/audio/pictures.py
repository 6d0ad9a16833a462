"""A picture from anywhere → a small JPEG, or nothing.

Pictures come from files that others made, and from peers. So only five plain formats are decoded, none larger than a
cover is, and what is handed on is drawn anew: whatever else was in the file, such as where a photo was taken, or
bytes that another decoder would take for something else, is not in it.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib

from PIL import Image, ImageOps

MAX_PICTURE_BYTES = 16 << 20
"""A longer file is no cover."""
MAX_JPEG_PIXELS = 24_000_000
"""A photo with more is not decoded; it is made smaller while it is decoded."""
MAX_PIXELS = 10_000_000
"""Another picture with more is not decoded: 40 MB, and as much again where its colours must be looked up."""
MAX_SCANS = 100
"""A progressive JPEG has about ten. Each costs a pass over the whole picture, even where there is nothing in it."""
COVER_PIXELS = 320
"""The longer side of what is handed on, at the most."""
MAX_COVER_BYTES = 40_000

_START_OF_SCAN = b"\xff\xda"
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_QUALITIES = (85, 70, 50, 30)
_ERRORS = (
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    MemoryError,
    RecursionError,
    struct.error,
    zlib.error,
)
"""What Pillow raises on damaged pictures: its own errors, and those of what was not thought of."""

logger = logging.getLogger(__name__)


def small_jpeg(data: bytes) -> bytes | None:
    """Return the picture as a JPEG of at most `COVER_PIXELS` and `MAX_COVER_BYTES`; None where it is none.

    A picture that is damaged, cut off, of another format or too large is none. Only the first of several is taken.
    """
    if not 0 < len(data) <= MAX_PICTURE_BYTES:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if not _is_quickly_decoded(picture, data):
                return None
            picture.draft("RGB", (2 * COVER_PIXELS, 2 * COVER_PIXELS))
            return _encode(_drawn_anew(picture))
    except _ERRORS as error:
        logger.debug("no picture: %s", type(error).__name__)
        return None


def _is_quickly_decoded(picture: Image.Image, data: bytes) -> bool:
    """Whether it takes neither much memory nor much time, which a few bytes may ask for."""
    pixels = picture.width * picture.height
    if picture.format != "JPEG":
        return pixels <= MAX_PIXELS
    return pixels <= MAX_JPEG_PIXELS and data.count(_START_OF_SCAN) <= MAX_SCANS


def _drawn_anew(picture: Image.Image) -> Image.Image:
    """The picture alone, small, upright and opaque."""
    picture.load()
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    # Made small before anything else: each further step makes a copy.
    coloured = picture if picture.mode == mode else picture.convert(mode)
    coloured.thumbnail((COVER_PIXELS, COVER_PIXELS), Image.Resampling.LANCZOS)
    upright = ImageOps.exif_transpose(coloured)
    drawn = Image.new("RGB", upright.size, "white")
    drawn.paste(upright, mask=upright if mode == "RGBA" else None)
    return drawn


def _encode(picture: Image.Image) -> bytes | None:
    for quality in _QUALITIES:
        encoded = io.BytesIO()
        picture.save(encoded, "JPEG", quality=quality, optimize=True)
        if encoded.tell() <= MAX_COVER_BYTES:
            return encoded.getvalue()
    return None

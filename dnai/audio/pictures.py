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
MAX_PIXELS = 24_000_000
"""A picture with more is not decoded: 72 MB for a colour picture."""
COVER_PIXELS = 320
"""The longer side of what is handed on, at the most."""
MAX_COVER_BYTES = 40_000

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
            if picture.width * picture.height > MAX_PIXELS:
                return None
            picture.draft("RGB", (2 * COVER_PIXELS, 2 * COVER_PIXELS))
            return _encode(_drawn_anew(picture))
    except _ERRORS as error:
        logger.debug("no picture: %s", type(error).__name__)
        return None


def _drawn_anew(picture: Image.Image) -> Image.Image:
    """The picture alone, small, upright and opaque."""
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    coloured = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    coloured.thumbnail((COVER_PIXELS, COVER_PIXELS), Image.Resampling.LANCZOS)
    drawn = Image.new("RGB", coloured.size, "white")
    drawn.paste(coloured, mask=coloured if coloured.mode == "RGBA" else None)
    return drawn


def _encode(picture: Image.Image) -> bytes | None:
    for quality in _QUALITIES:
        encoded = io.BytesIO()
        picture.save(encoded, "JPEG", quality=quality, optimize=True)
        if encoded.tell() <= MAX_COVER_BYTES:
            return encoded.getvalue()
    return None

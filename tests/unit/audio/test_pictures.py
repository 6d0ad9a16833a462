"""Pictures made small, whatever they are."""

from __future__ import annotations

import io
import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from dnai.audio.pictures import COVER_PIXELS, MAX_COVER_BYTES, MAX_PICTURE_BYTES, small_jpeg


def picture(*, size: tuple[int, int] = (600, 500), mode: str = "RGB", form: str = "JPEG", **options: object) -> bytes:
    encoded = io.BytesIO()
    Image.new(mode, size, "red" if mode in {"RGB", "RGBA", "P"} else 0).save(encoded, form, **options)
    return encoded.getvalue()


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    assert len(data) <= MAX_COVER_BYTES
    image = Image.open(io.BytesIO(data))
    image.load()
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert max(image.size) <= COVER_PIXELS
    return image


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"),
        ("PNG", "I;16"), ("PNG", "LA"), ("WEBP", "RGBA"), ("GIF", "P"), ("BMP", "RGB"),
    ],
)  # fmt: skip
def test_every_plain_format_becomes_a_small_jpeg(form: str, mode: str) -> None:
    """In its own proportions."""
    assert opened(small_jpeg(picture(form=form, mode=mode))).size == (320, 267)


def test_a_small_picture_stays_as_small() -> None:
    """Nothing is blown up."""
    assert opened(small_jpeg(picture(size=(64, 64)))).size == (64, 64)


def test_what_is_transparent_becomes_white() -> None:
    """Not black, as by default."""
    encoded = io.BytesIO()
    Image.new("RGBA", (100, 100), (0, 0, 0, 0)).save(encoded, "PNG")
    assert opened(small_jpeg(encoded.getvalue())).getpixel((50, 50)) == (255, 255, 255)


def test_a_picture_of_noise_is_small_enough() -> None:
    """The hardest to compress."""
    noise = Image.frombytes("RGB", (1000, 1000), random.Random(0).randbytes(3_000_000))
    encoded = io.BytesIO()
    noise.save(encoded, "PNG")
    opened(small_jpeg(encoded.getvalue()))


def test_nothing_but_the_picture_is_passed_on() -> None:
    """No place where it was taken, no comment, no profile, and nothing behind its end."""
    exif = Image.Exif()
    exif[0x010F] = "Private Camera"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    data = picture(exif=exif, comment=b"private words", icc_profile=b"private profile") + b"<script>private</script>"
    made = small_jpeg(data)
    image = opened(made)
    assert dict(image.getexif()) == {}
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"rivate" not in (made or b"")


def test_a_photo_is_turned_upright() -> None:
    """As its EXIF says."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert opened(small_jpeg(picture(size=(600, 300), exif=exif))).size == (160, 320)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10_000_000))) + chunk(b"IEND", b"")


def png_with_a_text_bomb() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 60_000_000, zip=True)
    return picture(form="PNG", pnginfo=info)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"\xff\xd8\xff" + bytes(1000),
        picture()[:-2000],
        picture(form="PNG")[:-500],
        picture(form="WEBP")[:-100],
        picture(form="TIFF"),
        picture(form="PPM"),
        picture(form="ICO", size=(64, 64)),
        png_that_claims(5000, 5000),
        png_that_claims(20_000, 20_000),
        png_that_claims(2**31 - 1, 2**31 - 1),
        png_that_claims(0, 10),
        png_with_a_text_bomb(),
        picture() + bytes(MAX_PICTURE_BYTES),
    ],
    ids=range(17),
)  # fmt: skip
def test_what_is_no_plain_whole_picture_of_a_usual_size_is_none(data: bytes) -> None:
    """Cut off, of other formats, lying about its size, or a bomb: no cover, and no error."""
    assert small_jpeg(data) is None


GOOD = [picture(size=(40, 30), form=form) for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP")]


@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12))
def test_damage_is_survived(good: bytes, changes: list[tuple[int, int]]) -> None:
    """Whatever bytes are changed: a small JPEG or none."""
    data = bytearray(good)
    for place, value in changes:
        data[place % len(data)] = value
    made = small_jpeg(bytes(data))
    if made is not None:
        opened(made)


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    """Mostly none."""
    small_jpeg(data)


def test_a_photo_of_hundreds_of_scans_is_not_decoded() -> None:
    """Each costs a pass over the whole picture, however little is in it; ten are usual."""
    progressive = io.BytesIO()
    Image.radial_gradient("L").save(progressive, "JPEG", progressive=True)
    whole = progressive.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    assert small_jpeg(whole[:-2] + last * 5 + whole[-2:]) is not None
    assert small_jpeg(whole[:-2] + last * 200 + whole[-2:]) is None


def test_a_large_picture_that_is_no_photo_is_not_decoded() -> None:
    """A photo is made smaller while it is decoded; of others a few bytes may need all of its memory."""
    picture = Image.new("RGB", (5000, 2001))
    for form, is_decoded in (("JPEG", True), ("PNG", False), ("WEBP", False)):
        encoded = io.BytesIO()
        picture.save(encoded, form)
        assert (small_jpeg(encoded.getvalue()) is not None) is is_decoded

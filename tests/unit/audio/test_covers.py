"""The cover of a track: in its file, of each format, or beside it."""

from __future__ import annotations

import base64
import io
import os
import struct
import threading
from pathlib import Path

import pytest
from mutagen.aiff import AIFF
from mutagen.asf import ASF, ASFByteArrayAttribute
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE
from PIL import Image

from dnai.audio.covers import KEPT_S, Covers, read_cover
from dnai.tracks import Track
from tests.made_tracks import made_up_track
from tests.sounds import FORMATS, tone, write_sound

Colour = tuple[int, int, int]
RED: Colour = (220, 30, 30)
GREEN: Colour = (30, 200, 60)
BLUE: Colour = (30, 40, 210)
FRONT, BACK, ICON = 3, 4, 1


def jpeg(colour: Colour, *, size: int = 400, form: str = "JPEG") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(encoded, form)
    return encoded.getvalue()


def colour_of(cover: bytes | None) -> Colour | None:
    """The nearest of the three colours."""
    if cover is None:
        return None
    pixel = Image.open(io.BytesIO(cover)).getpixel((5, 5))
    assert isinstance(pixel, tuple)
    return min((RED, GREEN, BLUE), key=lambda colour: sum(abs(a - b) for a, b in zip(colour, pixel, strict=True)))


def block(data: bytes, kind: int) -> Picture:
    picture = Picture()
    picture.data, picture.type, picture.mime = data, kind, "image/jpeg"
    return picture


def embed(path: Path, *pictures: tuple[bytes, int]) -> Path:
    """Put pictures into a sound file the way that its format has them."""
    frames = [
        APIC(encoding=3, mime="image/jpeg", type=kind, desc=f"{number}", data=data)
        for number, (data, kind) in enumerate(pictures)
    ]
    match path.suffix:
        case ".mp3" | ".aac":
            id3 = ID3()
            for frame in frames:
                id3.add(frame)
            id3.save(path)
        case ".wav" | ".aiff":
            chunked = WAVE(path) if path.suffix == ".wav" else AIFF(path)
            chunked.add_tags()
            for frame in frames:
                chunked.tags.add(frame)
            chunked.save()
        case ".flac":
            flac = FLAC(path)
            for data, kind in pictures:
                flac.add_picture(block(data, kind))
            flac.save()
        case ".ogg" | ".opus":
            ogg = OggVorbis(path) if path.suffix == ".ogg" else OggOpus(path)
            ogg["metadata_block_picture"] = [
                base64.b64encode(block(data, kind).write()).decode() for data, kind in pictures
            ]
            ogg.save()
        case ".m4a":
            mp4 = MP4(path)
            mp4["covr"] = [MP4Cover(data) for data, _ in pictures]
            mp4.save()
        case ".wma":
            asf = ASF(path)
            asf["WM/Picture"] = [ASFByteArrayAttribute(asf_block(data, kind)) for data, kind in pictures]
            asf.save()
    return path


def asf_block(data: bytes, kind: int) -> bytes:
    texts = "image/jpeg\0".encode("utf-16-le") + "a cover, Ā\0".encode("utf-16-le")
    return struct.pack("<BI", kind, len(data)) + texts + data


def sound(path: Path) -> Path:
    return write_sound(path, tone(duration_s=0.3, sr=48_000), sr=48_000)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_picture_in_a_file_of_each_format_is_found(kind: str, tmp_path: Path) -> None:
    """It comes before the one beside."""
    path = sound(tmp_path / f"song.{kind}")
    assert read_cover(path) is None
    (tmp_path / "cover.jpg").write_bytes(jpeg(BLUE))
    assert colour_of(read_cover(path)) == BLUE
    assert colour_of(read_cover(embed(path, (jpeg(RED), FRONT)))) == RED


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "opus", "wav", "aiff", "wma", "aac"])
def test_the_front_cover_is_preferred(kind: str, tmp_path: Path) -> None:
    """Before the back and the icon; where there is no front, the first one is taken."""
    path = sound(tmp_path / f"song.{kind}")
    embed(path, (jpeg(BLUE), BACK), (jpeg(GREEN), ICON), (jpeg(RED), FRONT))
    assert colour_of(read_cover(path)) == RED
    other = sound(tmp_path / f"other.{kind}")
    embed(other, (jpeg(BLUE), BACK))
    assert colour_of(read_cover(other)) == BLUE


@pytest.mark.parametrize(
    "name", ["cover.jpg", "Cover.JPG", "folder.jpeg", "FRONT.PNG", "front.jpg", "Folder.png", "cover.jpeg"]
)
def test_a_picture_beside_is_found(name: str, tmp_path: Path) -> None:
    """In any case, and whatever format it really has."""
    (tmp_path / name).write_bytes(jpeg(GREEN, form="PNG"))
    assert colour_of(read_cover(sound(tmp_path / "song.flac"))) == GREEN


def test_of_several_beside_the_cover_comes_first(tmp_path: Path) -> None:
    """And one that is no picture is passed over."""
    (tmp_path / "front.jpg").write_bytes(jpeg(GREEN))
    (tmp_path / "folder.jpg").write_bytes(jpeg(RED))
    (tmp_path / "cover.jpg").write_bytes(b"no picture")
    (tmp_path / "cover.png").write_bytes(jpeg(BLUE))
    (tmp_path / "holiday.jpg").write_bytes(jpeg(RED))
    assert colour_of(read_cover(sound(tmp_path / "song.flac"))) == BLUE


@pytest.mark.parametrize("what", ["link", "pipe", "folder", "large", "empty"])
def test_what_is_no_plain_file_beside_is_no_cover(what: str, tmp_path: Path) -> None:
    """A link may lead to what is not shared, and a pipe would hold us up for ever."""
    path = sound(tmp_path / "song.flac")
    beside = tmp_path / "cover.jpg"
    if what == "link":
        (tmp_path / "private").mkdir()
        (tmp_path / "private" / "photo.jpg").write_bytes(jpeg(RED))
        beside.symlink_to(tmp_path / "private" / "photo.jpg")
    elif what == "pipe":
        os.mkfifo(beside)
    elif what == "folder":
        beside.mkdir()
    else:
        beside.write_bytes(jpeg(RED) + bytes(17 << 20) if what == "large" else b"")
    assert read_cover(path) is None


@pytest.mark.parametrize("data", [b"", b"nothing", b"<svg/>", jpeg(RED)[:-300]], ids=["empty", "text", "svg", "cut"])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_that_is_none_gives_way(kind: str, data: bytes, tmp_path: Path) -> None:
    """To the one beside."""
    path = embed(sound(tmp_path / f"song.{kind}"), (data, FRONT))
    (tmp_path / "cover.jpg").write_bytes(jpeg(GREEN))
    assert colour_of(read_cover(path)) == GREEN


@pytest.mark.parametrize("kind", ["mp3", "wma", "m4a"])
def test_fifty_megabytes_of_art_are_none(kind: str, tmp_path: Path) -> None:
    """However large it is, the song plays without."""
    path = embed(sound(tmp_path / f"song.{kind}"), (jpeg(RED) + bytes(50 << 20), FRONT))
    assert read_cover(path) is None


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_tags_are_survived(kind: str, tmp_path: Path) -> None:
    """Cut off anywhere, or with nonsense in the middle: a cover or none."""
    path = embed(sound(tmp_path / f"song.{kind}"), (jpeg(RED), FRONT))
    whole = path.read_bytes()
    for share in range(1, 20):
        place = len(whole) * share // 20
        path.write_bytes(whole[:place])
        assert colour_of(read_cover(path)) in {None, RED}
        path.write_bytes(whole[:place] + b"\xff\x00nonsense\xff" * 3 + whole[place + 33 :])
        read_cover(path)


@pytest.mark.parametrize("content", [b"", b"\x03", b"\x03\xff\xff\xff\xff", b"\x03\x10\0\0\0i\0m\0", bytes(7)])
def test_an_asf_picture_that_lies_is_none(content: bytes, tmp_path: Path) -> None:
    """Texts without an end, lengths beyond it."""
    path = sound(tmp_path / "song.wma")
    asf = ASF(path)
    asf["WM/Picture"] = [ASFByteArrayAttribute(content)]
    asf.save()
    assert read_cover(path) is None


def test_a_link_in_a_tag_is_not_followed(tmp_path: Path) -> None:
    """ID3 may name an address instead of a picture."""
    path = sound(tmp_path / "song.mp3")
    id3 = ID3()
    id3.add(APIC(encoding=3, mime="-->", type=FRONT, desc="", data=b"http://127.0.0.1:9/cover.jpg"))
    id3.save(path)
    assert read_cover(path) is None


@pytest.mark.parametrize("what", ["gone", "pipe", "folder"])
def test_a_track_that_is_no_file_has_none(what: str, tmp_path: Path) -> None:
    """At once."""
    path = tmp_path / "song.mp3"
    if what == "pipe":
        os.mkfifo(path)
    if what == "folder":
        path.mkdir()
    assert read_cover(path) is None


class Clock:
    """Seconds that the test turns."""

    now = 1000.0

    def __call__(self) -> float:
        """Return what time it is."""
        return self.now


def track(name: str, *, size_bytes: int = 1) -> Track:
    return made_up_track(Path(name), title=name, duration_s=1.0, size_bytes=size_bytes)


def test_covers_are_kept_for_a_while_and_bounded() -> None:
    """Read once, those that are none as well; anew for a changed file, after some time, and when too many came."""
    read: list[str] = []

    def reader(path: Path) -> bytes | None:
        read.append(path.name)
        return None if path.name == "bare" else path.name.encode()

    clock = Clock()
    covers = Covers(max_kept=2, clock=clock, read=reader)
    assert [covers.of(track("a")), covers.of(track("a")), covers.of(track("bare")), covers.of(track("bare"))] == [
        b"a",
        b"a",
        None,
        None,
    ]
    assert read == ["a", "bare"]
    covers.of(track("a", size_bytes=2))
    covers.of(track("bare"))
    covers.of(track("a"))
    assert read == ["a", "bare", "a", "a"]
    clock.now += KEPT_S + 1
    covers.of(track("a"))
    assert read == ["a", "bare", "a", "a", "a"]


def test_one_picture_is_decoded_at_a_time() -> None:
    """Many who ask do not fill the memory."""
    inside, most = [0], [0]
    lock = threading.Lock()

    def reader(path: Path) -> bytes | None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.01)
        with lock:
            inside[0] -= 1
        return None

    covers = Covers(read=reader)
    threads = [threading.Thread(target=covers.of, args=(track(str(number)),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1]

"""What files say of themselves, in every format, and how it is made harmless."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC, Picture
from mutagen.id3 import ID3, TCON, TDRC, TPE2

from dnai.audio.tags import Tags, read_tags
from dnai.text import MAX_LABEL_CHARS
from dnai.tracks import Genre
from tests.sounds import FORMATS, SR, tag, tone, write_sound


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A short flac file called "Blue in Green"."""
    return write_sound(tmp_path / "Blue in Green.flac", tone(duration_s=0.2))


def sound_file(folder: Path, kind: str) -> Path:
    sr = 48_000 if kind == "opus" else SR
    return write_sound(folder / f"My Song.{kind}", tone(duration_s=0.5, sr=sr), sr=sr)


@pytest.mark.parametrize("kind", FORMATS)
def test_tags_of_every_format_are_read(kind: str, tmp_path: Path) -> None:
    """ID3 in mp3, wav, aiff and aac, Vorbis comments, the atoms of m4a and the fields of wma give the same things."""
    written = {
        "title": "So What",
        "artist": "Miles Davis",
        "album": "Kind of Blue",
        "genre": "Jazz",
        "date": "1959",
        "albumartist": "The Sextet",
        "tracknumber": "1/5",
    }
    path = tag(sound_file(tmp_path, kind), written)
    assert read_tags(path) == Tags("So What", "Miles Davis", "Kind of Blue", 1959, Genre.JAZZ, "The Sextet", 1)


@pytest.mark.parametrize("kind", ["wav", "aiff"])
def test_tags_in_chunks_are_read_where_there_is_no_id3(kind: str, tmp_path: Path) -> None:
    """As recorders and FFmpeg write them."""
    path = tmp_path / f"My Song.{kind}"
    with soundfile.SoundFile(path, "w", SR, channels=1) as file:
        file.title, file.artist = "So What", "Miles Davis"
        file.write(tone(duration_s=0.5))
    assert (read_tags(path).title, read_tags(path).artist) == ("So What", "Miles Davis")


def test_tags_in_chunks_that_are_not_utf_8_are_read_as_latin_1(tmp_path: Path) -> None:
    """As old programs write them."""
    path = tmp_path / "My Song.wav"
    with soundfile.SoundFile(path, "w", SR, channels=1) as file:
        file.title = "Beyonce"
        file.write(tone(duration_s=0.5))
    path.write_bytes(path.read_bytes().replace(b"Beyonce", "Beyoncé".encode("latin-1")))
    assert read_tags(path).title == "Beyoncé"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("07", 7),
        ("7/12", 7),
        (" 7 / 12", 7),
        ("0", None),
        ("A1", None),
        ("", None),
        ("-3", None),
        ("99999", None),
    ],
)
def test_track_numbers_are_found_in_the_ways_they_are_written(song: Path, text: str, number: int | None) -> None:
    """With or without how many there are."""
    assert read_tags(tag(song, {"tracknumber": text})).track_number == number


@pytest.mark.parametrize("kind", FORMATS)
def test_without_tags_the_file_name_is_the_title(kind: str, tmp_path: Path) -> None:
    """And nothing else is made up."""
    path = sound_file(tmp_path, kind)
    assert read_tags(path) == Tags(path.stem, "", "", None, None)


@pytest.mark.parametrize("content", [b"", b"ID3\x04\x00\x00\xff\xff\xff\xff", b"fLaC" + bytes(40), b"OggS" * 30])
@pytest.mark.parametrize("kind", FORMATS)
def test_tags_that_cannot_be_read_are_no_tags(kind: str, content: bytes, tmp_path: Path) -> None:
    """Whether the file is sound is for the decoder to say."""
    path = tmp_path / f"broken.{kind}"
    path.write_bytes(content)
    assert read_tags(path) == Tags(path.stem, "", "", None, None)


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_bytes_never_raise(kind: str, tmp_path: Path) -> None:
    """A hundred files with a few bytes changed: tags or none, but no exception."""
    path = tag(sound_file(tmp_path, kind), {"title": "T", "genre": "Jazz"})
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(2000, len(whole)), 5):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        assert read_tags(path).title


@pytest.mark.parametrize(("kind", "name", "after"), [("wav", b"fmt ", 4), ("flac", b"image/png", 29)])
def test_tags_that_say_that_they_are_huge_take_no_memory(kind: str, name: bytes, after: int, tmp_path: Path) -> None:
    """Four gigabytes are said to be there, as a chunk or a picture: Python would take them before it reads."""
    path = sound_file(tmp_path, kind)
    if kind == "flac":
        song, picture = FLAC(path), Picture()
        picture.data, picture.mime = b"x" * 100, "image/png"
        song.add_picture(picture)
        song.save()
    content = bytearray(path.read_bytes())
    at = content.index(name) + after
    content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        assert read_tags(path).title == "My Song"
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "genre"),
    [
        ("Jazz", Genre.JAZZ),
        ("Jazz; Bebop", Genre.JAZZ),
        ("Ambient/Bebop", Genre.JAZZ),
        ("Field recording, Bluegrass", Genre.COUNTRY),
        ("Hip-Hop/Rap", Genre.HIPHOP),
        ("Rap & Hip Hop", Genre.HIPHOP),
        ("RAP", Genre.HIPHOP),
        ("Heavy Metal", Genre.METAL),
        ("Rock & Roll", Genre.ROCK),
        ("Rock 'n' Roll", Genre.ROCK),
        ("Classical Music", Genre.CLASSICAL),
        ("Pop|Rock", Genre.POP),
        ("Rock bottom", None),
        ("Techno", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_genre_tags_are_understood_in_everyday_spellings(song: Path, text: str, genre: Genre | None) -> None:
    """The first name that is one of the ten counts; a word that only contains one does not."""
    assert read_tags(tag(song, {"genre": text})).genre is genre


def test_several_genre_tags_are_tried_in_their_order(song: Path) -> None:
    """Vorbis comments may come more than once."""
    file = mutagen.File(song)
    file["genre"] = ["Third Stream", "Bebop", "Rock"]
    file.save()
    assert read_tags(song).genre is Genre.JAZZ


@pytest.mark.parametrize(("text", "genre"), [("(8)", Genre.JAZZ), ("(17)Progressive", Genre.ROCK), ("9", Genre.METAL)])
def test_id3_genre_numbers_are_names(tmp_path: Path, text: str, genre: Genre) -> None:
    """Old ID3 tags have the numbers of a list."""
    path = sound_file(tmp_path, "mp3")
    tags = ID3()
    tags.add(TCON(encoding=0, text=[text]))
    tags.save(path)
    assert read_tags(path).genre is genre


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("1959", 1959),
        ("1959-08-17", 1959),
        ("19590817", 1959),
        ("17/08/1959", 1959),
        ("2004-05-01T10:00:00", 2004),
        ("℗ 2010 Somebody", 2010),
        ("959", None),
        ("195908", None),
        ("0000", None),
        ("unknown", None),
        ("12345", None),
    ],
)
def test_years_are_found_in_dates(song: Path, text: str, year: int | None) -> None:
    """In each of the ways that programs write a date."""
    assert read_tags(tag(song, {"date": text})).year == year


def test_the_date_of_an_id3_tag_is_its_recording_time(tmp_path: Path) -> None:
    """ID3 has its own type for times."""
    path = sound_file(tmp_path, "mp3")
    tags = ID3()
    tags.add(TDRC(encoding=3, text=["1971-03"]))
    tags.save(path)
    assert read_tags(path).year == 1971


@pytest.mark.parametrize("kind", ["mp3", "wav"])
def test_an_album_artist_stands_in_for_an_artist(kind: str, tmp_path: Path) -> None:
    """As on many compilations."""
    path = tag(sound_file(tmp_path, kind), {"title": "T"})
    file = mutagen.File(path)
    file.tags.add(TPE2(encoding=3, text=["The Band"]))
    file.save()
    assert read_tags(path).artist == "The Band"


def test_terminal_escapes_line_breaks_and_direction_marks_are_taken_out(song: Path) -> None:
    """HTML stays as text: the page inserts it as text."""
    tags = read_tags(tag(song, {"title": "\x1b[31mRed\x1b[0m\r\nrum\u202egnp.", "artist": "<b>Bold</b>\x07"}))
    assert tags.title == "[31mRed[0m rumgnp."
    assert tags.artist == "<b>Bold</b>"


def test_endless_titles_are_cut(song: Path) -> None:
    """A title of a megabyte is a title of 200 characters."""
    title = read_tags(tag(song, {"title": "word " * 200_000})).title
    assert len(title) <= MAX_LABEL_CHARS
    assert title.endswith("…")


def test_a_title_of_nothing_visible_gives_way_to_the_file_name(song: Path) -> None:
    """Zero-width characters are no title."""
    assert read_tags(tag(song, {"title": "\u200b\u200e \x00"})).title == "Blue in Green"


@pytest.mark.parametrize(
    ("name", "title"), [(b"two\nlines.wav", "two lines"), (b"caf\xe9.wav", "caf"), (b"\x1b[2J.wav", "[2J")]
)
def test_file_names_of_any_bytes_give_a_clean_title(name: bytes, title: str, tmp_path: Path) -> None:
    """A line break, a byte that is not UTF-8, a terminal escape."""
    path = write_sound(tmp_path / "plain.wav", tone(duration_s=0.2))
    strange = tmp_path / Path(name.decode("utf-8", "surrogateescape"))
    path.rename(strange)
    assert read_tags(strange).title == title


def test_compressed_frames_are_not_unpacked(tmp_path: Path) -> None:
    """A few hundred kilobytes of ID3 would become 200 MB."""
    packed = zlib.compress(bytes(200 << 20), 9)
    frame = b"APIC" + struct.pack(">IH", 4 + len(packed), 0x80) + struct.pack(">I", 200 << 20) + packed
    title = b"TIT2" + struct.pack(">IH", 8, 0) + b"\0So What"
    size = len(frame) + len(title)
    header = b"ID3\x03\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    path = sound_file(tmp_path, "mp3")
    path.write_bytes(header + frame + title + path.read_bytes())
    tracemalloc.start()
    try:
        assert read_tags(path).title == "So What"
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_file_of_many_pictures_is_not_read_as_a_whole(tmp_path: Path) -> None:
    """A flac file may hold any number of them."""
    path = sound_file(tmp_path, "flac")
    whole = path.read_bytes()
    picture = struct.pack(">8I", 3, 0, 0, 0, 0, 0, 0, 15 << 20) + bytes(15 << 20)
    block = b"\x06" + struct.pack(">I", len(picture))[1:] + picture
    with path.open("wb") as file:
        file.write(b"fLaC" + bytes([whole[4] & 0x7F]) + whole[5:42])
        for _ in range(12):
            file.write(block)
        file.write(whole[42:] if not whole[4] & 0x80 else b"\x81\0\0\4\0\0\0\0" + whole[42:])
    tracemalloc.start()
    try:
        assert read_tags(path).title == path.stem
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()

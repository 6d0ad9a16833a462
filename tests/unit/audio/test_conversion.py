"""Sounds that browsers do not play, as FLAC."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from dnai.audio.conversion import convert
from dnai.errors import ConversionError
from dnai.tracks import most_converted_bytes
from tests.sounds import music, noise, tag, tone, write_sound

Samples = NDArray[np.float32]
PLENTY = 1 << 30


def converted(path: Path, *, max_bytes: int = PLENTY, is_wanted: Callable[[], bool] = lambda: True) -> io.BytesIO:
    target = io.BytesIO()
    with path.open("rb") as source:
        convert(source, target, max_bytes=max_bytes, is_wanted=is_wanted)
    target.seek(0)
    return target


def heard(flac: io.BytesIO) -> tuple[Samples, int]:
    with soundfile.SoundFile(flac) as file:
        assert (file.format, file.subtype) == ("FLAC", "PCM_16")
        return file.read(dtype="float32"), file.samplerate


def stereo(*, duration_s: float = 2.0, sr: int = 44_100) -> Samples:
    return np.stack([music(duration_s=duration_s, sr=sr), music(duration_s=duration_s, sr=sr, seed=1)], axis=1)


@pytest.mark.parametrize(("name", "subtype"), [("a.aiff", "PCM_16"), ("a.aiff", "PCM_24"), ("a.alac.m4a", None)])
@pytest.mark.parametrize("sr", [8000, 44_100, 48_000])
def test_what_is_lossless_stays_so_to_16_bits(name: str, subtype: str | None, sr: int, tmp_path: Path) -> None:
    """As many samples, none off by more than one step of 16 bits, at the file's own rate."""
    y = stereo(sr=sr)
    got, got_sr = heard(converted(write_sound(tmp_path / name, y, sr=sr, subtype=subtype)))
    assert got_sr == sr
    assert got.shape == y.shape
    assert np.abs(got - np.clip(y, -1, 1)).max() <= 1.01 / 32768


def test_16_bits_are_the_same_bits(tmp_path: Path) -> None:
    """Nothing is dithered or scaled."""
    path = write_sound(tmp_path / "a.aiff", stereo(), sr=44_100, subtype="PCM_16")
    assert np.array_equal(heard(converted(path))[0], soundfile.read(path, dtype="float32")[0])


def test_wma_is_close(tmp_path: Path) -> None:
    """A tone is the tone, and as long up to the codec's own padding."""
    got, sr = heard(converted(write_sound(tmp_path / "a.wma", tone(440, duration_s=2.0, sr=44_100), sr=44_100)))
    assert sr == 44_100
    assert abs(len(got) / sr - 2.0) < 0.15
    spectrum = np.abs(np.fft.rfft(got[10_000:40_000]))
    assert abs(spectrum.argmax() * sr / 30_000 - 440) < 2


@pytest.mark.parametrize(("sr", "expected"), [(96_000, 48_000), (88_200, 44_100), (192_000, 48_000)])
def test_higher_rates_are_brought_down(sr: int, expected: int, tmp_path: Path) -> None:
    """To the one of the two usual rates that divides them; the tone stays where it was."""
    y, got_sr = heard(converted(write_sound(tmp_path / "a.aiff", tone(1000, duration_s=1.0, sr=sr), sr=sr)))
    assert got_sr == expected
    assert abs(len(y) - expected) < 100
    assert abs(np.abs(np.fft.rfft(y[: expected // 2])).argmax() * 2 - 1000) <= 2


def test_six_channels_become_two(tmp_path: Path) -> None:
    """5.1 is mixed down; mono stays mono."""
    six = np.stack([tone(200.0 + 100 * channel, amplitude=0.1) for channel in range(6)], axis=1)
    assert heard(converted(write_sound(tmp_path / "six.aiff", six)))[0].shape[1] == 2
    assert heard(converted(write_sound(tmp_path / "one.aiff", six[:, 0])))[0].ndim == 1


def test_tags_are_not_taken_over(tmp_path: Path) -> None:
    """The page has them from the catalogue: nothing else of the owner's file leaves the machine."""
    path = tag(write_sound(tmp_path / "a.wma", tone()), {"title": "Some Very Private Title", "artist": "Somebody"})
    assert b"Private" not in converted(path).getvalue()


def test_a_name_in_an_old_encoding_does_no_harm(tmp_path: Path) -> None:
    """Chunks of aiff have no rule for it: many names are Latin-1."""
    path = write_sound(tmp_path / "a.aiff", stereo(), sr=44_100, subtype="PCM_16")
    name = b"NAME" + (5).to_bytes(4, "big") + "Björk".encode("latin-1") + b"\0"
    body = b"AIFF" + name + path.read_bytes()[12:]
    path.write_bytes(b"FORM" + len(body).to_bytes(4, "big") + body)
    assert np.array_equal(heard(converted(path))[0], soundfile.read(path, dtype="float32")[0])


@pytest.mark.parametrize("name", ["a.aiff", "a.alac.m4a", "a.wma"])
def test_damage_in_the_middle_costs_no_more_than_that(name: str, tmp_path: Path) -> None:
    """What comes before and after a hole of nonsense is heard."""
    path = write_sound(tmp_path / name, stereo(duration_s=6.0), sr=44_100)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(data)
    y, sr = heard(converted(path))
    assert 4.5 < len(y) / sr < 6.5
    assert np.abs(y[: sr * 2]).max() > 0.05
    assert np.abs(y[-sr:]).max() > 0.05


@pytest.mark.parametrize("name", ["a.aiff", "a.alac.m4a", "a.wma"])
def test_a_file_that_ends_too_early_is_heard_up_to_there(name: str, tmp_path: Path) -> None:
    """Half a download is half a song."""
    path = write_sound(tmp_path / name, stereo(duration_s=6.0), sr=44_100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    y, sr = heard(converted(path))
    assert 2.0 < len(y) / sr < 4.0


@pytest.mark.parametrize("content", [b"", b"no sound at all", bytes(10_000), b"FORM\x00\x00\x00\x10AIFFCOMM"])
def test_what_is_no_sound_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    """One error of our own, whatever FFmpeg thinks of it."""
    path = tmp_path / "a.aiff"
    path.write_bytes(content)
    with pytest.raises(ConversionError):
        converted(path)


def test_a_playlist_with_an_address_is_not_followed(tmp_path: Path) -> None:
    """FFmpeg knows formats that name further files."""
    path = tmp_path / "a.wma"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n", encoding="ascii")
    with pytest.raises(ConversionError):
        converted(path)


def test_it_never_becomes_longer_than_it_may(tmp_path: Path) -> None:
    """A header that promises a short track does not fill the disk."""
    path = write_sound(tmp_path / "a.aiff", noise(duration_s=5.0, sr=44_100), sr=44_100)
    with pytest.raises(ConversionError, match="longer than 100000 bytes"):
        converted(path, max_bytes=100_000)


@pytest.mark.parametrize("amplitude", [0.0, 1.0])
def test_the_bound_holds_for_what_cannot_be_compressed(amplitude: float, tmp_path: Path) -> None:
    """White noise at full scale in stereo at 48 kHz, and silence."""
    y = np.stack([noise(duration_s=20, sr=48_000, amplitude=amplitude, seed=seed) for seed in (0, 1)], axis=1)
    size = len(converted(write_sound(tmp_path / "a.aiff", y, sr=48_000)).getvalue())
    assert size <= most_converted_bytes(20.0)


def test_it_ends_when_nobody_wants_it(tmp_path: Path) -> None:
    """Asked between packets."""
    answers = iter([True, True])
    with pytest.raises(ConversionError, match="too long"):
        converted(write_sound(tmp_path / "a.alac.m4a", music(duration_s=5)), is_wanted=lambda: next(answers, False))


def test_a_full_disk_is_an_error_of_this_track(tmp_path: Path) -> None:
    """The system's own words are in it."""

    class FullDisk(io.BytesIO):
        def write(self, data: object) -> int:
            if self.tell() > 100_000:
                raise OSError(28, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

    path = write_sound(tmp_path / "a.aiff", noise(duration_s=5.0, sr=44_100), sr=44_100)
    with path.open("rb") as source, pytest.raises(ConversionError, match="No space left on device"):
        convert(source, FullDisk(), max_bytes=PLENTY, is_wanted=lambda: True)

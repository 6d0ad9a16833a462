"""Sound files of every format become the same samples; what is no sound says why."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import librosa
import numpy as np
import pytest
import soundfile

from dnai.audio import decode as decode_module
from dnai.audio.decode import MAX_DURATION_S, MIN_DURATION_S, SAMPLE_RATE, Sink, SoundSource, decode
from dnai.audio.features import extract_features
from dnai.audio.readers import NativeBlock, ReaderError, read_av, read_soundfile
from dnai.errors import AudioError, DecodeError, UnusableAudioError
from tests.sounds import FORMATS, SR, clicks, music, noise, silence, tag, tone, write_sound


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_about_the_same_sound(kind: str, tmp_path: Path) -> None:
    """Loudness, roll-off and zero crossings of a decoded tone are those of the original within a few percent."""
    sr = 48_000 if kind == "opus" else SR
    original = extract_features(tone(1000, duration_s=3))
    decoded = decode(write_sound(tmp_path / f"song.{kind}", tone(1000, duration_s=3, sr=sr), sr=sr))
    assert decoded.duration_s == pytest.approx(3, abs=0.12)
    assert decoded.y.dtype == np.float32
    assert decoded.y.ndim == 1
    assert len(decoded.y) == pytest.approx(decoded.duration_s * SAMPLE_RATE, abs=1)
    features = extract_features(decoded.y)
    assert features[[1, 4, 5]] == pytest.approx(original[[1, 4, 5]], rel=0.1)


@pytest.mark.parametrize("sr", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000])
def test_every_rate_becomes_the_one_of_the_features(sr: int, tmp_path: Path) -> None:
    """The frequency of a tone and the duration stay what they were."""
    decoded = decode(write_sound(tmp_path / "tone.wav", tone(1000, duration_s=2, sr=sr), sr=sr))
    assert decoded.duration_s == 2
    assert len(decoded.y) == 2 * SAMPLE_RATE
    strongest = np.abs(np.fft.rfft(decoded.y)).argmax() / decoded.duration_s
    assert strongest == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("kind", ["wav", "flac", "aiff"])
@pytest.mark.parametrize("sr", [8_000, 22_050, 44_100, 48_000, 192_000])
def test_samples_are_librosas_own_to_the_bit(kind: str, sr: int, tmp_path: Path) -> None:
    """Reading and resampling in blocks, and mixing down, give what librosa's loading gives."""
    stereo = np.stack([music(duration_s=8, sr=sr), tone(duration_s=8, sr=sr)], axis=1)
    path = write_sound(tmp_path / f"song.{kind}", stereo[:-17], sr=sr)
    frames, sr = soundfile.read(path, dtype="float32")
    expected = librosa.resample(librosa.to_mono(frames.T), orig_sr=sr, target_sr=SAMPLE_RATE)
    np.testing.assert_array_equal(decode(path).y, expected)


@pytest.mark.parametrize(("kind", "within"), [("mp3", 1e-6), ("ogg", 1e-5), ("opus", 0.02)])
def test_samples_of_lossy_formats_are_librosas(kind: str, within: float, tmp_path: Path) -> None:
    """But for the last digits: blocks of another size, or a decoder that is faster."""
    stereo = np.stack([music(duration_s=8, sr=48_000), tone(duration_s=8, sr=48_000)], axis=1)
    path = write_sound(tmp_path / f"song.{kind}", stereo, sr=48_000)
    frames, sr = soundfile.read(path, dtype="float32")
    expected = librosa.resample(librosa.to_mono(frames.T), orig_sr=sr, target_sr=SAMPLE_RATE)
    np.testing.assert_allclose(decode(path).y, expected, rtol=0, atol=within)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.m4a", ["-c:a", "aac"]),
        ("a.m4a", ["-c:a", "alac"]),
        ("a.wma", []),
        ("a.aac", []),
        ("a.wav", ["-c:a", "pcm_s24le"]),
        ("a.wav", ["-c:a", "pcm_s32le"]),
        ("a.wav", ["-c:a", "pcm_f32le"]),
        ("a.aiff", ["-c:a", "pcm_s16be"]),
        ("a.flac", ["-sample_fmt", "s32"]),
    ],
    ids=lambda value: "-".join(value[1:]) if isinstance(value, list) else value,
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_form_of_sound_is_read(name: str, options: list[str], channels: int, tmp_path: Path) -> None:
    """Also those that nothing here writes: a tone in each channel comes out as loud as it went in."""
    if (name, channels) == ("a.wma", 6):
        pytest.skip("the encoder knows no six channels")
    y = np.stack([tone(1000, duration_s=2, sr=44_100)] * channels, axis=1)
    source = write_sound(tmp_path / "source.wav", y, sr=44_100)
    path = tmp_path / name
    command = ["ffmpeg", "-v", "error", "-i", str(source), *options, str(path)]
    subprocess.run(command, check=True, timeout=60)
    decoded = decode(path)
    assert decoded.duration_s == pytest.approx(2, abs=0.12)
    # Of six channels, one is for the bass, and AAC leaves the rest out of it.
    least = 5 / 6 if channels == 6 and (name == "a.aac" or "aac" in options) else 1
    loudness = np.sqrt(np.mean(decoded.y[5000:-5000] ** 2)) * np.sqrt(2) / 0.5
    assert 0.97 * least < loudness < 1.03


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.opus", "libopus")])
def test_eight_channels_are_read(name: str, codec: str, tmp_path: Path) -> None:
    """Of which one, for the bass, has no part of the tone in AAC and Opus."""
    y = np.stack([tone(1000, duration_s=2, sr=48_000)] * 8, axis=1)
    source = write_sound(tmp_path / "source.wav", y, sr=48_000)
    command = ["ffmpeg", "-v", "error", "-i", str(source), "-filter:a", "aformat=channel_layouts=7.1"]
    subprocess.run([*command, "-c:a", codec, str(tmp_path / name)], check=True, timeout=60)
    decoded = decode(tmp_path / name)
    assert decoded.duration_s == pytest.approx(2, abs=0.12)
    loudness = np.sqrt(np.mean(decoded.y[5000:-5000] ** 2)) * np.sqrt(2) / 0.5
    assert 0.97 * 7 / 8 < loudness < 1.03


def test_six_channels_are_mixed_as_librosa_does(tmp_path: Path) -> None:
    """Each counts the same."""
    y = np.stack([noise(seed=seed) for seed in range(6)], axis=1)
    path = write_sound(tmp_path / "surround.wav", y, subtype="FLOAT")
    np.testing.assert_allclose(decode(path).y, librosa.to_mono(y.T), rtol=0, atol=1e-7)


def test_a_sound_that_changes_its_form_on_the_way_is_read_to_its_end(tmp_path: Path) -> None:
    """A mono mp3 joined to a stereo one of another rate, as recordings of broadcasts are."""
    stereo = np.stack([tone(duration_s=2, sr=44_100)] * 2, axis=1)
    parts = (
        write_sound(tmp_path / "a.mp3", tone(duration_s=2)),
        write_sound(tmp_path / "b.mp3", stereo, sr=44_100),
    )
    joined = tmp_path / "joined.m4a"  # so that FFmpeg reads it
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    decoded = decode(joined)
    assert decoded.duration_s == pytest.approx(4, abs=0.3)
    assert len(decoded.y) == pytest.approx(decoded.duration_s * SAMPLE_RATE, abs=2)
    assert np.abs(np.fft.rfft(decoded.y)).argmax() / decoded.duration_s == pytest.approx(440, abs=1)


def test_what_one_reader_gives_up_in_the_middle_another_reads_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the sink of the first is not asked for its answer."""
    path = write_sound(tmp_path / "song.wav", noise(duration_s=4))
    sinks: list[list[np.ndarray]] = []

    def gives_up(file: BinaryIO) -> Iterator[NativeBlock]:
        yield SR, noise()
        raise ReaderError("lost")

    def start() -> Sink:
        sinks.append([])
        return sinks[-1].append

    monkeypatch.setattr(decode_module, "readers_for", lambda suffix: (gives_up, read_soundfile))
    source = SoundSource(path)
    source.play(start)
    assert [sum(map(len, blocks)) for blocks in sinks] == [SR, 4 * SR]
    source.play(start)
    np.testing.assert_array_equal(np.concatenate(sinks[1]), np.concatenate(sinks[2]))


@pytest.mark.parametrize("held_duration_s", [0.0, 1.0, 10.0])
def test_a_sound_can_be_played_twice(held_duration_s: float, tmp_path: Path) -> None:
    """Short ones are held, long ones read again: both are the same."""
    path = write_sound(tmp_path / "song.flac", music(duration_s=4, sr=48_000), sr=48_000)
    source = SoundSource(path, held_duration_s=held_duration_s)
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    source.play(lambda: first.append)
    source.play(lambda: second.append)
    assert source.duration_s == 4
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(second))
    path.unlink()
    if held_duration_s > 4:
        source.play(lambda: second.append)
    else:
        with pytest.raises(FileNotFoundError):
            source.play(lambda: second.append)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """Rather than measured half as the one and half as the other."""
    path = write_sound(tmp_path / "song.wav", noise(duration_s=2))
    source = SoundSource(path, held_duration_s=0)
    source.play(lambda: lambda y: None)
    write_sound(path, noise(duration_s=3))
    with pytest.raises(DecodeError, match="changed while it was read"):
        source.play(lambda: lambda y: None)


@pytest.mark.parametrize("kind", ["wav", "m4a"])
def test_stereo_becomes_the_mean_of_its_channels(kind: str, tmp_path: Path) -> None:
    """A tone on one side only is half as loud."""
    stereo = np.stack([tone(duration_s=2), silence(duration_s=2)], axis=1)
    y = decode(write_sound(tmp_path / f"left.{kind}", stereo)).y
    assert np.abs(y[SR // 2 : SR]).max() == pytest.approx(0.25, rel=0.05)


def test_a_suffix_in_capitals_is_the_same_suffix(tmp_path: Path) -> None:
    """As cameras and old programs write them."""
    write_sound(tmp_path / "song.mp3", music()).rename(tmp_path / "SONG.MP3")
    assert decode(tmp_path / "SONG.MP3").duration_s == pytest.approx(2, abs=0.1)


def test_m4a_inside_a_file_called_mp3_is_read_all_the_same(tmp_path: Path) -> None:
    """FFmpeg goes by the content, where libsndfile gives up."""
    path = write_sound(tmp_path / "song.m4a", music()).rename(tmp_path / "song.mp3")
    assert decode(path).duration_s == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"This is a shopping list.\n" * 400, bytes(5000), np.random.default_rng(0).bytes(5000)],
    ids=["empty", "one byte", "text", "zeros", "random bytes"],
)
def test_what_is_no_sound_is_refused(kind: str, content: bytes, tmp_path: Path) -> None:
    """Whatever the bytes, one of our own errors says that they are no sound."""
    path = tmp_path / f"broken.{kind}"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"^(not readable as sound: .+|too short: .+|holds no sound)$"):
        decode(path)


def duration_or_reason(path: Path) -> float | str:
    try:
        return decode(path).duration_s
    except AudioError as error:
        return str(error)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_file_that_breaks_off_gives_its_beginning_or_a_reason(kind: str, share: float, tmp_path: Path) -> None:
    """An interrupted download is either shorter, or refused: never something else."""
    path = write_sound(tmp_path / f"song.{kind}", music(duration_s=4, sr=48_000), sr=48_000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    answer = duration_or_reason(path)
    assert len(answer) > 5 if isinstance(answer, str) else MIN_DURATION_S <= answer <= 4.15


def test_half_an_mp3_is_half_a_song(tmp_path: Path) -> None:
    """Of the format that most collections are in, what is there is used."""
    path = write_sound(tmp_path / "song.mp3", music(duration_s=4))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert decode(path).duration_s == pytest.approx(2, abs=0.3)


def test_small_flaws_of_an_mp3_are_not_written_past_us_to_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The decoder would write into the progress bar; what we write ourselves still comes out."""
    for seed in range(3):
        decode(write_sound(tmp_path / "song.mp3", music(duration_s=20, seed=seed)))
    os.write(2, b"our own line")
    assert capfd.readouterr().err == "our own line"


@pytest.mark.parametrize("kind", ["wav", "flac", "m4a", "ogg"])
def test_silence_is_refused_as_silence(kind: str, tmp_path: Path) -> None:
    """There is nothing to measure, and the reason says so."""
    with pytest.raises(UnusableAudioError, match="silent"):
        decode(write_sound(tmp_path / f"silence.{kind}", silence()))


@pytest.mark.parametrize("samples", [0, 1, 2000])
def test_what_is_shorter_than_a_tenth_of_a_second_is_refused(samples: int, tmp_path: Path) -> None:
    """Nothing, one sample, and a bit more: the reason counts them."""
    with pytest.raises(UnusableAudioError, match=f"too short: {samples} samples"):
        decode(write_sound(tmp_path / "short.wav", noise()[:samples]))


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "finite"), (np.inf, "finite"), (1e20, "full scale")])
@pytest.mark.parametrize("channels", [1, 2])
def test_float_files_with_impossible_samples_are_damaged(
    value: float, reason: str, channels: int, tmp_path: Path
) -> None:
    """Not a number, infinity, and 1e20 where full scale is 1."""
    y = np.stack([noise()] * channels, axis=1)
    y[1000, 0] = value
    with pytest.raises(DecodeError, match=f"damaged: .*{reason}"):
        decode(write_sound(tmp_path / "damaged.wav", y, subtype="FLOAT"))


@pytest.mark.parametrize("sr", [1, 999, 2_000_000])
def test_a_rate_that_no_sound_has_is_refused(sr: int, tmp_path: Path) -> None:
    """A header that says one sample a second would make ten kilobytes into hours."""
    with pytest.raises(DecodeError, match=f"not readable as sound: {sr} samples a second"):
        decode(write_sound(tmp_path / "slow.wav", noise(), sr=sr))


def test_a_day_of_sound_is_too_long(tmp_path: Path) -> None:
    """It is told while it is read: what has come until then is all that was worked on."""
    assert MAX_DURATION_S == 24 * 3600
    path = write_sound(tmp_path / "long.wav", noise(duration_s=400), sr=1000)
    played: list[int] = []
    with pytest.raises(UnusableAudioError, match="too long: more than 2 hours"):
        SoundSource(path, max_duration_s=2 * 3600).play(lambda: lambda y: played.append(len(y)))
    assert sum(played) <= 2 * 3600 * SAMPLE_RATE


def test_what_would_not_fit_into_memory_is_not_read_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is kept while decoding, by both readers."""
    monkeypatch.setattr(decode_module, "MAX_WHOLE_DURATION_S", 60.0)
    for kind in ("m4a", "flac"):
        with pytest.raises(UnusableAudioError, match="too long: more than 1 minutes"):
            decode(write_sound(tmp_path / f"long.{kind}", clicks(duration_s=61)))


def test_a_header_that_lies_about_the_length_makes_no_difference(tmp_path: Path) -> None:
    """Four gigabytes are said to be there; what is there is used."""
    path = write_sound(tmp_path / "lie.wav", noise(duration_s=2), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = (0xFFFF_FFF0).to_bytes(4, "little")
    path.write_bytes(content)
    assert decode(path).duration_s == pytest.approx(2, abs=0.01)


def test_songs_that_were_joined_are_heard_to_their_end(tmp_path: Path) -> None:
    """The header of the first of two mp3s tells of the first alone."""
    path = write_sound(tmp_path / "song.mp3", music(duration_s=20, sr=44_100), sr=44_100)
    path.write_bytes(path.read_bytes() * 2)
    assert decode(path).duration_s == pytest.approx(40, abs=0.2)


def test_a_flac_that_tells_of_one_sample_is_heard_to_its_end(tmp_path: Path) -> None:
    """The number of samples in its header is what the encoder knew when it began."""
    path = write_sound(tmp_path / "lie.flac", noise(duration_s=10))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = (1).to_bytes(4, "big")
    path.write_bytes(content)
    assert decode(path).duration_s == pytest.approx(10)


def test_a_flac_that_tells_of_two_to_the_36_samples_is_as_long_as_it_is(tmp_path: Path) -> None:
    """Nine days and nights."""
    path = write_sound(tmp_path / "lie.flac", noise(duration_s=10))
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    assert decode(path).duration_s == pytest.approx(10)


@pytest.mark.parametrize(("name", "at"), [(b"stts", 8), (b"stsz", 12), (b"stsc", 8), (b"stco", 8)])
def test_an_m4a_that_tells_of_two_billion_parts_is_as_long_as_it_is_or_refused(
    name: bytes, at: int, tmp_path: Path
) -> None:
    """Its tables are believed no further than the file goes."""
    path = write_sound(tmp_path / "lie.m4a", music(duration_s=4, sr=44_100), sr=44_100)
    content = bytearray(path.read_bytes())
    start = content.index(name) + at
    content[start : start + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(content)
    answer = duration_or_reason(path)
    assert answer == pytest.approx(4, abs=0.1) or str(answer).startswith("not readable as sound: ")


@pytest.mark.parametrize("kind", ["m4a", "aac", "wma", "alac.m4a"])
def test_a_damaged_part_does_not_cost_the_song(kind: str, tmp_path: Path) -> None:
    """As players do, what cannot be decoded is left out; what is damaged all over is refused."""
    path = write_sound(tmp_path / f"song.{kind}", music(duration_s=4, sr=44_100), sr=44_100)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + b"\xff" * 200 + whole[middle + 200 :])
    assert decode(path).duration_s == pytest.approx(4, abs=0.3)
    path.write_bytes(whole[:2000] + np.random.default_rng(0).bytes(len(whole) - 2000))
    with pytest.raises(AudioError):
        decode(path)


@pytest.mark.parametrize("kind", ["m4a", "flac", "wma"])
def test_tags_that_are_not_utf_8_do_not_cost_the_song(kind: str, tmp_path: Path) -> None:
    """FFmpeg gives them as they are, and PyAV would refuse the file."""
    path = tag(write_sound(tmp_path / f"song.{kind}", music(sr=44_100), sr=44_100), {"title": "So What"})
    title = "So What".encode("utf-16-le" if kind == "wma" else "utf-8")
    content = path.read_bytes()
    assert title in content
    path.write_bytes(content.replace(title, b"\xff\xfe\xe9" + title[3:]))
    with path.open("rb") as file:
        assert sum(len(y) for _, y in read_av(file)) == pytest.approx(2 * 44_100, rel=0.05)


def test_a_sound_that_changes_its_channels_is_heard_to_its_end(tmp_path: Path) -> None:
    """As recordings of broadcasts do: stereo, mono, and stereo again."""
    stereo = np.stack([music(duration_s=2)] * 2, axis=1)
    parts = [write_sound(tmp_path / f"{number}.aac", y) for number, y in enumerate([stereo, stereo[:, 0], stereo])]
    path = tmp_path / "broadcast.aac"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert decode(path).duration_s == pytest.approx(6, abs=0.5)


@pytest.mark.parametrize("kind", ["m4a", "mp3"])
def test_a_playlist_named_like_music_opens_nothing_else(kind: str, tmp_path: Path) -> None:
    """FFmpeg reads playlists, too; the song that one names must not be what comes out."""
    write_sound(tmp_path / "secret.wav", music())
    for name, text in (
        ("hls", f"#EXTM3U\n#EXTINF:2,\n{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n"),
        ("concat", "ffconcat version 1.0\nfile secret.wav\n"),
    ):
        path = tmp_path / f"{name}.{kind}"
        path.write_text(text)
        with pytest.raises(AudioError):
            decode(path)


@pytest.mark.parametrize("kind", ["m4a", "mp3"])
def test_what_cannot_be_opened_is_an_error_of_the_system(kind: str, tmp_path: Path) -> None:
    """Its reason may pass, as rights do, so it is told apart from a file that is no sound."""
    loop = tmp_path / f"loop.{kind}"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match=os.strerror(40)):
        decode(loop)
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / f"gone.{kind}")

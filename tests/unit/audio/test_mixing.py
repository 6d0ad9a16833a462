"""Mixing stems into songs, and tagging what was made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dnai.audio.mixing import mix
from dnai.audio.tagging import write_tags
from dnai.audio.tags import read_tags
from dnai.errors import AudioError, DecodeError, UsageError
from dnai.tracks import Genre

SR = 8_000


def tone(
    path: Path, *, hertz: float, seconds: float = 0.5, level: float = 0.25, sr: int = SR, channels: int = 2
) -> Path:
    """Write a sine of `level` to `path`."""
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * sr)) / sr)
    soundfile.write(path, np.repeat(wave[:, np.newaxis], channels, axis=1), sr, subtype="FLOAT")
    return path


def test_mix_is_the_sum_of_its_stems(tmp_path: Path) -> None:
    """Each sample of the mix is the sum of the stems' samples, to the 16 bits that it is stored in."""
    stems = [tone(tmp_path / "a.wav", hertz=200), tone(tmp_path / "b.wav", hertz=500)]
    mix(stems, tmp_path / "song.flac")
    song, sr = soundfile.read(tmp_path / "song.flac")
    expected = sum(soundfile.read(stem)[0] for stem in stems)
    assert sr == SR
    assert np.abs(song - expected).max() < 2 / 2**15


def test_mix_goes_on_when_a_shorter_stem_has_ended(tmp_path: Path) -> None:
    """The song is as long as its longest stem, which alone is heard at the end."""
    long, short = tone(tmp_path / "a.wav", hertz=200, seconds=9.0), tone(tmp_path / "b.wav", hertz=500, seconds=0.5)
    mix([short, long], tmp_path / "song.flac")
    song, _ = soundfile.read(tmp_path / "song.flac")
    assert len(song) == 9 * SR
    assert np.abs(song[SR:] - soundfile.read(long)[0][SR:]).max() < 2 / 2**15


def test_loud_stems_are_made_quieter_together_instead_of_clipped(tmp_path: Path) -> None:
    """A sum above full scale keeps its shape: it is scaled as a whole."""
    stems = [tone(tmp_path / "a.wav", hertz=200, level=0.9), tone(tmp_path / "b.wav", hertz=200, level=0.9)]
    mix(stems, tmp_path / "song.flac")
    song, _ = soundfile.read(tmp_path / "song.flac")
    expected = sum(soundfile.read(stem)[0] for stem in stems)
    assert np.abs(song).max() == pytest.approx(0.99, abs=1e-3)
    assert np.abs(song - expected * 0.99 / np.abs(expected).max()).max() < 2 / 2**15


def test_one_stem_is_only_converted(tmp_path: Path) -> None:
    """A single file comes out with the samples that went in."""
    source = tone(tmp_path / "a.wav", hertz=300)
    mix([source], tmp_path / "song.flac")
    assert np.abs(soundfile.read(tmp_path / "song.flac")[0] - soundfile.read(source)[0]).max() < 2 / 2**15


def test_stems_of_different_rates_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    """Stems that do not fit together are an error that names them, and no half-made file stays."""
    stems = [tone(tmp_path / "a.wav", hertz=200), tone(tmp_path / "b.wav", hertz=200, sr=11_025)]
    with pytest.raises(DecodeError, match=r"8000 Hz.*11025 Hz"):
        mix(stems, tmp_path / "song.flac")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav"]


def test_broken_stem_is_refused(tmp_path: Path) -> None:
    """A stem that is no sound is an error that names it."""
    broken = tmp_path / "broken.ogg"
    broken.write_bytes(b"no sound at all")
    with pytest.raises(DecodeError, match=r"broken\.ogg"):
        mix([broken], tmp_path / "song.flac")


def test_nothing_to_mix_is_the_callers_mistake() -> None:
    """No stems at all is not a silent success."""
    with pytest.raises(UsageError, match="nothing to mix"):
        mix([], Path("song.flac"))


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_written_tags_are_read_back_and_old_ones_are_gone(tmp_path: Path, suffix: str) -> None:
    """What is written is what the scanner reads, in every format that the demo has; nothing else stays."""
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, np.zeros((SR, 1), dtype=np.float32), SR)
    write_tags(path, {"title": "Old", "album": "Old album", "date": "1999"})
    write_tags(path, {"title": "Armygeddon", "artist": "Muldjord", "genre": "Death Metal", "copyright": "CC BY-SA 3.0"})
    tags = read_tags(path)
    assert (tags.title, tags.artist, tags.album, tags.year) == ("Armygeddon", "Muldjord", "", None)
    assert tags.genre is Genre.METAL


def test_what_cannot_be_tagged_is_an_error(tmp_path: Path) -> None:
    """A file that is no sound is named, not silently left without tags."""
    path = tmp_path / "notes.txt"
    path.write_text("words")
    with pytest.raises(AudioError, match=r"notes\.txt"):
        write_tags(path, {"title": "x"})

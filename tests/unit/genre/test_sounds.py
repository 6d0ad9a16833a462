"""A folder of sounds becomes a table: which pieces there are, and what is left out and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from dnai.audio.decode import SAMPLE_RATE
from dnai.audio.features import extract_features
from dnai.audio.tagging import write_tags
from dnai.errors import ModelError
from dnai.genre.extraction import LibrosaMeans
from dnai.genre.sounds import SoundTable, read_sounds
from dnai.genre.table import LABELS

EXTRACTOR = LibrosaMeans("librosa26-test")


def noise(seconds: float, *, seed: int = 0) -> NDArray[np.float32]:
    """White noise at the features' rate."""
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE))
    return samples.astype(np.float32)


def put(path: Path, y: NDArray[np.float32]) -> None:
    """Write a sound file, and the folders to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, y, SAMPLE_RATE, subtype="FLOAT" if path.suffix == ".wav" else None)


def read(folder: Path, *, piece_s: float = 2.0, told: list[str] | None = None) -> SoundTable:
    """Read a folder in the space of the mission."""
    lines = told if told is not None else []
    return read_sounds(folder, EXTRACTOR, space="librosa26", piece_s=piece_s, report=lines.append)


def test_tracks_are_cut_into_pieces_that_are_measured_as_they_stand(tmp_path: Path) -> None:
    """5 s make two pieces of 2 s and one of the second that is left; 4.9 s make two; 1.5 s make one."""
    for name, seconds in (("a", 5.0), ("b", 4.9), ("c", 1.5)):
        put(tmp_path / "jazz" / f"{name}.wav", noise(seconds))
    put(tmp_path / "Hip-Hop" / "deeper" / "d.flac", noise(2.0, seed=1))
    told: list[str] = []
    table = read(tmp_path, told=told).table
    names, counts = np.unique(table.tracks, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "Hip-Hop/deeper/d.flac": 1,
        "jazz/a.wav": 3,
        "jazz/b.wav": 2,
        "jazz/c.wav": 1,
    }
    assert {LABELS[label].value for label in table.labels} == {"jazz", "hiphop"}
    second = table.features[table.tracks == "jazz/a.wav"][1]
    expected = extract_features(noise(5.0)[2 * SAMPLE_RATE : 4 * SAMPLE_RATE])
    np.testing.assert_allclose(second, expected, rtol=1e-4, atol=1e-4)
    assert told == ["1 of 4: d.flac", "2 of 4: a.wav", "3 of 4: b.wav", "4 of 4: c.wav"]


def test_artists_come_from_the_tags(tmp_path: Path) -> None:
    """Two tracks of one artist are one group; a track without a tag is its own."""
    for name in ("a", "b", "c"):
        put(tmp_path / "jazz" / f"{name}.flac", noise(2.0))
    put(tmp_path / "pop" / "d.flac", noise(2.0))
    for name in ("a", "b"):
        write_tags(tmp_path / "jazz" / f"{name}.flac", {"title": name, "artist": "Ella"})
    table = read(tmp_path).table
    assert len(set(table.groups)) == 3
    assert table.unknown_artists == 2


def test_sounds_that_cannot_be_used_are_left_out_with_their_reason(tmp_path: Path) -> None:
    """0.3 s, silence, a text file: each by name, and the others are read."""
    put(tmp_path / "jazz" / "good.wav", noise(2.0))
    put(tmp_path / "pop" / "good.wav", noise(2.0))
    put(tmp_path / "pop" / "short.wav", noise(0.3))
    put(tmp_path / "pop" / "silent.wav", np.zeros(3 * SAMPLE_RATE, dtype=np.float32))
    (tmp_path / "pop" / "text.mp3").write_text("not a sound")
    sounds = read(tmp_path)
    reasons = {one.path.name: one.reason for one in sounds.left_out}
    assert sounds.table.track_count == 2
    assert reasons.keys() == {"short.wav", "silent.wav", "text.mp3"}
    assert "0.3 s of sound; at least 1 s" in reasons["short.wav"]
    assert "silent" in reasons["silent.wav"]


def test_a_folder_of_no_genre_is_named(tmp_path: Path) -> None:
    """As long as it holds sounds; other folders may lie there."""
    put(tmp_path / "jazz" / "a.wav", noise(2.0))
    (tmp_path / "notes").mkdir()
    put(tmp_path / "techno" / "a.wav", noise(2.0))
    with pytest.raises(ModelError, match="'techno' is none of the genres blues, classical"):
        read(tmp_path)


def test_folders_without_sounds_are_refused(tmp_path: Path) -> None:
    """Nothing there, one genre only, a folder that does not exist, a piece that is too short."""
    with pytest.raises(ModelError, match="has no sound that can be used"):
        read(tmp_path)
    put(tmp_path / "jazz" / "a.wav", noise(2.0))
    with pytest.raises(ModelError, match="one genre only"):
        read(tmp_path)
    with pytest.raises(ModelError, match="nowhere cannot be read as a folder of sounds"):
        read(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"a piece has 1 to 3600 s, not 0\.2 s"):
        read(tmp_path, piece_s=0.2)

"""Features measured block by block, against librosa's own calls."""

from __future__ import annotations

import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnai.audio import tuning as tuning_module
from dnai.audio.blockwise import BlockwiseFeatures
from dnai.audio.decode import SAMPLE_RATE
from dnai.audio.features import extract_features
from dnai.audio.tuning import TuningEstimate
from dnai.errors import UnusableAudioError
from tests.sounds import Sound, clicks, music, noise, silence, tone

HOLD_ALL = 10**9


def blockwise(y: Sound, *, cuts: tuple[int, ...] = (), held_frames: int = HOLD_ALL) -> np.ndarray:
    """Feed samples in pieces, twice where that is asked for."""
    measured = BlockwiseFeatures(held_frames=held_frames)

    def play() -> None:
        for part in np.split(y, [cut for cut in cuts if cut < len(y)]):
            measured.add(part)

    play()
    if measured.rewind():
        play()
    return measured.finish()


def chirp(duration_s: float) -> Sound:
    """A sine that rises from 50 Hz to 10 kHz."""
    t = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * (50 + 9950 * t / (2 * duration_s)) * t)).astype(np.float32)


SOUNDS = {
    "music": music(duration_s=5),
    "music far from 440 Hz": music(duration_s=3, root_hz=233.7),
    "noise": noise(duration_s=2),
    "sine": tone(440, duration_s=2),
    "sine between two bins": tone(1005.2, duration_s=2),
    "chirp": chirp(4),
    "clicks": clicks(duration_s=2),
    "silence": silence(),
    "nothing but a constant": np.full(SAMPLE_RATE, 0.25, dtype=np.float32),
    "very quiet": tone(amplitude=0.001),
    "as whole numbers": 32_768 * music(duration_s=1),
    "loud, then hardly there": np.concatenate([noise(), noise(amplitude=3e-6), tone(amplitude=1e-5)]),
    "quiet until the end": np.concatenate([noise(amplitude=1e-5, duration_s=3), noise()]),
    "silence around": np.concatenate([silence(), music(), silence()]),
    "below zero at both ends": -np.abs(noise()),
    "odd length": music(duration_s=1)[:-137],
    "a sample more than a frame": music(duration_s=1)[:2049],
    "as long as a frame": music(duration_s=1)[:2048],
    "a sample less than a hop": music(duration_s=1)[:511],
    "a hop": music(duration_s=1)[:512],
    "one frame": noise()[:400],
    "one sample": noise()[:1],
}


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("held_frames", [HOLD_ALL, 0])
def test_features_are_librosas(name: str, held_frames: int) -> None:
    """To 1e-4, heard once and heard twice."""
    y = SOUNDS[name]
    np.testing.assert_allclose(
        blockwise(y, held_frames=held_frames), extract_features(y), rtol=1e-4, atol=1e-4, err_msg=name
    )


def test_features_of_a_long_sound_are_librosas() -> None:
    """Eleven minutes, which are not held: the second pass hears what the first heard."""
    parts = [music(duration_s=60, root_hz=200 + 7 * minute, seed=minute) for minute in range(11)]
    y = np.concatenate([part * (0.1 + 0.08 * minute) for minute, part in enumerate(parts)])
    np.testing.assert_allclose(
        blockwise(y.astype(np.float32), held_frames=1000), extract_features(y.astype(np.float32)), rtol=1e-4, atol=1e-4
    )


@st.composite
def sounds(draw: st.DrawFn) -> Sound:
    """Up to a second made of a few sines, noise, clicks and silence, of any length and loudness."""
    length = draw(st.integers(1, SAMPLE_RATE))
    t = np.arange(length) / SAMPLE_RATE
    y = np.zeros(length)
    for freq_hz in draw(st.lists(st.floats(20, 11_000), max_size=4)):
        y += draw(st.floats(1e-6, 0.3)) * np.sin(2 * np.pi * freq_hz * t)
    seed = draw(st.integers(0, 2**32 - 1))
    y += draw(st.sampled_from([0, 1e-6, 1e-3, 0.3])) * np.random.default_rng(seed).standard_normal(length)
    if draw(st.booleans()):
        y[:: draw(st.integers(1, 9000))] += 0.9
    if draw(st.booleans()):
        start = draw(st.integers(0, length - 1))
        y[start : start + draw(st.integers(1, 9000))] = 0
    return y.astype(np.float32)


@given(
    y=sounds(), cuts=st.lists(st.integers(1, SAMPLE_RATE), max_size=5), held_frames=st.sampled_from([0, 7, HOLD_ALL])
)
@settings(max_examples=150, deadline=None)
def test_features_of_any_sound_in_blocks_of_any_size_are_librosas(y: Sound, cuts: list[int], held_frames: int) -> None:
    """Where the blocks begin and end makes no difference."""
    measured = blockwise(y, cuts=tuple(sorted(cuts)), held_frames=held_frames)
    np.testing.assert_allclose(measured, extract_features(y), rtol=1e-4, atol=1e-4)


@given(
    cuts=st.lists(st.integers(1, 3 * SAMPLE_RATE), max_size=20),
)
@example(cuts=[1])
@example(cuts=list(range(500, 1500)))
@settings(max_examples=20, deadline=None)
def test_the_size_of_the_blocks_changes_no_bit(cuts: list[int]) -> None:
    """Single samples, and blocks longer than what is worked on at once."""
    y = music(duration_s=3)
    np.testing.assert_array_equal(blockwise(y, cuts=tuple(sorted(cuts))), blockwise(y))


def librosas_tuning(power: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there are no peaks
        return float(librosa.estimate_tuning(S=power.T, sr=SAMPLE_RATE))


@given(seed=st.integers(0, 2**32 - 1), frames=st.integers(1, 60), even=st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_tuning_is_librosas_to_the_bit(seed: int, frames: int, even: bool) -> None:
    """Of spectra with peaks anywhere, and with many peaks of the same height."""
    rng = np.random.default_rng(seed)
    power = (rng.integers(0, 5, (frames, 1025)) if even else rng.exponential(1, (frames, 1025)) ** 4).astype(np.float32)
    estimate = TuningEstimate(sr=SAMPLE_RATE)
    for part in np.array_split(power, 3):
        if len(part):
            estimate.add(part)
    assert estimate.tuning() == librosas_tuning(power)


def test_the_tuning_of_a_song_with_too_many_peaks_for_the_memory_is_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They go to a file without a name, of which nothing is left."""
    monkeypatch.setattr(tuning_module, "_IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr(tuning_module, "_CHUNK_PEAKS", 100)
    monkeypatch.setattr(tuning_module.tempfile, "tempdir", str(tmp_path))
    power = np.random.default_rng(0).exponential(1, (300, 1025)).astype(np.float32)
    estimate = TuningEstimate(sr=SAMPLE_RATE)
    estimate.add(power)
    assert list(tmp_path.iterdir()) == []
    assert estimate.tuning() == librosas_tuning(power)
    assert list(tmp_path.iterdir()) == []


def test_no_samples_are_refused() -> None:
    """Rather than given a mean over nothing."""
    with pytest.raises(UnusableAudioError, match="there is no sample"):
        BlockwiseFeatures().rewind()


def test_features_are_not_told_before_the_song_has_ended() -> None:
    """The tuning would be a guess."""
    measured = BlockwiseFeatures()
    measured.add(noise())
    with pytest.raises(UnusableAudioError, match="has not ended"):
        measured.finish()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_have_no_features(value: float) -> None:
    """Whose means are named."""
    y = noise()
    y[9000] = value
    with pytest.raises(UnusableAudioError, match=r"chroma_stft, rms, .* not finite"):
        blockwise(y)

"""Patches of known sounds, and where in a song they are taken from."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnai.audio import mel
from dnai.audio.decode import SAMPLE_RATE
from dnai.audio.mel import MEL_SAMPLE_RATE, N_MELS, PATCH_FRAMES, PatchCutter, log_mel, spread_patches
from dnai.errors import UnusableAudioError


def noise(duration_s: float) -> np.ndarray:
    """Seeded noise at the rate of decoded songs."""
    rng = np.random.default_rng(0)
    return rng.uniform(-0.5, 0.5, round(duration_s * SAMPLE_RATE)).astype(np.float32)


def whole_spectrum(y: np.ndarray) -> np.ndarray:
    """The spectrum of the whole song, resampled at once."""
    return log_mel(librosa.resample(y, orig_sr=SAMPLE_RATE, target_sr=MEL_SAMPLE_RATE))


def test_the_band_of_a_sine_is_the_loudest() -> None:
    """2 kHz lies in the band whose filter is highest there, in every frame."""
    t = np.arange(2 * MEL_SAMPLE_RATE) / MEL_SAMPLE_RATE
    spectrum = log_mel(0.5 * np.sin(2 * np.pi * 2000 * t))
    filters = librosa.filters.mel(sr=MEL_SAMPLE_RATE, n_fft=512, n_mels=N_MELS)
    assert spectrum.shape == (1 + len(t) // 256, N_MELS)
    assert set(spectrum[1:-1].argmax(axis=1)) == {int(filters[:, 2000 * 512 // MEL_SAMPLE_RATE].argmax())}


def test_ten_times_the_amplitude_is_two_more() -> None:
    """A hundred times the power, where it is far above the 1 inside the logarithm."""
    y = np.random.default_rng(0).standard_normal(MEL_SAMPLE_RATE)
    np.testing.assert_allclose(log_mel(10 * y) - log_mel(y), 2, atol=0.01)


@pytest.mark.parametrize("duration_s", [3.0, 3.1, 9.0, 29.97, 31.4, 75.123])
def test_patches_are_pieces_of_the_spectrum_of_the_whole_song(duration_s: float) -> None:
    """Cutting first and resampling the cuts gives the same numbers, at both ends of the song, too."""
    y = noise(duration_s)
    spectrum = whole_spectrum(y)
    patches = spread_patches(y, count=10)
    starts = mel._patch_starts(len(spectrum), 10)
    assert len(patches) == len(starts)
    np.testing.assert_allclose(patches, [spectrum[start : start + PATCH_FRAMES] for start in starts], atol=1e-4)


@given(cuts=st.lists(st.integers(1, 20 * SAMPLE_RATE), max_size=30), duration_s=st.sampled_from([0.2, 2.9, 7, 20]))
@settings(max_examples=30, deadline=None)
def test_patches_of_a_song_in_blocks_are_those_of_the_whole(cuts: list[int], duration_s: float) -> None:
    """To the bit, wherever the blocks begin and end."""
    y = noise(duration_s)
    cutter = PatchCutter(len(y), count=3)
    for block in np.split(y, sorted(cut for cut in cuts if cut < len(y))):
        cutter.add(block)
    np.testing.assert_array_equal(cutter.patches(), spread_patches(y, count=3))


@pytest.mark.parametrize("samples", [1, 22_050, 66_149, 66_150, 66_151, 1_000_003])
def test_the_frames_of_the_whole_song_are_counted_without_making_them(samples: int) -> None:
    """As many as `log_mel` gives for the resampled song."""
    assert mel._frames(samples) == len(whole_spectrum(noise(samples / SAMPLE_RATE)))


@given(frames=st.integers(PATCH_FRAMES, 10**6), count=st.integers(1, 30))
def test_patches_lie_in_the_song_apart_from_each_other_and_evenly(frames: int, count: int) -> None:
    """As many as fit, at most `count`; spread from the first frame to the last where more would fit."""
    starts = mel._patch_starts(frames, count)
    assert len(starts) == min(count, frames // PATCH_FRAMES)
    assert starts[0] == 0
    assert starts[-1] + PATCH_FRAMES <= frames
    gaps = np.diff(starts)
    assert (gaps >= PATCH_FRAMES).all()
    assert not len(gaps) or gaps.max() - gaps.min() <= 1
    if 1 < count < frames // PATCH_FRAMES:
        assert starts[-1] + PATCH_FRAMES == frames


def test_an_hour_touches_no_more_samples_than_two_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is resampled is counted; nothing else reads the song."""
    touched: list[int] = []
    resample = mel._resample

    def counting(y: np.ndarray) -> np.ndarray:
        touched.append(len(y))
        return resample(y)

    monkeypatch.setattr(mel, "_resample", counting)
    sums = []
    for duration_s in (120, 3600):
        touched.clear()
        song = np.broadcast_to(np.float32(0.1), duration_s * SAMPLE_RATE)
        assert len(spread_patches(song, count=10)) == 10
        sums.append(sum(touched))
    assert sums[1] <= 1.01 * sums[0]
    assert sums[1] <= 10 * 3.2 * SAMPLE_RATE


@pytest.mark.parametrize("duration_s", [1 / SAMPLE_RATE, 0.1, 0.3, 1.0, 2.0, 2.9])
def test_a_short_sound_fills_one_patch(duration_s: float) -> None:
    """Repeated from its beginning: the patch begins as the sound does, and is nowhere silent."""
    y = noise(duration_s)
    [patch] = spread_patches(y, count=10)
    assert np.isfinite(patch).all()
    heard = max(0, int(duration_s * MEL_SAMPLE_RATE / 256) - 2)
    np.testing.assert_allclose(patch[:heard], whole_spectrum(y)[:heard], atol=0.02)
    if duration_s >= 0.1:
        assert patch.mean(axis=1).min() > 0.5 * patch.mean()


def test_silence_is_zero() -> None:
    """A number, not minus infinity."""
    patches = spread_patches(np.zeros(10 * SAMPLE_RATE, dtype=np.float32), count=10)
    np.testing.assert_array_equal(patches, np.zeros((3, PATCH_FRAMES, N_MELS)))


@pytest.mark.parametrize("shape", [(0,), (2, 22_050), ()])
def test_what_is_no_row_of_samples_is_refused(shape: tuple[int, ...]) -> None:
    """With its shape."""
    with pytest.raises(UnusableAudioError, match="one row of samples"):
        spread_patches(np.zeros(shape, dtype=np.float32), count=10)

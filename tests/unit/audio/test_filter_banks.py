"""The filter banks are librosa's."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.signal

from dnai.audio.filter_banks import chroma_bank, hann_window, mel_bank


@pytest.mark.parametrize("n_fft", [512, 2048])
def test_the_window_is_scipys(n_fft: int) -> None:
    """To the bit."""
    np.testing.assert_array_equal(hann_window(n_fft), scipy.signal.get_window("hann", n_fft))


@pytest.mark.parametrize(("sr", "n_fft", "n_mels"), [(22_050, 2048, 128), (16_000, 512, 96), (1_900, 256, 8)])
def test_mel_bands_are_librosas(sr: int, n_fft: int, n_mels: int) -> None:
    """Those of both feature spaces, and of a rate below the bend of the scale."""
    np.testing.assert_array_equal(
        mel_bank(sr=sr, n_fft=n_fft, n_mels=n_mels), librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels)
    )


def test_pitch_classes_are_librosas_at_every_tuning() -> None:
    """All hundred that an estimate can give."""
    for tuning in np.linspace(-0.5, 0.5, 101)[:-1]:
        np.testing.assert_array_equal(
            chroma_bank(sr=22_050, n_fft=2048, tuning=float(tuning)),
            librosa.filters.chroma(sr=22_050, n_fft=2048, tuning=float(tuning)),
        )

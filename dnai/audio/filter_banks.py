"""The filters that sum a spectrum up: bands of the mel scale, and the twelve pitch classes.

Source: librosa's ``filters.mel`` and ``filters.chroma`` with their defaults, and equal to them to the
bit (``tests/unit/audio/test_filter_banks.py``). They are worked out here because librosa needs 120 MB
and three seconds to load, which every process that scans would pay for two tables.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

N_CHROMA: Final = 12
_A4_HZ: Final = 440.0
# The mel scale after Slaney: straight up to 1 kHz, from there on a factor of 6.4 for every 27 steps.
_LINEAR_STEP_HZ: Final = 200 / 3
_BEND_HZ: Final = 1000.0
_BEND_MEL: Final = _BEND_HZ / _LINEAR_STEP_HZ
_LOG_STEP: Final = np.log(6.4) / 27


def hann_window(n_fft: int) -> NDArray[np.float64]:
    """Return the periodic Hann window, shape ``(n_fft,)``."""
    return 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, n_fft + 1)[:-1])


def mel_bank(*, sr: int, n_fft: int, n_mels: int) -> NDArray[np.float32]:
    """Return triangles of equal area on the mel scale, shape ``(n_mels, 1 + n_fft // 2)``."""
    corners_hz = _mel_to_hz(np.linspace(0.0, _hz_to_mel(sr / 2), n_mels + 2))
    widths = np.diff(corners_hz)[:, np.newaxis]
    distances = corners_hz[:, np.newaxis] - np.fft.rfftfreq(n_fft, 1 / sr)
    rising, falling = -distances[:-2] / widths[:-1], distances[2:] / widths[1:]
    bank = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    bank *= (2 / (corners_hz[2:] - corners_hz[:-2]))[:, np.newaxis]
    return bank


def chroma_bank(*, sr: int, n_fft: int, tuning: float) -> NDArray[np.float32]:
    """Return how much of each bin belongs to each pitch class, shape ``(12, 1 + n_fft // 2)``, C first.

    Parameters
    ----------
    tuning
        How far the music's A lies from 440 Hz, in semitones.
    """
    # One bin beyond the last tells how wide the last is.
    bins_hz = np.linspace(0, sr, n_fft, endpoint=False)[1 : n_fft // 2 + 2]
    pitches = N_CHROMA * np.log2(bins_hz / (_A4_HZ * 2 ** (tuning / N_CHROMA) / 16))
    # 0 Hz has no pitch: it is put one and a half octaves below the first bin, and spread over all classes.
    pitches = np.concatenate(([pitches[0] - 1.5 * N_CHROMA], pitches))
    widths = np.maximum(np.diff(pitches), 1.0)
    pitches = pitches[:-1]
    half = N_CHROMA / 2
    # librosa counts from ten octaves higher up, which decides how the distances are rounded.
    distances = np.remainder(np.subtract.outer(pitches, np.arange(N_CHROMA)).T + half + 10 * N_CHROMA, N_CHROMA) - half
    bank = np.exp(-0.5 * (2 * distances / widths) ** 2)
    bank /= np.sqrt((bank**2).sum(axis=0))
    bank *= np.exp(-0.5 * ((pitches / N_CHROMA - 5) / 2) ** 2)
    return np.ascontiguousarray(np.roll(bank, -3, axis=0), dtype=np.float32)


def _hz_to_mel(frequency_hz: float) -> float:
    if frequency_hz < _BEND_HZ:
        return frequency_hz / _LINEAR_STEP_HZ
    return float(_BEND_MEL + np.log(frequency_hz / _BEND_HZ) / _LOG_STEP)


def _mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < _BEND_MEL, _LINEAR_STEP_HZ * mels, _BEND_HZ * np.exp(_LOG_STEP * (mels - _BEND_MEL)))

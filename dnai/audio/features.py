"""The 26 features of a track with librosa's own calls: means over frames of what librosa measures.

It is what the features are; `dnai.audio.blockwise` measures the same in a fraction of the time, and is what scans
use.

Source: librosa's `feature` module with its defaults, at 22,050 Hz with frames of 2,048 samples,
512 apart. One short-time spectrum serves all the features that need one, which changes no bit of
the result (see ``tests/unit/audio/test_features.py``).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import librosa
import numpy as np
from numpy.typing import NDArray

from dnai.audio.blockwise import BlockwiseFeatures
from dnai.audio.decode import SAMPLE_RATE
from dnai.audio.definition import FEATURE_DEFINITION as FEATURE_DEFINITION
from dnai.audio.definition import FEATURE_NAMES as FEATURE_NAMES
from dnai.audio.definition import N_MFCC as N_MFCC
from dnai.audio.frames import HOP_LENGTH as HOP_LENGTH
from dnai.audio.frames import N_FFT as N_FFT
from dnai.errors import UnusableAudioError


def extract_features(y: NDArray[np.float32], *, sr: int = SAMPLE_RATE) -> NDArray[np.float64]:
    """Return the 26 features of mono samples, in the order of `FEATURE_NAMES`.

    Parameters
    ----------
    y
        Samples, shape ``(n,)``.
    sr
        Samples a second; the model knows `SAMPLE_RATE` only.

    Returns
    -------
    NDArray
        Shape ``(26,)``. Chroma and the zero-crossing rate are shares (0 to 1), RMS is an amplitude,
        centroid, bandwidth and roll-off are in hertz, MFCCs are in decibels of the mel spectrum.

    Raises
    ------
    UnusableAudioError
        When `y` is not a row of at least one sample, or a mean is not finite.
    """
    if y.ndim != 1 or not len(y):
        raise UnusableAudioError(f"features are measured on one row of samples, not on shape {y.shape}")
    with _expected_warnings():
        features = _measure(y, sr)
    if not np.isfinite(features).all():
        broken = [name for name, value in zip(FEATURE_NAMES, features, strict=True) if not np.isfinite(value)]
        raise UnusableAudioError(f"nothing can be measured: {', '.join(broken)} not finite")
    return features


def _measure(y: NDArray[np.float32], sr: int) -> NDArray[np.float64]:
    S = np.abs(librosa.stft(y, n_fft=N_FFT, hop_length=HOP_LENGTH))
    P = S**2
    centroid_hz = librosa.feature.spectral_centroid(S=S, sr=sr)
    mel_db = librosa.power_to_db(librosa.feature.melspectrogram(S=P, sr=sr))
    rows = (
        librosa.feature.chroma_stft(S=P, sr=sr),
        librosa.feature.rms(y=y, frame_length=N_FFT, hop_length=HOP_LENGTH),
        centroid_hz,
        librosa.feature.spectral_bandwidth(S=S, sr=sr, centroid=centroid_hz),
        librosa.feature.spectral_rolloff(S=S, sr=sr),
        librosa.feature.zero_crossing_rate(y, frame_length=N_FFT, hop_length=HOP_LENGTH),
    )
    mfcc = librosa.feature.mfcc(S=mel_db, n_mfcc=N_MFCC)
    return np.array([*(row.mean() for row in rows), *mfcc.mean(axis=1)], dtype=np.float64)


@contextmanager
def _expected_warnings() -> Iterator[None]:
    """Keep to itself what librosa says of very short and toneless sounds, whose numbers are right."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=.* is too large for input signal")
        warnings.filterwarnings("ignore", message="Trying to estimate tuning from empty frequency set")
        yield


def warm_up() -> None:
    """Measure a second of noise, so that the first song finds all that it needs loaded; nothing is compiled."""
    measured = BlockwiseFeatures()
    measured.add(np.random.default_rng(0).uniform(-0.5, 0.5, SAMPLE_RATE).astype(np.float32))
    measured.rewind()
    measured.finish()

"""The 26 features of a track: means over frames of what librosa measures.

Source: librosa's `feature` module with its defaults, at 22,050 Hz with frames of 2,048 samples,
512 apart. One short-time spectrum serves all the features that need one, which changes no bit of
the result (see ``tests/unit/audio/test_features.py``).
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import librosa
import numpy as np
from numpy.typing import NDArray

from dnai.audio.decode import SAMPLE_RATE
from dnai.errors import UnusableAudioError

_log = logging.getLogger(__name__)

N_FFT: Final = 2048
HOP_LENGTH: Final = 512
N_MFCC: Final = 20

FEATURE_NAMES: Final[tuple[str, ...]] = (
    "chroma_stft",
    "rms",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
    *(f"mfcc{i}" for i in range(1, N_MFCC + 1)),
)

FEATURE_DEFINITION: Final = (
    f"librosa means; sr={SAMPLE_RATE} mono; n_fft={N_FFT}; hop_length={HOP_LENGTH}; " + ",".join(FEATURE_NAMES)
)
"""What the numbers are, in words; part of a feature space's id."""


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
    """Analyse a second of noise, so that what is compiled on first use is compiled; up to half a minute once.

    Only one process of a user does so at a time: Numba's cache does not survive two that fill it at
    once, and one of them may crash. The others then load what the first has compiled.
    """
    with _alone():
        extract_features(np.random.default_rng(0).uniform(-0.5, 0.5, SAMPLE_RATE).astype(np.float32))


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for other processes of this user; without a place for the lock, go on."""
    path = Path(tempfile.gettempdir(), f"dnai-warm-up-{os.getuid()}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        _log.info("no lock at %s (%s)", path, error.strerror)
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""What the 26 features of a track are, in words."""

from __future__ import annotations

from typing import Final

from dnai.audio.decode import SAMPLE_RATE
from dnai.audio.frames import HOP_LENGTH, N_FFT

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
"""What the numbers are; part of a feature space's id."""

"""What the pretrained network hears: log-mel patches of three seconds, spread over a song.

Source: the `musicnn` package (its ``configuration.py`` and ``extractor.py``), whose networks were
trained on 187 frames by 96 mel bands of sound at 16 kHz.
"""

from __future__ import annotations

import warnings
from typing import Final

import librosa
import numpy as np
from numpy.typing import NDArray

from dnai.audio.decode import SAMPLE_RATE
from dnai.errors import UnusableAudioError

MEL_SAMPLE_RATE: Final = 16_000
N_FFT: Final = 512
HOP_LENGTH: Final = 256
N_MELS: Final = 96
COMPRESSION: Final = 10_000
PATCH_FRAMES: Final = 187
"""Frames of one patch: 3 seconds."""

RESAMPLER: Final = "soxr_hq"

PATCH_DEFINITION: Final = (
    f"log10({COMPRESSION}*mel+1); sr={MEL_SAMPLE_RATE} mono, {RESAMPLER} from {SAMPLE_RATE}; n_fft={N_FFT}; "
    f"hop_length={HOP_LENGTH}; n_mels={N_MELS}; patches of {PATCH_FRAMES} frames, none overlapping another, "
    "spread evenly from the first frame to the last, one after the other where no more fit; "
    "a sound shorter than a patch is repeated"
)
"""How a song becomes patches, in words; part of a feature space's id. Only their number is left open."""

_PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP_LENGTH + N_FFT
# So many samples of the two rates last equally long, 20 ms: cuts at their multiples need no shift.
_BLOCK = SAMPLE_RATE // 50
_MEL_BLOCK = MEL_SAMPLE_RATE // 50
# The resampler's filter is shorter than these: what lies further away changes no sample of the patch.
_MARGIN_BLOCKS = 2


def log_mel(y16k: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the log-mel spectrum of samples at 16 kHz: ``log10(10000 * mel + 1)``.

    Parameters
    ----------
    y16k
        Mono samples at `MEL_SAMPLE_RATE`, shape ``(n,)``.

    Returns
    -------
    NDArray
        Shape ``(frames, 96)``, where ``frames = 1 + n // 256``; frame ``i`` is centred on sample ``256 * i``.
    """
    return _compress(y16k, center=True)


def spread_patches(y: NDArray[np.float32], *, count: int) -> NDArray[np.float32]:
    """Return patches of a song, at most `count`, none overlapping another.

    A patch equals the same frames of `log_mel` of the whole song at 16 kHz; but only the stretches that
    the patches need are resampled, so that an hour costs what a minute costs.

    Where more than `count` fit, they are spread evenly from the first frame to the last; else
    they stand one after the other from the first frame on. A sound shorter than a patch is repeated
    until it fills one, as the network was trained on patches full of music.

    Parameters
    ----------
    y
        Mono samples at `dnai.audio.decode.SAMPLE_RATE`, shape ``(n,)``.
    count
        The most patches to return.

    Returns
    -------
    NDArray
        Shape ``(p, 187, 96)``, ``1 <= p <= count``.

    Raises
    ------
    UnusableAudioError
        When `y` is not a row of at least one sample, or a sample of a patch is not finite.
    """
    if y.ndim != 1 or not len(y):
        raise UnusableAudioError(f"patches are cut from one row of samples, not from shape {y.shape}")
    if _frames(len(y)) < PATCH_FRAMES:
        y = np.resize(y, -(-_PATCH_SAMPLES // _MEL_BLOCK) * _BLOCK)
    starts = _patch_starts(_frames(len(y)), count)
    stretches = np.stack([_cut(y, int(start) * HOP_LENGTH - N_FFT // 2) for start in starts])
    return _compress(stretches, center=False)


def _frames(samples: int) -> int:
    """How many frames `log_mel` gives for so many samples at `SAMPLE_RATE`."""
    return 1 + -(-samples * MEL_SAMPLE_RATE // SAMPLE_RATE) // HOP_LENGTH


def _patch_starts(frames: int, count: int) -> NDArray[np.int64]:
    fitting = frames // PATCH_FRAMES
    if fitting <= count:
        return np.arange(fitting) * PATCH_FRAMES
    return np.linspace(0, frames - PATCH_FRAMES, count).astype(np.int64)


def _cut(y: NDArray[np.float32], start: int) -> NDArray[np.float32]:
    """The samples at 16 kHz of the patch that begins at sample `start` of 16 kHz; zeros beyond both ends."""
    first_block = max(0, start // _MEL_BLOCK - _MARGIN_BLOCKS)
    end_block = -(-(start + _PATCH_SAMPLES) // _MEL_BLOCK) + _MARGIN_BLOCKS
    stretch = y[first_block * _BLOCK : end_block * _BLOCK]
    if not np.isfinite(stretch).all():
        raise UnusableAudioError("nothing can be measured: some samples are not finite numbers")
    resampled = librosa.resample(stretch, orig_sr=SAMPLE_RATE, target_sr=MEL_SAMPLE_RATE, res_type=RESAMPLER)
    offset = first_block * _MEL_BLOCK - start
    known = resampled[max(0, -offset) :][: _PATCH_SAMPLES - max(0, offset)]
    samples = np.zeros(_PATCH_SAMPLES, dtype=np.float32)
    samples[max(0, offset) :][: len(known)] = known
    return samples


def _compress(y16k: NDArray[np.floating], *, center: bool) -> NDArray[np.float32]:
    """The log-mel spectra of rows of samples, ``(…, n)`` → ``(…, frames, 96)``."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=.* is too large for input signal")
        power = librosa.feature.melspectrogram(
            y=y16k, sr=MEL_SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS, center=center
        )
    compressed: NDArray[np.float32] = np.log10(COMPRESSION * power + 1).astype(np.float32)
    return np.ascontiguousarray(np.swapaxes(compressed, -1, -2))

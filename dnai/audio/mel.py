"""What the pretrained network hears: log-mel patches of three seconds, spread over a song.

Source: the `musicnn` package (its ``configuration.py`` and ``extractor.py``), whose networks were
trained on 187 frames by 96 mel bands of sound at 16 kHz.
"""

from __future__ import annotations

import warnings
from typing import Final

import librosa
import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dnai.audio.decode import SAMPLE_RATE
from dnai.audio.filter_banks import hann_window, mel_bank
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
    """Return the log-mel spectrum of samples at 16 kHz, ``log10(10000 * mel + 1)``, with librosa's own calls.

    It says what patches are pieces of; they are cut without librosa, which takes long to load.

    Parameters
    ----------
    y16k
        Mono samples at `MEL_SAMPLE_RATE`, shape ``(n,)``.

    Returns
    -------
    NDArray
        Shape ``(frames, 96)``, where ``frames = 1 + n // 256``; frame ``i`` is centred on sample ``256 * i``.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=.* is too large for input signal")
        power = librosa.feature.melspectrogram(
            y=y16k, sr=MEL_SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS
        )
    return np.ascontiguousarray(_compress(power).T)


def spread_patches(y: NDArray[np.float32], *, count: int) -> NDArray[np.float32]:
    """Return the patches of a whole song, as `PatchCutter` cuts them.

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
    if y.ndim != 1:
        raise UnusableAudioError(f"patches are cut from one row of samples, not from shape {y.shape}")
    cutter = PatchCutter(len(y), count=count)
    cutter.add(y)
    return cutter.patches()


class PatchCutter:
    """Cuts patches, none overlapping another, out of a song that comes in blocks.

    A patch equals the same frames of `log_mel` of the whole song at 16 kHz; but only the stretches that
    the patches need are held and resampled, so that an hour costs what a minute costs.

    Where more than `count` fit, they are spread evenly from the first frame to the last; else
    they stand one after the other from the first frame on. A sound shorter than a patch is repeated
    until it fills one, as the network was trained on patches full of music.

    Parameters
    ----------
    samples
        How many samples the song has.
    count
        The most patches.

    Raises
    ------
    UnusableAudioError
        When there is no sample.
    """

    def __init__(self, samples: int, *, count: int) -> None:
        if samples < 1:
            raise UnusableAudioError("patches are cut from one row of samples, not from shape (0,)")
        self._is_short = _frames(samples) < PATCH_FRAMES
        starts = [0] if self._is_short else [int(start) for start in _patch_starts(_frames(samples), count)]
        self._stretches = [_Stretch(start * HOP_LENGTH - N_FFT // 2, samples) for start in starts]
        self._passed = 0

    def add(self, y: NDArray[np.float32]) -> None:
        """Take what is needed of the next samples, shape ``(n,)``."""
        for stretch in self._stretches:
            stretch.take(y, at=self._passed)
        self._passed += len(y)

    def patches(self) -> NDArray[np.float32]:
        """Return the patches, shape ``(p, 187, 96)``, ``1 <= p <= count``.

        Raises
        ------
        UnusableAudioError
            When a sample of a patch is not finite.
        """
        bank = mel_bank(sr=MEL_SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS)
        if self._is_short:
            (only,) = self._stretches
            only.repeat()
        return np.stack([_log_mel_of(stretch.resample(), bank) for stretch in self._stretches])


class _Stretch:
    """The samples that one patch needs; `start` is its first sample at 16 kHz, which may be before the song's."""

    def __init__(self, start: int, samples: int) -> None:
        first_block = max(0, start // _MEL_BLOCK - _MARGIN_BLOCKS)
        end_block = -(-(start + _PATCH_SAMPLES) // _MEL_BLOCK) + _MARGIN_BLOCKS
        self._first = first_block * _BLOCK
        self._y = np.zeros(min(samples, end_block * _BLOCK) - self._first, dtype=np.float32)
        self._offset = first_block * _MEL_BLOCK - start

    def take(self, y: NDArray[np.float32], *, at: int) -> None:
        """Keep what is needed of samples whose first is the song's sample `at`."""
        begin, end = max(at, self._first), min(at + len(y), self._first + len(self._y))
        if begin < end:
            self._y[begin - self._first : end - self._first] = y[begin - at : end - at]

    def repeat(self) -> None:
        """Repeat a song that is too short until it fills a patch."""
        self._y = np.resize(self._y, -(-_PATCH_SAMPLES // _MEL_BLOCK) * _BLOCK)

    def resample(self) -> NDArray[np.float32]:
        """The patch's samples at 16 kHz; zeros beyond both ends of the song."""
        if not np.isfinite(self._y).all():
            raise UnusableAudioError("nothing can be measured: some samples are not finite numbers")
        resampled = _resample(self._y)
        known = resampled[max(0, -self._offset) :][: _PATCH_SAMPLES - max(0, self._offset)]
        samples = np.zeros(_PATCH_SAMPLES, dtype=np.float32)
        samples[max(0, self._offset) :][: len(known)] = known
        return samples


def _frames(samples: int) -> int:
    """How many frames `log_mel` gives for so many samples at `SAMPLE_RATE`."""
    return 1 + -(-samples * MEL_SAMPLE_RATE // SAMPLE_RATE) // HOP_LENGTH


def _patch_starts(frames: int, count: int) -> NDArray[np.int64]:
    fitting = frames // PATCH_FRAMES
    if fitting <= count:
        return np.arange(fitting) * PATCH_FRAMES
    return np.linspace(0, frames - PATCH_FRAMES, count).astype(np.int64)


def _resample(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """As librosa does, but without loading it: it needs seconds and 100 MB."""
    resampled: NDArray[np.float32] = soxr.resample(y, SAMPLE_RATE, MEL_SAMPLE_RATE, quality=RESAMPLER)
    missing = -(-len(y) * MEL_SAMPLE_RATE // SAMPLE_RATE) - len(resampled)
    return np.pad(resampled, (0, max(0, missing)))


def _log_mel_of(samples: NDArray[np.float32], bank: NDArray[np.float32]) -> NDArray[np.float32]:
    """The log-mel spectrum of frames none of which is beyond an end of `samples`, ``(frames, 96)``."""
    frames = sliding_window_view(samples, N_FFT)[::HOP_LENGTH]
    spectra = np.fft.rfft(frames * hann_window(N_FFT)).astype(np.complex64)
    return _compress(np.square(np.abs(spectra)) @ bank.T)


def _compress(power: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.log10(COMPRESSION * power + 1).astype(np.float32)

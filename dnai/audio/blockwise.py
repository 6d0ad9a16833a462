"""The 26 features of a song that is heard block by block, without librosa and without the whole song.

They are those of `dnai.audio.features.extract_features`, which says with librosa's own calls what they are,
to 1e-4 (``tests/unit/audio/test_blockwise.py``). What makes the difference in speed: blocks of spectra stay in the
processor's cache; one pass serves all features; means are summed up instead of kept in rows; and of the mel bands,
only their mean is turned into MFCCs, which is the same because that is linear.

Two things are known only when the song has ended: the tuning, which decides what belongs to which pitch
class, and the loudest band, 80 dB below which the mel spectrum is cut off. Until then the power spectra
of up to `HELD_FRAMES` are held; a longer song is heard once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from dnai.audio.decode import SAMPLE_RATE
from dnai.audio.definition import FEATURE_NAMES, N_MFCC
from dnai.audio.filter_banks import N_CHROMA, chroma_bank, hann_window, mel_bank
from dnai.audio.frames import BLOCK_FRAMES, HOP_LENGTH, HOPS, N_FFT, FrameBlock, Framer
from dnai.audio.tuning import TuningEstimate
from dnai.errors import UnusableAudioError

HELD_FRAMES: Final = 6 * 60 * SAMPLE_RATE // HOP_LENGTH
"""Spectra of so many frames are held, 71 MB: six minutes. Longer songs need a second pass."""

N_MELS: Final = 128
_BINS: Final = N_FFT // 2 + 1
_BIN_HZ: Final = SAMPLE_RATE / N_FFT
_ROLL_PERCENT: Final = np.float32(0.85)
_AMIN: Final = np.float32(1e-10)
_TOP_DB: Final = np.float32(80.0)
_TINY: Final = float(np.finfo(np.float32).tiny)
_BANDS_AT_ONCE = 16
_GROUP: Final = 25
"""The bins are divided into 41 groups of so many."""
_ROUNDING: Final = 2.0**-24
"""The most that rounding changes a float32, as a share of it."""

_Number = TypeVar("_Number", np.float64, np.int64)


class BlockwiseFeatures:
    """Measures the 26 features of one song: `add` all of it, ask `rewind`, perhaps `add` all of it again, `finish`.

    Parameters
    ----------
    held_frames
        The most frames whose spectra are held.
    """

    def __init__(self, *, held_frames: int = HELD_FRAMES) -> None:
        self._framer = Framer()
        self._spectra = _Spectra()
        self._sums = _Sums()
        self._tuning = TuningEstimate(sr=SAMPLE_RATE)
        self._mel = _MelBands()
        self._held: list[_Powers] | None = []
        self._held_frames = held_frames
        self._loudest = np.float32(0)
        self._second: _SecondPass | None = None

    def add(self, y: NDArray[np.float32]) -> None:
        """Hear the next samples, shape ``(n,)``, at `dnai.audio.decode.SAMPLE_RATE`."""
        with _quiet():
            for block in self._framer.add(y):
                self._hear(block)

    def rewind(self) -> bool:
        """Be told that the song is over; return whether all of it must be heard once more.

        Raises
        ------
        UnusableAudioError
            When there was no sample.
        """
        if not self._framer.samples:
            raise UnusableAudioError("nothing can be measured: there is no sample")
        self._end_pass()
        self._framer = Framer()
        self._second = _SecondPass(tuning=self._tuning.tuning(), loudest=self._loudest)
        for powers in self._held or ():
            self._second.add(powers)
        is_wanted = self._held is None
        self._held = []
        return is_wanted

    def finish(self) -> NDArray[np.float64]:
        """Return the features, shape ``(26,)``, in the order of `dnai.audio.definition.FEATURE_NAMES`.

        Raises
        ------
        UnusableAudioError
            When a mean is not finite.
        """
        if self._second is None:
            raise UnusableAudioError("nothing can be measured: the song has not ended")
        if self._framer.samples:
            self._end_pass()
        features = self._second.means(self._sums)
        if not np.isfinite(features).all():
            broken = [name for name, value in zip(FEATURE_NAMES, features, strict=True) if not np.isfinite(value)]
            raise UnusableAudioError(f"nothing can be measured: {', '.join(broken)} not finite")
        return features

    def _end_pass(self) -> None:
        with _quiet():
            for block in self._framer.finish():
                self._hear(block)

    def _hear(self, block: FrameBlock) -> None:
        magnitudes, bins = self._spectra.of(block.frames)
        powers = _Powers(bins, self._mel.of(bins))
        if self._second is not None:
            self._second.add(powers)
            return
        self._sums.add(block, magnitudes)
        self._tuning.add(bins)
        self._loudest = max(self._loudest, powers.mel.max())
        if self._held is not None:
            self._held.append(powers)
            if self._sums.frames > self._held_frames:
                self._held = None


@dataclass(frozen=True, slots=True)
class _Powers:
    """Power spectra ``(frames, 1025)`` and their mel bands ``(frames, 128)``."""

    bins: NDArray[np.float32]
    mel: NDArray[np.float32]


class _Spectra:
    """Short-time spectra, calculated and rounded as librosa does: float64, then float32."""

    def __init__(self) -> None:
        self._window = hann_window(N_FFT)
        self._windowed = np.empty((BLOCK_FRAMES, N_FFT))
        self._spectrum = np.empty((BLOCK_FRAMES, _BINS), dtype=np.complex128)
        self._rounded = np.empty((BLOCK_FRAMES, _BINS), dtype=np.complex64)
        self._magnitudes = np.empty((BLOCK_FRAMES, _BINS), dtype=np.float32)

    def of(self, frames: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return magnitudes, overwritten by the next call, and powers, each of shape ``(frames, 1025)``."""
        count = len(frames)
        windowed = np.multiply(frames, self._window, out=self._windowed[:count])
        self._rounded[:count] = np.fft.rfft(windowed, out=self._spectrum[:count])
        magnitudes = np.abs(self._rounded[:count], out=self._magnitudes[:count])
        return magnitudes, np.square(magnitudes)


class _MelBands:
    """The mel bands of power spectra; a handful of neighbours at once, which share a few bins."""

    def __init__(self) -> None:
        bank = mel_bank(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS)
        self._parts: list[tuple[slice, slice, NDArray[np.float32]]] = []
        for first in range(0, N_MELS, _BANDS_AT_ONCE):
            bands = slice(first, first + _BANDS_AT_ONCE)
            used = np.flatnonzero(bank[bands].any(axis=0))
            bins = slice(int(used[0]), int(used[-1]) + 1)
            self._parts.append((bands, bins, np.ascontiguousarray(bank[bands, bins].T)))

    def of(self, powers: NDArray[np.float32]) -> NDArray[np.float32]:
        mel = np.empty((len(powers), N_MELS), dtype=np.float32)
        for bands, bins, weights in self._parts:
            np.matmul(powers[:, bins], weights, out=mel[:, bands])
        return mel


class _Sums:
    """Sums over the frames of a song of what needs no more than the frame."""

    def __init__(self) -> None:
        self.frames = 0
        self._rms = 0.0
        self._centroid_hz = 0.0
        self._bandwidth_hz = 0.0
        self._rolloff_bins = 0
        self._crossings = 0
        bins = np.arange(_BINS, dtype=np.float64)
        self._moments = np.stack([np.ones(_BINS), bins, bins**2], axis=1)
        self._precise = np.empty((BLOCK_FRAMES, _BINS))

    def add(self, block: FrameBlock, magnitudes: NDArray[np.float32]) -> None:
        self.frames += len(magnitudes)
        precise = self._precise[: len(magnitudes)]
        precise[:] = magnitudes
        total, first, second = (precise @ self._moments).T
        self._add_shape(total, first, second)
        self._add_rolloff(magnitudes, first)
        energies = np.einsum("hs,hs->h", block.hops, block.hops)
        self._rms += float(np.sqrt(_over_frames(energies) / N_FFT).sum(dtype=np.float64))
        # A frame's first sample is compared with none.
        crossings = _over_frames(_count(block.is_crossing))
        self._crossings += int(crossings.sum() - np.count_nonzero(block.is_crossing[: len(magnitudes), 0]))

    def means(self) -> NDArray[np.float64]:
        """RMS, centroid, bandwidth, roll-off and zero-crossing rate."""
        sums = (
            self._rms,
            self._centroid_hz,
            self._bandwidth_hz,
            self._rolloff_bins * _BIN_HZ,
            self._crossings / N_FFT,
        )
        return np.array(sums) / self.frames

    def _add_shape(self, total: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        """Centroid and bandwidth from the moments of the spectra over their bins."""
        # As librosa does: what is next to nothing stays as it is.
        norm = np.where(total < _TINY, 1.0, total)
        centroid = first / norm
        variance = (second - 2 * centroid * first + centroid**2 * total) / norm
        self._centroid_hz += float(centroid.sum() * _BIN_HZ)
        self._bandwidth_hz += float(np.sqrt(np.maximum(variance, 0)).sum() * _BIN_HZ)

    def _add_rolloff(self, magnitudes: NDArray[np.float32], first: NDArray[np.float64]) -> None:
        bins, is_sure = _rolloff_bins(magnitudes, first)
        doubtful = magnitudes[~is_sure]
        if len(doubtful):
            bins[~is_sure] = _librosas_rolloff_bins(doubtful)
        self._rolloff_bins += int(bins.sum())


class _SecondPass:
    """What is measured when the tuning and the loudest mel band of the song are known."""

    def __init__(self, *, tuning: float, loudest: np.float32) -> None:
        self._classes = chroma_bank(sr=SAMPLE_RATE, n_fft=N_FFT, tuning=tuning).T
        self._floor_db = _decibels(loudest) - _TOP_DB
        self._chroma = 0.0
        self._mel_db = np.zeros(N_MELS)

    def add(self, powers: _Powers) -> None:
        raw = powers.bins @ self._classes
        strongest = raw.max(axis=1)
        strongest[strongest < _TINY] = 1
        self._chroma += float((raw.sum(axis=1) / strongest).sum(dtype=np.float64))
        self._mel_db += np.maximum(_decibels(powers.mel), self._floor_db).sum(axis=0, dtype=np.float64)

    def means(self, sums: _Sums) -> NDArray[np.float64]:
        """All 26, with those that were summed up in the first pass."""
        mfcc = _cosine_transform() @ (self._mel_db / sums.frames)
        return np.array([self._chroma / N_CHROMA / sums.frames, *sums.means(), *mfcc])


def _rolloff_bins(
    magnitudes: NDArray[np.float32], first: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The roll-off bin of each frame, and whether it is librosa's for sure; `first` are the first moments.

    librosa adds bin after bin in float32. Each sum is rounded by a share of itself, and with all of them up to 85 % of
    the last, the threshold; the sum of the sums of n numbers is n times their sum, less their first moment.
    """
    rows = np.arange(len(magnitudes))
    groups = magnitudes.reshape(len(magnitudes), -1, _GROUP)
    coarse = np.cumsum(groups @ np.ones(_GROUP, dtype=np.float32), axis=1, dtype=np.float64)
    threshold = float(_ROLL_PERCENT) * coarse[:, -1]
    group = (coarse >= threshold[:, np.newaxis]).argmax(axis=1)
    # How far each sum in the group that crosses the threshold, and the one before the group, are above it.
    above = np.zeros((len(rows), 1 + _GROUP))
    np.cumsum(groups[rows, group], axis=1, out=above[:, 1:])
    above += (coarse[rows, group] - above[:, -1] - threshold)[:, np.newaxis]
    bins = group * _GROUP + (above[:, 1:] >= 0).argmax(axis=1)
    total = coarse[:, -1]
    rounded_away = _ROUNDING * (float(_ROLL_PERCENT) * ((_BINS + bins + 1) * total - first) + 2 * _GROUP * total)
    return bins, np.abs(above).min(axis=1) > rounded_away


def _librosas_rolloff_bins(magnitudes: NDArray[np.float32]) -> NDArray[np.int64]:
    """The same to the bit: one after the other in float32."""
    cumulated = np.cumsum(magnitudes, axis=1)
    bins: NDArray[np.int64] = (cumulated >= _ROLL_PERCENT * cumulated[:, -1:]).argmax(axis=1)
    return bins


def _quiet() -> np.errstate:
    """What is not finite is found in the means, and said there."""
    return np.errstate(invalid="ignore", over="ignore")


def _over_frames(hops: NDArray[_Number]) -> NDArray[_Number]:
    """Sums over the hops of each frame."""
    count = len(hops) - HOPS + 1
    sums: NDArray[_Number] = np.sum([hops[hop : hop + count] for hop in range(HOPS)], axis=0)
    return sums


def _count(is_set: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of each row of 512 are set: 8 of them are added up at once, as the bytes of a word."""
    words: NDArray[np.uint64] = is_set.view(np.uint64).sum(axis=1)
    counts: NDArray[np.int64] = words.view(np.uint8).reshape(-1, 8).sum(axis=1, dtype=np.int64)
    return counts


def _decibels(power: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    return np.float32(10) * np.log10(np.maximum(_AMIN, power))


def _cosine_transform() -> NDArray[np.float64]:
    """The first rows of the orthonormal discrete cosine transform of type 2, shape ``(20, 128)``."""
    angles = np.pi / N_MELS * np.outer(np.arange(N_MFCC), np.arange(N_MELS) + 0.5)
    rows: NDArray[np.float64] = np.sqrt(2 / N_MELS) * np.cos(angles)
    rows[0] /= np.sqrt(2)
    return rows

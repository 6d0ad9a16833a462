"""How far the music's A lies from 440 Hz, from the peaks of its spectra.

Source: librosa's ``estimate_tuning`` with its defaults, of a power spectrum, as ``chroma_stft`` asks for
it: the pitches of peaks at least as strong as the median peak are counted in hundredths of a semitone. The
answer is the same to the bit as long as the spectra are.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnai.audio.filter_banks import N_CHROMA
from dnai.audio.frames import N_FFT

_FMIN_HZ: Final = 150.0
_FMAX_HZ: Final = 4000.0
_THRESHOLD: Final = np.float32(0.1)
"""A peak is more than this share of the strongest bin of its frame."""
_EDGES: Final = np.linspace(-0.5, 0.5, 101)

_AT_ONCE = 1 << 13
_IN_MEMORY_BYTES = 1 << 23
_CHUNK_PEAKS = 1 << 18
_PEAK: Final = np.dtype([("magnitude", "<f4"), ("step", "u1")])
# Magnitudes are above zero: their bits, read as whole numbers, are in the same order.
_BUCKET_BITS = 16
_BUCKETS = 1 << (32 - _BUCKET_BITS)


class _Peaks(NamedTuple):
    """Some peaks: their bins, and the powers there and beside."""

    bins: NDArray[np.int64]
    left: NDArray[np.float32]
    middle: NDArray[np.float32]
    right: NDArray[np.float32]


class TuningEstimate:
    """Gathers the peaks of a song, five bytes each; more than 8 MB of them in a nameless temporary file.

    Parameters
    ----------
    sr
        Samples a second.
    """

    def __init__(self, *, sr: int) -> None:
        self._bin_hz = sr / N_FFT
        self._first = int(np.ceil(_FMIN_HZ / self._bin_hz))
        self._end = int(np.ceil(_FMAX_HZ / self._bin_hz))
        self._peaks = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  # closed with this
        weakref.finalize(self, self._peaks.close)
        self._count = 0
        self._waiting: list[_Peaks] = []
        self._waiting_count = 0

    def add(self, power: NDArray[np.float32]) -> None:
        """Note the peaks of power spectra, shape ``(frames, 1025)``, in one piece of memory."""
        is_strong = power[:, self._first : self._end] > _THRESHOLD * power.max(axis=1, keepdims=True)
        frame, offset = np.divmod(np.flatnonzero(is_strong), self._end - self._first)
        bins = offset + self._first
        at = frame * power.shape[1] + bins
        flat = power.reshape(-1)
        left, middle, right = flat[at - 1], flat[at], flat[at + 1]
        is_peak = (middle > left) & (middle >= right)
        found = _Peaks(bins[is_peak], left[is_peak], middle[is_peak], right[is_peak])
        self._waiting.append(found)
        self._waiting_count += len(found.bins)
        if self._waiting_count >= _AT_ONCE:
            self._note()

    def _note(self) -> None:
        """Work out the pitches of many peaks at once, which costs hardly more than those of a few."""
        bins, left, middle, right = map(np.concatenate, zip(*self._waiting, strict=True))
        shift = _parabolic_shift(left, middle, right)
        pitches_hz = ((bins + shift) * self._bin_hz).astype(np.float32)
        peaks = np.empty(len(bins), dtype=_PEAK)
        peaks["magnitude"] = middle + np.float32(0.5) * ((right - left) / np.float32(2)) * shift
        peaks["step"] = _steps_from_semitone(pitches_hz)
        self._peaks.write(peaks.tobytes())
        self._count += len(peaks)
        self._waiting.clear()
        self._waiting_count = 0

    def tuning(self) -> float:
        """Return the estimate in semitones, −0.5 to 0.49; 0 where there is no peak. No more peaks after that."""
        if self._waiting:
            self._note()
        with self._peaks:
            if not self._count:
                return 0.0
            threshold = self._median()
            counts = np.zeros(len(_EDGES) - 1, dtype=np.int64)
            for peaks in self._chunks():
                strong = peaks["step"][peaks["magnitude"] >= threshold]
                counts += np.bincount(strong, minlength=len(counts))
            return float(_EDGES[counts.argmax()])

    def _median(self) -> np.float32:
        """The median magnitude, which takes no more memory for a longer song."""
        in_bucket = np.zeros(_BUCKETS, dtype=np.int64)
        for peaks in self._chunks():
            in_bucket += np.bincount(_buckets(peaks), minlength=_BUCKETS)
        up_to = in_bucket.cumsum()
        ranks = np.array([(self._count - 1) // 2, self._count // 2])
        first, last = np.searchsorted(up_to, ranks, side="right")
        middle = np.concatenate([_within(peaks, int(first), int(last)) for peaks in self._chunks()])
        middle.sort()
        below = up_to[first - 1] if first else 0
        return np.float32(middle[ranks - below].mean(dtype=np.float32))

    def _chunks(self) -> Iterator[NDArray[np.void]]:
        self._peaks.seek(0)
        while content := self._peaks.read(_CHUNK_PEAKS * _PEAK.itemsize):
            yield np.frombuffer(content, dtype=_PEAK)


def _parabolic_shift(
    left: NDArray[np.float32], middle: NDArray[np.float32], right: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far from its bin the top of a parabola through three points lies, rounded where librosa rounds it."""
    curvature = (left + right).astype(np.float64) - 2 * middle.astype(np.float64)
    slope = (right - left).astype(np.float64) / 2
    shift = np.zeros(len(middle))
    np.divide(-slope, curvature, out=shift, where=np.abs(slope) < np.abs(curvature))
    return shift.astype(np.float32)


def _steps_from_semitone(pitches_hz: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Which of the hundred steps between two semitones each pitch is in; 50 is the semitone itself."""
    residual = np.mod(np.float32(N_CHROMA) * np.log2(pitches_hz / np.float32(440.0 / 16)), np.float32(1))
    residual[residual >= 0.5] -= 1
    steps: NDArray[np.uint8] = (np.searchsorted(_EDGES, residual, side="right") - 1).astype(np.uint8)
    return steps


def _buckets(peaks: NDArray[np.void]) -> NDArray[np.uint32]:
    bits: NDArray[np.uint32] = np.ascontiguousarray(peaks["magnitude"]).view(np.uint32)
    return (bits >> _BUCKET_BITS).astype(np.uint32)


def _within(peaks: NDArray[np.void], first: int, last: int) -> NDArray[np.float32]:
    buckets = _buckets(peaks)
    magnitudes: NDArray[np.float32] = peaks["magnitude"][(buckets == first) | (buckets == last)]
    return magnitudes

"""Samples that come in blocks of any size → frames as librosa cuts them, a handful at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

N_FFT: Final = 2048
HOP_LENGTH: Final = 512
HOPS: Final = N_FFT // HOP_LENGTH
"""A frame is so many hops long."""

BLOCK_FRAMES: Final = 64
"""Frames of one block: their spectra stay in the processor's cache."""

_PADDING = N_FFT // 2
_OVERLAP = N_FFT - HOP_LENGTH
_ALMOST_ZERO = float(np.float32(1e-10))
"""What is no further below zero counts as zero, as librosa has it."""


@dataclass(frozen=True, slots=True)
class FrameBlock:
    """Some frames that follow one another.

    `hops` are the samples that they cover, shape ``(frames + 3, 512)``, in which frame ``t`` are rows
    ``t`` to ``t + 3``; they are float32 numbers, kept as float64 because that is what the spectrum is
    calculated in. `is_crossing`, of the same shape, says whether a sample has another sign than the
    one before. Both are overwritten when the next block is made.
    """

    hops: NDArray[np.float64]
    is_crossing: NDArray[np.bool_]

    @property
    def frames(self) -> NDArray[np.float64]:
        """The frames, shape ``(frames, 2048)``, a view."""
        step = self.hops.itemsize
        count = len(self.hops) - HOPS + 1
        return as_strided(self.hops, (count, N_FFT), (HOP_LENGTH * step, step), writeable=False)


class Framer:
    """Cuts a song into frames of 2,048 samples, 512 apart, the first centred on the first sample.

    There are ``1 + n // 512`` frames of ``n`` samples. Beyond both ends there are zeros for the spectrum
    and the loudness, and the first and the last sample once more for the zero crossings.
    """

    def __init__(self) -> None:
        self._samples = 0
        self._region = np.zeros((BLOCK_FRAMES + HOPS - 1) * HOP_LENGTH)
        self._is_crossing = np.zeros(len(self._region), dtype=np.bool_)
        self._filled = _PADDING
        # Where the region begins, counted in samples from the beginning of the padding.
        self._start = 0

    @property
    def samples(self) -> int:
        """How many samples there have been."""
        return self._samples

    def add(self, y: NDArray[np.float32]) -> Iterator[FrameBlock]:
        """Yield the blocks that are full with the next samples, shape ``(n,)``."""
        self._samples += len(y)
        yield from self._fill(y)

    def finish(self) -> Iterator[FrameBlock]:
        """Yield the last blocks; there must have been a sample."""
        yield from self._fill(np.zeros(_PADDING, dtype=np.float32))
        if self._filled >= N_FFT:
            yield self._block(self._filled // HOP_LENGTH)

    def _fill(self, y: NDArray[np.float32]) -> Iterator[FrameBlock]:
        while len(y):
            part = y[: len(self._region) - self._filled]
            self._region[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            y = y[len(part) :]
            if self._filled == len(self._region):
                yield self._block(self._filled // HOP_LENGTH)
                self._region[:_OVERLAP] = self._region[-_OVERLAP:]
                self._filled = _OVERLAP
                self._start += BLOCK_FRAMES * HOP_LENGTH

    def _block(self, hops: int) -> FrameBlock:
        length = hops * HOP_LENGTH
        is_negative = self._region[:length] < -_ALMOST_ZERO
        is_crossing = self._is_crossing[:length]
        np.not_equal(is_negative[1:], is_negative[:-1], out=is_crossing[1:])
        for edge in (_PADDING, _PADDING + self._samples):
            # Where the sound meets the zeros beyond its ends, there is no crossing.
            if 0 <= edge - self._start < length:
                is_crossing[edge - self._start] = False
        return FrameBlock(self._region[:length].reshape(hops, -1), is_crossing.reshape(hops, -1))

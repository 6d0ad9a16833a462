"""A sound file → mono samples at the rate that the features are defined at, a block at a time or all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from dnai.audio.readers import NativeBlock, Reader, ReaderError, read_av, readers_for
from dnai.audio.readers import quiet_stderr as quiet_stderr
from dnai.errors import DecodeError, UnusableAudioError

SAMPLE_RATE = 22_050
"""Samples a second that everything is resampled to, as in the features' definition."""

SILENCE_PEAK = 1e-4
"""A file whose loudest sample is below this (−80 dB of full scale) counts as silent."""

MIN_DURATION_S = 0.1
"""What is shorter has fewer than a handful of frames, and its means say nothing."""

MAX_DURATION_S = 24 * 3600.0
"""What is longer is no music, but a file that was made to keep us busy."""

MAX_WHOLE_DURATION_S = 3600.0
"""What is longer is not read into memory as a whole: 5 MB a minute."""

HELD_DURATION_S = 600.0
"""What is not longer is decoded once and held, 53 MB, for those who hear it twice."""

MAX_PEAK = 5e4
"""Full scale is 1, and 32768 in files that hold whole numbers as floats; what is far beyond is no sound."""

MIN_SAMPLE_RATE = 1000
MAX_SAMPLE_RATE = 1_000_000
"""What says that it has fewer or more samples a second is damaged, or no sound."""

Sink = Callable[[NDArray[np.float32]], None]
"""Takes blocks of mono samples at `SAMPLE_RATE`, each of shape ``(n,)``, float32 in about −1 … 1."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Mono samples at `SAMPLE_RATE`, shape ``(n,)``, float32 in about −1 … 1, and the file's duration in seconds."""

    y: NDArray[np.float32]
    duration_s: float


def decode(path: Path) -> Samples:
    """Return the whole of a sound file as mono samples.

    Raises
    ------
    DecodeError, UnusableAudioError, OSError
        As `SoundSource.play`; and what is longer than `MAX_WHOLE_DURATION_S` is unusable.
    """
    blocks: list[NDArray[np.float32]] = []

    def start() -> Sink:
        blocks.clear()
        return blocks.append

    source = SoundSource(path, held_duration_s=0, max_duration_s=MAX_WHOLE_DURATION_S)
    source.play(start)
    return Samples(y=np.concatenate(blocks), duration_s=source.duration_s)


class SoundSource:
    """A sound file that can be played more than once.

    However long it is, no more than `held_duration_s` of it is in memory. The header's word for the length is
    not asked for.

    Parameters
    ----------
    path
        The file.
    held_duration_s
        Up to so many seconds are held when they have been played, and not decoded again.
    max_duration_s
        What is longer is refused.
    """

    def __init__(
        self, path: Path, *, held_duration_s: float = HELD_DURATION_S, max_duration_s: float = MAX_DURATION_S
    ) -> None:
        self.duration_s = 0.0
        """How long the sound is that was played, seconds."""
        self._path = path
        self._held_samples = round(held_duration_s * SAMPLE_RATE)
        self._max_duration_s = max_duration_s
        self._held: list[NDArray[np.float32]] | None = None
        self._played: tuple[Reader, int] | None = None

    def play(self, start: Callable[[], Sink]) -> None:
        """Hand the whole sound to the sink that `start` returns.

        When a reader gives up in the middle, another one begins anew, with the sink that `start` returns then.

        Raises
        ------
        DecodeError
            When the file is no sound, or holds numbers that are not finite or beyond `MAX_PEAK`, or another
            sound than when it was played before.
        UnusableAudioError
            When it is shorter than `MIN_DURATION_S`, longer than the limit, or silent: known in the end only.
        OSError
            When the file cannot be opened or read.
        """
        if self._held is not None:
            sink = start()
            for y in self._held:
                sink(y)
            return
        if self._played is None:
            self._play_first(start)
            return
        reader, samples = self._played
        if self._read_with(reader, start()) != samples:
            raise DecodeError("the file has changed while it was read")

    def _play_first(self, start: Callable[[], Sink]) -> None:
        failures: dict[Reader, ReaderError] = {}
        for reader in readers_for(self._path.suffix.lower()):
            held: list[NDArray[np.float32]] | None = [] if self._held_samples else None
            try:
                samples = self._read_with(reader, start(), held)
            except ReaderError as error:
                failures[reader] = error
                continue
            self._played = reader, samples
            self._held = held or None
            return
        # FFmpeg says best what is wrong.
        raise failures[read_av]

    def _read_with(self, reader: Reader, sink: Sink, held: list[NDArray[np.float32]] | None = None) -> int:
        """Play once, keeping in `held` what may be held; return how many samples there were at the file's own rate."""
        checks = _Checks(self._max_duration_s)
        samples = 0
        with self._path.open("rb") as file:
            for y in _resample(checks.pass_on(reader(file))):
                samples += len(y)
                if held is not None:
                    held.append(y)
                    if samples > self._held_samples:
                        held.clear()
                        held = None
                sink(y)
        checks.finish()
        self.duration_s = checks.duration_s
        return checks.samples


class _Checks:
    """Whether what is read is a sound that can be used, found out while it passes."""

    def __init__(self, max_duration_s: float) -> None:
        self._counts: Counter[int] = Counter()
        self._peak = 0.0
        self._max_duration_s = max_duration_s

    @property
    def samples(self) -> int:
        return self._counts.total()

    @property
    def duration_s(self) -> float:
        return sum(samples / sr for sr, samples in self._counts.items())

    def pass_on(self, blocks: Iterator[NativeBlock]) -> Iterator[NativeBlock]:
        """The same blocks; raises at the first that cannot be right."""
        for sr, y in blocks:
            if not MIN_SAMPLE_RATE <= sr <= MAX_SAMPLE_RATE:
                raise DecodeError(f"not readable as sound: {sr} samples a second")
            self._counts[sr] += len(y)
            if self.duration_s > self._max_duration_s:
                raise UnusableAudioError(f"too long: more than {_in_words(self._max_duration_s)}")
            self._check_peak(y)
            yield sr, y

    def finish(self) -> None:
        """Raise what is known only at the end."""
        if self.duration_s < MIN_DURATION_S:
            raise UnusableAudioError(f"too short: {self.samples} samples ({self.duration_s:.3f} s)")
        if self._peak < SILENCE_PEAK:
            raise UnusableAudioError("silent from beginning to end")

    def _check_peak(self, y: NDArray[np.float32]) -> None:
        # Both are not a number where one sample is none.
        peak = max(abs(float(y.max())), abs(float(y.min()))) if len(y) else 0.0
        if not np.isfinite(peak):
            raise DecodeError("damaged: some samples are not finite numbers")
        if peak > MAX_PEAK:
            raise DecodeError(f"damaged: samples of up to {peak:.0e}, where full scale is 1")
        self._peak = max(self._peak, peak)


def _resample(blocks: Iterator[NativeBlock]) -> Iterator[NDArray[np.float32]]:
    """Samples at `SAMPLE_RATE`, as many as librosa makes of the whole, and the same to the bit."""
    resampler: _Resampler | None = None
    for sr, y in blocks:
        if resampler is None or resampler.sr != sr:
            yield from resampler.finish() if resampler else ()
            resampler = _Resampler(sr)
        yield from resampler.add(y)
    yield from resampler.finish() if resampler else ()


class _Resampler:
    """One rate's way to `SAMPLE_RATE`."""

    def __init__(self, sr: int) -> None:
        self.sr = sr
        self._taken = self._given = 0
        self._stream = (
            soxr.ResampleStream(sr, SAMPLE_RATE, 1, dtype="float32", quality="HQ") if sr != SAMPLE_RATE else None
        )

    def add(self, y: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        resampled = self._stream.resample_chunk(y) if self._stream else y
        self._taken += len(y)
        self._given += len(resampled)
        if len(resampled):
            yield resampled

    def finish(self) -> Iterator[NDArray[np.float32]]:
        """What the resampler has kept back, cut or filled up to the length that librosa gives."""
        missing = int(np.ceil(self._taken * (SAMPLE_RATE / self.sr))) - self._given
        if self._stream and missing > 0:
            last = self._stream.resample_chunk(np.empty(0, dtype=np.float32), last=True)[:missing]
            yield np.concatenate([last, np.zeros(missing - len(last), dtype=np.float32)])


def _in_words(duration_s: float) -> str:
    hours = duration_s / 3600
    return f"{hours:.0f} hours" if hours > 1 else f"{duration_s / 60:.0f} minutes"

"""A sound file → mono samples at the rate that the features are defined at.

What soundfile (libsndfile) reads is read with it, as librosa does, so that the numbers are the
same; m4a, aac and the rest are read with PyAV (FFmpeg).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import librosa
import numpy as np
import soundfile
from numpy.typing import NDArray

from dnai.errors import DecodeError, UnusableAudioError

SAMPLE_RATE = 22_050
"""Samples a second that everything is resampled to, as in the features' definition."""

SILENCE_PEAK = 1e-4
"""A file whose loudest sample is below this (−80 dB of full scale) counts as silent."""

MIN_DURATION_S = 0.1
"""What is shorter has fewer than a handful of frames, and its means say nothing."""

_SOUNDFILE_SUFFIXES = frozenset({".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus"})


@dataclass(frozen=True, slots=True)
class Samples:
    """Mono samples at `SAMPLE_RATE`, shape ``(n,)``, float32 in about −1 … 1, and the file's duration in seconds."""

    y: NDArray[np.float32]
    duration_s: float


def decode(path: Path) -> Samples:
    """Return the whole of a sound file as mono samples.

    Raises
    ------
    DecodeError
        When the file cannot be opened, is no sound, or holds numbers that are not finite.
    UnusableAudioError
        When it is shorter than `MIN_DURATION_S`, or silent.
    """
    y, sr = _read(path)
    duration_s = len(y) / sr if sr > 0 else 0.0
    if duration_s < MIN_DURATION_S:
        raise UnusableAudioError(f"too short: {len(y)} samples ({duration_s:.3f} s)")
    if not np.isfinite(y).all():
        raise DecodeError("damaged: some samples are not finite numbers")
    if float(np.abs(y).max()) < SILENCE_PEAK:
        raise UnusableAudioError("silent from beginning to end")
    resampled = librosa.resample(y, orig_sr=sr, target_sr=SAMPLE_RATE) if sr != SAMPLE_RATE else y
    return Samples(y=np.ascontiguousarray(resampled, dtype=np.float32), duration_s=duration_s)


def _read(path: Path) -> tuple[NDArray[np.float32], int]:
    if path.suffix.lower() not in _SOUNDFILE_SUFFIXES:
        return _read_av(path)
    try:
        return _read_soundfile(path)
    except soundfile.LibsndfileError:
        # FFmpeg reads some files that libsndfile does not, and says better what is wrong with the rest.
        return _read_av(path)


def _read_soundfile(path: Path) -> tuple[NDArray[np.float32], int]:
    with path.open("rb") as file:
        frames, sr = soundfile.read(file, dtype="float32", always_2d=True)
    return librosa.to_mono(frames.T), int(sr)


def _read_av(path: Path) -> tuple[NDArray[np.float32], int]:
    with _av_errors(), av.open(str(path)) as container:
        if not container.streams.audio:
            raise DecodeError("holds no sound")
        stream = container.streams.audio[0]
        sr = int(stream.rate)
        resampler = av.AudioResampler(format="fltp", rate=sr)
        blocks = [
            librosa.to_mono(block.to_ndarray())
            for frame in container.decode(stream)
            for block in resampler.resample(frame)
        ]
    if not blocks:
        raise DecodeError("holds no sound")
    return np.concatenate(blocks), sr


@contextmanager
def _av_errors() -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        raise DecodeError(f"not readable as sound: {getattr(error, 'strerror', None) or error}") from error

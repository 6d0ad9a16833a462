"""A sound file → mono samples at the rate that the features are defined at.

What soundfile (libsndfile) reads is read with it, as librosa does, so that the numbers are the
same; m4a, aac and the rest are read with PyAV (FFmpeg).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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

MAX_DURATION_S = 3600.0
"""What is longer does not fit into the memory that its analysis takes (0.1 GB a minute)."""

MAX_PEAK = 5e4
"""Full scale is 1, and 32768 in files that hold whole numbers as floats; what is far beyond is no sound."""

_STDERR = 2
_BLOCK_FRAMES = 1 << 18
# Of FFmpeg's readers only these: it also knows playlists, and would open every file or address in one.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,aac,mp3,flac,ogg,wav,aiff,matroska,webm"
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
        When the file is no sound, or holds numbers that are not finite or beyond `MAX_PEAK`.
    UnusableAudioError
        When it is shorter than `MIN_DURATION_S`, longer than `MAX_DURATION_S`, or silent.
    OSError
        When the file cannot be opened or read.
    """
    with path.open("rb") as file:
        y, sr = _read(file, suffix=path.suffix.lower())
    duration_s = len(y) / sr if sr > 0 else 0.0
    if duration_s < MIN_DURATION_S:
        raise UnusableAudioError(f"too short: {len(y)} samples ({duration_s:.3f} s)")
    if not np.isfinite(y).all():
        raise DecodeError("damaged: some samples are not finite numbers")
    peak = float(np.abs(y).max())
    if peak > MAX_PEAK:
        raise DecodeError(f"damaged: samples of up to {peak:.0e}, where full scale is 1")
    if peak < SILENCE_PEAK:
        raise UnusableAudioError("silent from beginning to end")
    resampled = librosa.resample(y, orig_sr=sr, target_sr=SAMPLE_RATE) if sr != SAMPLE_RATE else y
    return Samples(y=np.ascontiguousarray(resampled, dtype=np.float32), duration_s=duration_s)


def _read(file: BinaryIO, *, suffix: str) -> tuple[NDArray[np.float32], int]:
    if suffix not in _SOUNDFILE_SUFFIXES:
        return _read_av(file)
    try:
        return _read_soundfile(file)
    except soundfile.LibsndfileError:
        # FFmpeg reads some files that libsndfile does not, and says better what is wrong with the rest.
        file.seek(0)
        return _read_av(file)


def _read_soundfile(file: BinaryIO) -> tuple[NDArray[np.float32], int]:
    with quiet_stderr(), soundfile.SoundFile(file) as sound:
        sr = int(sound.samplerate)
        return _join(_soundfile_blocks(sound), sr), sr


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep from the process's stderr, and the progress bar in it, what libraries of C write there.

    libmpg123 tells every small flaw of an mp3, and LiteRT which delegate it has made.
    """
    try:
        kept = os.dup(_STDERR)
    except OSError:  # the process has none
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _soundfile_blocks(sound: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    while len(block := sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        yield block.T


def _read_av(file: BinaryIO) -> tuple[NDArray[np.float32], int]:
    with _av_errors(), av.open(file, mode="r", options={"format_whitelist": _CONTAINERS}) as container:
        if not container.streams.audio:
            raise DecodeError("holds no sound")
        stream = container.streams.audio[0]
        sr = int(stream.rate or 0)
        resampler = av.AudioResampler(format="fltp", rate=sr)
        frames = (part for frame in container.decode(stream) for part in resampler.resample(frame))
        return _join((np.asarray(frame.to_ndarray(), dtype=np.float32) for frame in frames), sr), sr


def _join(blocks: Iterable[NDArray[np.float32]], sr: int) -> NDArray[np.float32]:
    """The mean of the channels of blocks of shape ``(channels, n)``, one after the other."""
    mono: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)]
    samples = 0
    for block in blocks:
        # As librosa.to_mono does, which would refuse what is not finite with an error of its own.
        mono.append(block.mean(axis=0))
        samples += block.shape[1]
        if samples > MAX_DURATION_S * sr:
            raise UnusableAudioError(f"too long: more than {MAX_DURATION_S / 60:.0f} minutes")
    return np.concatenate(mono)


@contextmanager
def _av_errors() -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        raise DecodeError(f"not readable as sound: {getattr(error, 'strerror', None) or error}") from error
    except OSError as error:
        # FFmpeg was misled to a place before the beginning of the file.
        if error.errno != errno.EINVAL:
            raise
        raise DecodeError("not readable as sound: it is damaged or no sound") from error

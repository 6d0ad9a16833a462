"""Sounds that the tests make, and files of every format with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import soundfile
from mutagen.id3 import TALB, TCON, TDRC, TIT2, TPE1
from mutagen.wave import WAVE
from numpy.typing import NDArray

from dnai.audio.tagging import write_tags

SR = 22_050
FORMATS = ("wav", "mp3", "flac", "ogg", "opus", "m4a")
Sound = NDArray[np.float32]


def tone(freq_hz: float = 440.0, *, duration_s: float = 1.0, sr: int = SR, amplitude: float = 0.5) -> Sound:
    """A sine."""
    t = np.arange(round(duration_s * sr)) / sr
    return (amplitude * np.sin(2 * np.pi * freq_hz * t)).astype(np.float32)


def noise(*, duration_s: float = 1.0, sr: int = SR, amplitude: float = 0.3, seed: int = 0) -> Sound:
    """White noise, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-amplitude, amplitude, round(duration_s * sr)).astype(np.float32)


def clicks(*, duration_s: float = 1.0, sr: int = SR, every_s: float = 0.1) -> Sound:
    """Single samples of 0.9, one every `every_s`."""
    y = np.zeros(round(duration_s * sr), dtype=np.float32)
    y[:: round(every_s * sr)] = 0.9
    return y


def silence(*, duration_s: float = 1.0, sr: int = SR) -> Sound:
    """Nothing but zeros."""
    return np.zeros(round(duration_s * sr), dtype=np.float32)


def music(*, duration_s: float = 2.0, sr: int = SR, root_hz: float = 220.0, seed: int = 0) -> Sound:
    """Something like music: a chord with overtones that comes and goes, over drum-like bursts of noise."""
    t = np.arange(round(duration_s * sr)) / sr
    y = np.zeros(len(t))
    for step in (0, 4, 7):
        for overtone in (1, 2, 3):
            y += np.sin(2 * np.pi * root_hz * 2 ** (step / 12) * overtone * t) / (3 * overtone)
    y *= 0.3 * (0.6 + 0.4 * np.sin(2 * np.pi * 1.5 * t))
    y += np.random.default_rng(seed).normal(0, 0.1, len(t)) * np.exp(-8 * (t % 0.5))
    return y.astype(np.float32)


def write_sound(path: Path, y: Sound, *, sr: int = SR, subtype: str | None = None) -> Path:
    """Write samples, shape ``(n,)`` or ``(n, channels)``, in the format that the file's name ends with."""
    kind = path.suffix.lower().lstrip(".")
    if kind in {"m4a", "mp4"}:
        _write_m4a(path, y, sr)
    elif kind == "opus":
        soundfile.write(path, y, sr, format="OGG", subtype="OPUS")
    else:
        soundfile.write(path, y, sr, subtype=subtype)
    return path


def _write_m4a(path: Path, y: Sound, sr: int) -> None:
    planes = np.atleast_2d(y.T)
    layout = "mono" if len(planes) == 1 else "stereo"
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=sr, layout=layout)
        stream.bit_rate = 128_000
        for start in range(0, planes.shape[1], 1024):
            piece = np.ascontiguousarray(planes[:, start : start + 1024], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate = sr
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def tag(path: Path, tags: Mapping[str, str]) -> Path:
    """Write title, artist, album, genre and date the way that the format has them."""
    if path.suffix.lower() == ".wav":
        _tag_wav(path, tags)
    else:
        write_tags(path, tags)
    return path


def _tag_wav(path: Path, tags: Mapping[str, str]) -> None:
    frames = {"title": TIT2, "artist": TPE1, "album": TALB, "genre": TCON, "date": TDRC}
    file = WAVE(path)
    file.add_tags()
    for name, text in tags.items():
        file.tags.add(frames[name](encoding=3, text=[text]))
    file.save()

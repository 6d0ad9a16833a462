"""Sounds that the tests make, and files of every format with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import soundfile
from mutagen.aiff import AIFF
from mutagen.asf import ASF
from mutagen.id3 import ID3, TALB, TCON, TDRC, TIT2, TPE1, TPE2, TRCK
from mutagen.wave import WAVE
from numpy.typing import NDArray

from dnai.audio.tagging import write_tags

SR = 22_050
FORMATS = ("wav", "mp3", "flac", "ogg", "opus", "m4a", "aac", "alac.m4a", "aiff", "wma")
_ENCODERS = {"m4a": ("mp4", "aac"), "mp4": ("mp4", "aac"), "aac": ("adts", "aac"), "wma": ("asf", "wmav2")}
_ID3_FRAMES = {
    "title": TIT2,
    "artist": TPE1,
    "albumartist": TPE2,
    "album": TALB,
    "tracknumber": TRCK,
    "genre": TCON,
    "date": TDRC,
}
_ASF_NAMES = {
    "title": "Title",
    "artist": "Author",
    "albumartist": "WM/AlbumArtist",
    "album": "WM/AlbumTitle",
    "tracknumber": "WM/TrackNumber",
    "genre": "WM/Genre",
    "date": "WM/Year",
}
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
    if path.name.endswith(".alac.m4a"):
        _encode(path, y, sr, container="mp4", codec="alac")
    elif kind in _ENCODERS:
        container, codec = _ENCODERS[kind]
        _encode(path, y, sr, container=container, codec=codec)
    elif kind == "opus":
        soundfile.write(path, y, sr, format="OGG", subtype="OPUS")
    else:
        soundfile.write(path, y, sr, subtype=subtype)
    return path


def _encode(path: Path, y: Sound, sr: int, *, container: str, codec: str) -> None:
    planes = np.atleast_2d(y.T)
    layout = "mono" if len(planes) == 1 else "stereo"
    options = {"movflags": "faststart"} if container == "mp4" else {}
    with av.open(str(path), "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=sr, layout=layout)
        stream.bit_rate = 128_000
        for start in range(0, planes.shape[1], 1024):
            piece = np.ascontiguousarray(planes[:, start : start + 1024], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate = sr
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def tag(path: Path, tags: Mapping[str, str]) -> Path:
    """Write tags, under mutagen's easy names, the way that the format has them."""
    match path.suffix.lower():
        case ".wav" | ".aiff":
            file = WAVE(path) if path.suffix == ".wav" else AIFF(path)
            file.add_tags()
            _add_frames(file.tags, tags)
            file.save()
        case ".aac":
            id3 = ID3()
            _add_frames(id3, tags)
            id3.save(path)
        case ".wma":
            asf = ASF(path)
            for name, text in tags.items():
                asf[_ASF_NAMES[name]] = [text]
            asf.save()
        case _:
            write_tags(path, tags)
    return path


def _add_frames(id3: ID3, tags: Mapping[str, str]) -> None:
    for name, text in tags.items():
        id3.add(_ID3_FRAMES[name](encoding=3, text=[text]))

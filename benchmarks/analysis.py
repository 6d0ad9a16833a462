"""Seconds of analysis per minute of music, as a ratio to plain librosa calls on the same songs.

Ours is what a scan does with a file: decode, 26 features, tags, genre. The baseline is
``librosa.load`` and the seven feature calls one by one. Both run in one process, one thread, in turn.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray

from dnai.audio.features import warm_up
from dnai.config import PROJECT_DIR
from dnai.genre.extraction import open_extractor
from dnai.genre.model import GenreModel
from dnai.library.analysis import analyse_file, open_ears
from dnai.library.rows import FileStamp
from dnai.tracks import AUDIO_SUFFIXES

MUSIC = (Path("/usr/share/games"), Path("/usr/share/hyperrogue"), Path("/usr/share/singularity"))
SONGS = 8
MIN_BYTES = 1_000_000
MAX_BYTES = 8_000_000


def main() -> None:
    """Print the table."""
    songs = find_songs()
    ears = open_ears([GenreModel(PROJECT_DIR / "models" / "librosa26")], open_extractor)
    warm_up()
    plain_features(songs[0])
    ours, plain, minutes = [], [], []
    for song in songs:
        status = song.stat()
        stamp = FileStamp(status.st_size, status.st_mtime_ns)
        started_at = time.perf_counter()
        catalogued = analyse_file(song, stamp, ears)
        between = time.perf_counter()
        reference = plain_features(song)
        ended_at = time.perf_counter()
        difference = float(
            np.max(np.abs(catalogued.hearings[0].features - reference) / np.maximum(np.abs(reference), 1.0))
        )
        assert difference < 1e-4, f"{song}: differs from librosa by {difference:g}"
        ours.append(between - started_at)
        plain.append(ended_at - between)
        minutes.append(catalogued.file.duration_s / 60)
    per_minute = [s / m for s, m in zip(ours, minutes, strict=True)]
    plain_per_minute = [s / m for s, m in zip(plain, minutes, strict=True)]
    ratios = sorted(a / b for a, b in zip(ours, plain, strict=True))
    print(
        f"analysis of {len(songs)} songs, {sum(minutes):.1f} minutes, one process, seconds per minute of music (median)"
    )
    print(f"{'DN.ai':>8} {'plain librosa':>14} {'ratio':>7}   range of the ratios")
    print(
        f"{statistics.median(per_minute):>8.3f} {statistics.median(plain_per_minute):>14.3f} "
        f"{statistics.median(ratios):>7.2f}   {ratios[0]:.2f} to {ratios[-1]:.2f}",
        flush=True,
    )


def find_songs() -> list[Path]:
    """Return some songs of the installed free music, the same ones each time."""
    found = sorted(
        path
        for folder in MUSIC
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and MIN_BYTES <= path.stat().st_size <= MAX_BYTES
    )
    if not found:
        raise SystemExit(f"no songs under {', '.join(map(str, MUSIC))}: ./run bench installs them")
    return found[:: max(1, len(found) // SONGS)][:SONGS]


def plain_features(path: Path) -> NDArray[np.float64]:
    """Return the same 26 numbers, written down as librosa's documentation shows each of them."""
    y, sr = librosa.load(path)
    rows = (
        librosa.feature.chroma_stft(y=y, sr=sr),
        librosa.feature.rms(y=y),
        librosa.feature.spectral_centroid(y=y, sr=sr),
        librosa.feature.spectral_bandwidth(y=y, sr=sr),
        librosa.feature.spectral_rolloff(y=y, sr=sr),
        librosa.feature.zero_crossing_rate(y),
    )
    return np.array([*(row.mean() for row in rows), *librosa.feature.mfcc(y=y, sr=sr).mean(axis=1)], dtype=np.float64)


if __name__ == "__main__":
    main()

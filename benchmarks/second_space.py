"""What the second feature space costs: seconds and memory more for each track, whatever its length.

Ours is `musicnn200`'s embedding of decoded samples: cutting patches, resampling them, mel, network.
The baseline is what the first space, `librosa26`, takes for the same samples.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.analysis import find_songs
from dnai.audio.decode import SAMPLE_RATE, decode
from dnai.audio.features import extract_features, warm_up
from dnai.config import MODELS_DIR
from dnai.genre.extraction import open_extractor
from dnai.genre.model import GenreModel

MINUTES = (0.5, 3.0, 60.0)
ROUNDS = 7
_KIB = 1024


def main() -> None:
    """Print the table."""
    samples = decode(find_songs()[0]).y
    warm_up()
    before = _resident_mb()
    extractor = open_extractor(GenreModel(MODELS_DIR / "musicnn200"))
    extractor.extract(samples)
    opened = _resident_mb()
    print(f"musicnn200 after one song: {opened - before:.0f} MB of memory more; seconds a track (median of {ROUNDS})")
    print(f"{'minutes':>8} {'musicnn200':>11} {'librosa26':>10} {'ratio':>7}")
    for minutes in MINUTES:
        y = np.resize(samples, round(minutes * 60 * SAMPLE_RATE))
        ours = _median_s(partial(extractor.extract, y), rounds=ROUNDS)
        # The first space's cost grows with the song; an hour of it is told by three minutes.
        part: NDArray[np.float32] = y[: 180 * SAMPLE_RATE]
        first = _median_s(partial(extract_features, part), rounds=1) * len(y) / len(part)
        print(f"{minutes:>8.1f} {ours:>11.3f} {first:>10.3f} {ours / first:>7.3f}", flush=True)


def _median_s(work: Callable[[], object], *, rounds: int) -> float:
    durations = []
    for _ in range(rounds):
        started_at = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started_at)
    return statistics.median(durations)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / _KIB / _KIB


if __name__ == "__main__":
    main()

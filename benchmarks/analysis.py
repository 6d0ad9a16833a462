"""Seconds of analysis per minute of music, as a ratio to plain librosa calls on the same files; and the peak memory.

Ours is what a scan does with a file: decode, 26 features, tags, genre. The baseline is
``librosa.load`` and the seven feature calls one by one. Both run in one process, one thread, in turn, on the
same real songs in each format; what is measured is the processor's time, that of FFmpeg's process included, which
librosa starts for m4a. The features are compared on the same samples.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import av
import librosa
import numpy as np
import soundfile
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dnai.audio.decode import decode
from dnai.audio.features import extract_features, warm_up
from dnai.audio.readers import quiet_stderr
from dnai.config import MODELS_DIR
from dnai.genre.extraction import open_extractor
from dnai.genre.model import GenreModel
from dnai.library.analysis import Ear, analyse_file, open_ears
from dnai.library.rows import FileStamp
from dnai.tracks import AUDIO_SUFFIXES

MUSIC = (Path("/usr/share/games"), Path("/usr/share/hyperrogue"), Path("/usr/share/singularity"))
FORMATS = ("ogg", "mp3", "flac", "m4a")
SONGS = 6
ROUNDS = 4
MIN_BYTES = 800_000
MAX_BYTES = 8_000_000
MIN_MINUTES, MAX_MINUTES = 2, 5
LONG_MINUTES = (60, 180)
MODELS = ("musicnn200", "librosa26")

_MEMORY_PROGRAM = """
import sys
from pathlib import Path
from dnai.audio.features import warm_up
from dnai.genre.extraction import open_extractor
from dnai.genre.model import GenreModel
from dnai.library.analysis import analyse_file, open_ears
from dnai.library.rows import FileStamp
path, *folders = map(Path, sys.argv[1:])
warm_up()
ears = open_ears([GenreModel(folder) for folder in folders], open_extractor)
analyse_file(path, FileStamp(path.stat().st_size, 0), ears)
status = Path("/proc/self/status").read_text(encoding="ascii")
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a song of `minutes` costs, seconds of the processor."""

    minutes: float
    ours_s: float
    plain_s: float


def main() -> None:
    """Print the tables."""
    ears = open_ears([GenreModel(MODELS_DIR / "librosa26")], open_extractor)
    songs = find_songs()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa says that it reads m4a in a way that it will give up
        warm_up()
        _plainly(songs[0])
        print(f"analysis of {len(songs)} songs, one core, seconds per minute of music (median of songs)")
        print(f"{'':>6} {'DN.ai':>7} {'plain librosa':>14} {'ratio':>7}   range of the ratios")
        for kind in FORMATS:
            costs = [_compare(_convert(song, Path(folder), kind), ears) for song in songs]
            _print_row(kind, costs)
        print("peak memory of an analysing process, MB")
        for minutes in LONG_MINUTES:
            with quiet_stderr():
                long = _write_long(songs, Path(folder), minutes)
            _print_memory(long, minutes)


def _compare(song: Path, ears: tuple[Ear, ...]) -> Cost:
    status = song.stat()
    stamp = FileStamp(status.st_size, status.st_mtime_ns)
    catalogued = analyse_file(song, stamp, ears)
    reference = extract_features(decode(song).y)
    difference = np.max(np.abs(catalogued.hearings[0].features - reference) / np.maximum(np.abs(reference), 1.0))
    assert difference < 1e-4, f"{song}: differs from librosa by {difference:g}"
    ours, plain = [], []
    for _ in range(ROUNDS):
        ours.append(_processor_s(lambda: analyse_file(song, stamp, ears)))
        plain.append(_processor_s(lambda: _plainly(song)))
    # Others use the machine as well: the least is nearest to what the work itself takes.
    return Cost(catalogued.file.duration_s / 60, min(ours), min(plain))


def _plainly(song: Path) -> None:
    """What it is compared with; librosa's decoders tell each small flaw of an mp3."""
    with quiet_stderr():
        plain_features(song)


def _processor_s(work: Callable[[], object]) -> float:
    """The time of this process and its children."""
    before = time.process_time() + _children_s()
    work()
    return time.process_time() + _children_s() - before


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _print_row(kind: str, costs: list[Cost]) -> None:
    ratios = sorted(cost.ours_s / cost.plain_s for cost in costs)
    print(
        f"{kind:>6} {statistics.median(cost.ours_s / cost.minutes for cost in costs):>7.3f} "
        f"{statistics.median(cost.plain_s / cost.minutes for cost in costs):>14.3f} "
        f"{statistics.median(ratios):>7.3f}   {ratios[0]:.3f} to {ratios[-1]:.3f}",
        flush=True,
    )


def _print_memory(long: Path, minutes: int) -> None:
    for names in ((MODELS[-1],), MODELS):
        command = [sys.executable, "-c", _MEMORY_PROGRAM, str(long), *(str(MODELS_DIR / name) for name in names)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"{minutes:>6} minutes of flac, {' and '.join(names)}: {int(done.stdout) / 1024:.0f}", flush=True)
    long.unlink()


def find_songs() -> list[Path]:
    """Return some songs of two to five minutes of the installed free music, the same ones each time."""
    found = sorted(
        path
        for folder in MUSIC
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and MIN_BYTES <= path.stat().st_size <= MAX_BYTES
        and MIN_MINUTES * 60 <= soundfile.info(path).duration <= MAX_MINUTES * 60
    )
    if not found:
        raise SystemExit(f"no songs under {', '.join(map(str, MUSIC))}: ./run bench installs them")
    return found[:: max(1, len(found) // SONGS)][:SONGS]


def _convert(song: Path, folder: Path, kind: str) -> Path:
    """The same song in another format, as stereo of the same rate."""
    if song.suffix == f".{kind}":
        return song
    path = folder / f"{song.parent.name} {song.stem}.{kind}"
    frames, sr = soundfile.read(song, dtype="float32", always_2d=True)
    if kind == "m4a":
        _write_m4a(path, frames.T, sr)
    else:
        with soundfile.SoundFile(path, "w", sr, channels=frames.shape[1]) as file:
            # In pieces: libsndfile crashes when it is given minutes of ogg at once.
            for start in range(0, len(frames), 1 << 14):
                file.write(frames[start : start + (1 << 14)])
    return path


def _write_m4a(path: Path, planes: NDArray[np.float32], sr: int) -> None:
    layout = "mono" if len(planes) == 1 else "stereo"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=sr, layout=layout)
        stream.bit_rate = 192_000
        for start in range(0, planes.shape[1], 1024):
            piece = np.ascontiguousarray(planes[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate = sr
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _write_long(songs: list[Path], folder: Path, minutes: int) -> Path:
    """Songs one after the other for so many minutes."""
    path = folder / f"{minutes}.flac"
    sr = 44_100
    missing = minutes * 60 * sr
    with soundfile.SoundFile(path, "w", sr, channels=2) as file:
        for block in _endless(songs):
            file.write(block[:missing])
            missing -= len(block)
            if missing <= 0:
                return path
    raise AssertionError("the songs have ended")


def _endless(songs: list[Path]) -> Iterator[NDArray[np.float32]]:
    for song in cycle(songs):
        with soundfile.SoundFile(song) as file:
            if file.channels == 2:
                yield from file.blocks(1 << 16, dtype="float32")


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

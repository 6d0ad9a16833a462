"""Several recordings of the parts of one song → the song, as a FLAC file.

Some free music comes as stems: one file with the guitar, one with all the rest. Sounding together
they are the song. Everything is read and written in blocks, so that a long song costs no memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dnai.errors import DecodeError, UsageError

_BLOCK_FRAMES = 65_536
_HEADROOM = 0.99


def mix(stems: Sequence[Path], target: Path) -> None:
    """Write the sum of `stems` to `target` as 16-bit FLAC; a single stem is only converted.

    A sum that would clip is made quieter as a whole; shorter stems end in silence. `target`
    appears when it is complete, or not at all.

    Raises
    ------
    UsageError
        When there is no stem.
    DecodeError
        When a stem cannot be read, or the stems differ in sample rate or channels.
    """
    if not stems:
        raise UsageError("nothing to mix: give at least one file")
    part = target.with_name(f".{target.name}.part")
    try:
        gain = min(1.0, _HEADROOM / max(_peak(stems), 1e-9))
        sr, channels = _common_format(stems)
        with soundfile.SoundFile(part, "w", sr, channels, subtype="PCM_16", format="FLAC") as output:
            for block in _sums(stems):
                output.write(block * gain)
        part.replace(target)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DecodeError(f"cannot mix {', '.join(str(stem) for stem in stems)} into {target}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _peak(stems: Sequence[Path]) -> float:
    return max((float(np.abs(block).max()) for block in _sums(stems)), default=0.0)


def _common_format(stems: Sequence[Path]) -> tuple[int, int]:
    """The sample rate and number of channels that all stems share."""
    formats = [(info.samplerate, info.channels) for info in map(soundfile.info, map(str, stems))]
    if len(set(formats)) != 1:
        listed = "; ".join(f"{path}: {sr} Hz, {n} channels" for path, (sr, n) in zip(stems, formats, strict=True))
        raise DecodeError(f"the parts of one song must have one sample rate and as many channels: {listed}")
    return formats[0]


def _sums(stems: Sequence[Path]) -> Iterator[NDArray[np.float32]]:
    """The sum of all stems, block by block, shape ``(frames, channels)``."""
    _common_format(stems)
    with ExitStack() as opened:
        files = [opened.enter_context(soundfile.SoundFile(stem)) for stem in stems]
        while True:
            blocks = [file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True) for file in files]
            frames = max(len(block) for block in blocks)
            if frames == 0:
                return
            total = np.zeros((frames, blocks[0].shape[1]), dtype=np.float32)
            for block in blocks:
                total[: len(block)] += block
            yield total

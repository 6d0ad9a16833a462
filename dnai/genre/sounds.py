"""A folder of sounds, ``GENRE/track.*``, as a feature table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnai.audio.decode import SAMPLE_RATE, decode
from dnai.audio.tags import read_tags
from dnai.errors import AudioError, ModelError
from dnai.genre.extractor import Extractor
from dnai.genre.table import FeatureTable, Piece, make_table
from dnai.tracks import AUDIO_SUFFIXES, Genre, parse_genre

MIN_PIECE_S = 1.0
"""What is shorter says too little about a genre to learn from, or to measure with."""

MAX_PIECE_S = 3600.0
"""What is longer is no piece."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not in the table, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class SoundTable:
    """The table of a folder, and what was left out of it."""

    table: FeatureTable
    left_out: tuple[LeftOut, ...]


def read_sounds(
    folder: Path, extractor: Extractor, *, space: str, piece_s: float, report: Callable[[str], None]
) -> SoundTable:
    """Cut every sound in `folder` into pieces and measure each.

    The names of the folders in `folder` are genres, in any everyday spelling; sounds may lie deeper
    below them. The artist comes from a file's tags. What is left at the end of a track counts as a piece
    from half a piece's length on.

    Parameters
    ----------
    space
        The name of the space that `extractor` measures the features of.
    piece_s
        The length of a piece, seconds, at least `MIN_PIECE_S`.
    report
        Told the progress.

    Raises
    ------
    ModelError
        When a folder's name is no genre, no sound can be used, or as `make_table` does.
    """
    if not MIN_PIECE_S <= piece_s <= MAX_PIECE_S:
        raise ModelError(f"a piece has {MIN_PIECE_S:g} to {MAX_PIECE_S:g} s, not {piece_s:g} s")
    sounds = list(_find_sounds(folder))
    pieces: list[Piece] = []
    left_out: list[LeftOut] = []
    for done, (genre, path) in enumerate(sounds):
        report(f"{done + 1} of {len(sounds)}: {path.name}")
        try:
            pieces += _read_pieces(path, genre, extractor, name=str(path.relative_to(folder)), piece_s=piece_s)
        except (AudioError, OSError) as error:
            left_out.append(LeftOut(path, str(error)))
    if not pieces:
        reasons = "; ".join(f"{one.path.name}: {one.reason}" for one in left_out[:3])
        raise ModelError(f"{folder} has no sound that can be used, as GENRE/track.mp3 ({reasons or 'no sound files'})")
    return SoundTable(make_table(space, pieces, origin=folder), tuple(left_out))


def _find_sounds(folder: Path) -> Iterator[tuple[Genre, Path]]:
    try:
        subfolders = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise ModelError(f"{folder} cannot be read as a folder of sounds: {error.strerror}") from error
    for subfolder in subfolders:
        sounds = sorted(path for path in subfolder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        genre = parse_genre(subfolder.name)
        if genre is None and sounds:
            raise ModelError(
                f"{subfolder} holds sounds, and {subfolder.name!r} is none of the genres {', '.join(Genre)}"
            )
        if genre is not None:
            yield from ((genre, path) for path in sounds)


def _read_pieces(path: Path, genre: Genre, extractor: Extractor, *, name: str, piece_s: float) -> list[Piece]:
    samples = decode(path)
    if samples.duration_s < MIN_PIECE_S:
        raise AudioError(
            f"{samples.duration_s:.1f} s of sound; at least {MIN_PIECE_S:g} s is needed to hear a genre in"
        )
    artist = read_tags(path).artist
    return [
        Piece(track=name, label=genre, numbers=extractor.extract(part).tolist(), artist=artist)
        for part in _cut(samples.y, round(piece_s * SAMPLE_RATE))
    ]


def _cut(y: NDArray[np.float32], length: int) -> list[NDArray[np.float32]]:
    """Parts of `length` samples; a rest of less than half of it is dropped, unless it is all there is."""
    starts = range(0, max(1, len(y) - length // 2 + 1), length)
    return [y[start : start + length] for start in starts]

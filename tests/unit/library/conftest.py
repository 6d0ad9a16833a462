"""A model, folders with short songs, and scans of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dnai.config import PROJECT_DIR
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.scanner import ScanSummary, scan_folder
from tests.sounds import music, tag, write_sound

Scan = Callable[[Path], ScanSummary]


@pytest.fixture(scope="session")
def model() -> GenreModel:
    """The model of the project."""
    return GenreModel(PROJECT_DIR / "models" / "librosa26")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """A fresh catalogue."""
    with Catalogue(tmp_path / "data" / "catalogue.sqlite3") as fresh:
        yield fresh


@pytest.fixture
def scan(catalogue: Catalogue, model: GenreModel) -> Scan:
    """Scans a folder into the catalogue."""
    return lambda folder: scan_folder(folder, catalogue, model, report=lambda _progress: None)


def add_song(folder: Path, name: str, *, seed: int = 0, **tags: str) -> Path:
    """Write half a second of something like music, with tags if any are given."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sound(path, music(duration_s=0.5, root_hz=220 + 20 * seed, seed=seed))
    return tag(path, tags) if tags else path


@pytest.fixture
def music_folder(tmp_path: Path) -> Path:
    """Three songs: tagged as jazz, without tags, and one in a folder below."""
    folder = tmp_path / "music"
    add_song(folder, "tagged.flac", title="So What", artist="Miles Davis", genre="Jazz; Bebop", seed=1)
    add_song(folder, "plain.wav", seed=2)
    add_song(folder, "album/01.mp3", title="First", album="The Album", date="1999", seed=3)
    return folder

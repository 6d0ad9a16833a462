"""A model, folders with short songs, and scans of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnai.config import PROJECT_DIR
from dnai.genre.model import GenreAnswer, GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.rows import CataloguedFile, CataloguedTrack, Hearing
from dnai.library.scanner import ScanSummary, scan_folder
from dnai.tracks import AudioType, Genre
from tests.models import other_model
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


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> GenreModel:
    """A model of a second feature space."""
    return other_model(tmp_path_factory.mktemp("models") / "other26")


@pytest.fixture
def scan(catalogue: Catalogue, model: GenreModel) -> Scan:
    """Scans a folder into the catalogue, with the project's model alone."""
    return lambda folder: scan_folder(folder, catalogue, [model], report=lambda _progress: None)


def heard(
    feature_id: str = "features", *, seed: int = 0, answer: GenreAnswer | None = None, model: GenreModel | None = None
) -> Hearing:
    """What a model heard: seeded numbers, and by default that it is surely jazz."""
    features = np.random.default_rng(seed).normal(size=26)
    answer = answer or GenreAnswer(Genre.JAZZ, 0.75, is_sure=True)
    if model is not None:
        return Hearing(model.feature_id, model.space_id, model.model_id, features, answer)
    return Hearing(feature_id, "space-a", "model-a", features, answer)


def catalogued(path: str, *hearings: Hearing, tag: Genre | None = Genre.JAZZ, **changes: Any) -> CataloguedTrack:
    """A track of which there is no file, heard by one model if nothing else is given."""
    file = CataloguedFile(
        path=Path(path),
        size_bytes=1000,
        mtime_ns=0,
        title="T",
        artist="",
        album="",
        year=None,
        tag_genre=tag,
        duration_s=60.0,
        audio_type=AudioType.MP3,
    )
    return CataloguedTrack(file._replace(**changes), hearings or (heard(),))


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

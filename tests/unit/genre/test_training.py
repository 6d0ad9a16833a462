"""Training on a tiny table: a model comes of it, the same for the same seed, or nothing at all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is in the train extra only")

import keras
from sklearn.preprocessing import StandardScaler

from dnai.errors import ModelError
from dnai.genre import training
from dnai.genre.evaluation import evaluate
from dnai.genre.model import GenreModel
from dnai.genre.table import LABELS, FeatureTable
from dnai.genre.training import TrainingPlan, TrainingReport, build_network, train_model
from dnai.tracks import Genre
from tests.unit.genre.conftest import MODEL, made_rows

# Keras hands TensorFlow arrays that do not know numpy 2's copy argument.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

PLAN = TrainingPlan(max_epochs=1, splits=1)


def made_table() -> FeatureTable:
    """Three genres by four artists each, one of them kept apart."""
    rows = made_rows(artists=4)
    features = np.array([list(row.values())[5:] for row in rows])
    tracks, artists, split = (np.array([row[name] for row in rows]) for name in ("track", "artist", "split"))
    return FeatureTable(features, np.array([LABELS.index(Genre(row["label"])) for row in rows]), tracks, artists, split)


TABLE = made_table()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingReport]:
    """A model that has learned for a while, in a folder whose parent was not there."""
    folder = tmp_path_factory.mktemp("training") / "models" / "tiny"
    return folder, train_model(TABLE, folder, name="tiny", plan=TrainingPlan(max_epochs=12, splits=1, batch_size=8))


@pytest.fixture(scope="module")
def write() -> Callable[..., None]:
    """Writes a model that has learned nothing: ``write(folder, name=…)``."""
    return functools.partial(
        training._write,
        network=build_network(PLAN),
        scaler=StandardScaler().fit(TABLE.features),
        table=TABLE,
        report=TrainingReport(epochs=1, held_out=None),
    )


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_network_has_five_layers_of_the_sizes_in_the_mission() -> None:
    """26-256-128-64-10."""
    sizes = [26, *(layer.units for layer in build_network(PLAN).layers if isinstance(layer, keras.layers.Dense))]
    assert sizes == [26, 256, 128, 64, 10]


def test_the_shipped_litert_network_is_the_keras_network() -> None:
    """To 1e-5 on random vectors, and on such as are far out."""
    vectors = np.random.default_rng(0).normal(0, 3, (500, 26)).astype(np.float32)
    expected = keras.saving.load_model(MODEL / "network.keras", compile=False).predict(vectors, verbose=0)
    np.testing.assert_allclose(GenreModel(MODEL).probabilities(vectors), expected, atol=1e-5)


def test_training_makes_a_model_that_tells_the_genres_of_the_table_apart(trained: tuple[Path, TrainingReport]) -> None:
    """All its files and nothing beside them, and every track of the table is told rightly."""
    folder, report = trained
    assert files_of(folder) == sorted(training._MODEL_FILES)
    assert files_of(folder.parent) == ["tiny"]
    model = GenreModel(folder)
    assert evaluate(model.probabilities(model.standardise(TABLE.features)), TABLE).track_accuracy == 1.0
    assert 1 <= report.epochs <= 12


def test_scaler_and_midpoints_are_those_of_the_rows(trained: tuple[Path, TrainingReport]) -> None:
    """Standardised rows have mean 0 and deviation 1; a genre that the table lacks gets the middle of all."""
    model = GenreModel(trained[0])
    vectors = model.standardise(TABLE.features)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(vectors.std(axis=0), 1, atol=1e-5)
    jazz = vectors[TABLE.labels == LABELS.index(Genre.JAZZ)]
    np.testing.assert_allclose(model.midpoints[Genre.JAZZ], jazz.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(model.midpoints[Genre.REGGAE], np.zeros(26), atol=1e-5)


def test_the_card_gives_the_figures_that_were_measured(trained: tuple[Path, TrainingReport]) -> None:
    """On the three tracks kept apart."""
    folder, report = trained
    assert report.held_out is not None
    assert report.held_out.tracks == 3
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"**{100 * report.held_out.track_accuracy:.1f} %**" in card
    assert "36 pieces of 12 tracks by 12 artists" in card


def test_one_seed_gives_one_network_and_another_seed_another() -> None:
    """To the last bit of every weight."""
    weights = [
        np.concatenate([weight.ravel() for weight in training._fit(TABLE, epochs=1, plan=plan)[0].get_weights()])
        for plan in (replace(PLAN, seed=1), replace(PLAN, seed=1), replace(PLAN, seed=2))
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.allclose(weights[0], weights[2], atol=1e-3)


def test_an_old_model_is_replaced_whole(tmp_path: Path, write: Callable[..., None]) -> None:
    """Nothing of the old one stays, and nothing beside it; the card claims no figure that nobody measured."""
    write(tmp_path / "tiny", name="old")
    write(tmp_path / "tiny", name="new")
    assert GenreModel(tmp_path / "tiny").name == "new"
    assert files_of(tmp_path) == ["tiny"]
    assert "Not measured" in (tmp_path / "tiny" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_failure_while_writing_leaves_the_old_model_and_no_remains(
    tmp_path: Path, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the disk is full when the card, the last file, is written."""
    write(tmp_path / "tiny", name="old")
    write_text = Path.write_text

    def full_disk(path: Path, text: str, **options: str) -> int:
        if path.name == "MODEL_CARD.md":
            raise OSError(28, "No space left on device")
        return write_text(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(ModelError, match="No space left"):
        write(tmp_path / "tiny", name="new")
    assert GenreModel(tmp_path / "tiny").name == "old"
    assert files_of(tmp_path) == ["tiny"]


def test_an_old_model_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very last step failed, after the old one was moved away."""
    write(tmp_path / "tiny", name="old")
    rename = Path.rename

    def refuse_fresh(path: Path, target: Path) -> Path:
        if path.name == "model":
            raise OSError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_fresh)
    with pytest.raises(ModelError, match="Permission denied"):
        write(tmp_path / "tiny", name="new")
    assert GenreModel(tmp_path / "tiny").name == "old"
    assert files_of(tmp_path) == ["tiny"]


def test_a_folder_that_holds_other_things_is_never_replaced(tmp_path: Path) -> None:
    """Or a mistyped --out would remove somebody's music; told before the training, not after."""
    folder = tmp_path / "music"
    folder.mkdir()
    (folder / "song.mp3").write_bytes(b"music")
    with pytest.raises(ModelError, match=r"music holds 'song\.mp3', which is no part of a model"):
        train_model(TABLE, folder, name="tiny", plan=PLAN)
    assert (folder / "song.mp3").read_bytes() == b"music"


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """With its path, and the file stays."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelError, match="cannot be written to"):
        train_model(TABLE, tmp_path / "file", name="tiny", plan=PLAN)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_single_artist_is_not_enough(tmp_path: Path) -> None:
    """Nobody is left to tell when to stop; and nothing is written."""
    one_artist = replace(TABLE.rows(TABLE.split == "train"), groups=np.array(["artist One"] * 27))
    with pytest.raises(ModelError, match="single artist"):
        train_model(one_artist, tmp_path / "tiny", name="tiny", plan=PLAN)
    assert files_of(tmp_path) == []

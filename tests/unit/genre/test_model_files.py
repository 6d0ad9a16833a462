"""A model is written whole or not at all, and its card says what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dnai.config import MODELS_DIR
from dnai.errors import ModelError
from dnai.genre.model import GenreModel
from dnai.genre.record import Learned, TrainingRecord, fingerprints, read_record
from dnai.genre.space import define_space
from dnai.genre.table import LABELS, FeatureTable
from dnai.tracks import Genre
from tests.unit.genre.conftest import made_table

pytest.importorskip("matplotlib", reason="matplotlib is in the train extra only")

from dnai.genre.model_files import LearnedModel, check_place, write_model

TABLE = made_table()
SPACE = define_space("librosa26", MODELS_DIR / "librosa26")


def learned(table: FeatureTable = TABLE) -> LearnedModel:
    """The shipped network, with the scaler of a table."""
    shipped = MODELS_DIR / "librosa26"

    def save_keras(path: Path) -> None:
        path.write_bytes((shipped / "network.keras").read_bytes())

    mean, scale = table.features.mean(axis=0), table.features.std(axis=0)
    return LearnedModel((shipped / "network.tflite").read_bytes(), save_keras, mean=mean, scale=scale)


def record(*, unknown_artists: int = 0) -> TrainingRecord:
    """The shipped model's record, as if it had learned from the made table."""
    counts = Learned(pieces=len(TABLE), tracks=18, groups=18, unknown_artists=unknown_artists)
    return replace(read_record(MODELS_DIR / "librosa26"), learned=counts, heard=fingerprints(TABLE))


def write(folder: Path, *, unknown_artists: int = 0, length_one: bool = True) -> Path:
    """Write a model of the made table; return its folder."""
    space = replace(SPACE, length_one=length_one)
    write_model(folder, learned(), space=space, table=TABLE, record=record(unknown_artists=unknown_artists))
    return folder


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_that_a_peer_needs_is_written(tmp_path: Path) -> None:
    """In a folder whose parent was not there, and nothing beside it."""
    folder = write(tmp_path / "models" / "tiny")
    assert files_of(folder.parent) == ["tiny"]
    assert files_of(folder) == [
        "MODEL_CARD.md",
        "calibration.png",
        "confusion.png",
        "learning_curve.png",
        "midpoints.json",
        "model.json",
        "network.keras",
        "network.tflite",
        "scaler.json",
        "training.json",
    ]
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in files_of(folder) if name.endswith("png"))
    assert read_record(folder).heard.rows(TABLE).all()


@pytest.mark.parametrize("length_one", [False, True])
def test_scaler_and_midpoints_are_those_of_the_rows(tmp_path: Path, length_one: bool) -> None:
    """Midpoints are means over tracks, in the space; a genre that the table lacks gets the middle of all."""
    model = GenreModel(write(tmp_path / "tiny", length_one=length_one))
    standardised = model.standardise(TABLE.features)
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(standardised.std(axis=0), 1, atol=1e-5)
    vectors = model.vectors(TABLE.features)
    jazz = vectors[TABLE.labels == LABELS.index(Genre.JAZZ)]
    np.testing.assert_allclose(model.midpoints[Genre.JAZZ], jazz.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(model.midpoints[Genre.REGGAE], vectors.mean(axis=0), atol=1e-5)


def test_the_card_gives_the_figures_of_the_record(tmp_path: Path) -> None:
    """The honest one, the leaky one beside it under its name, and what is not known."""
    card = (write(tmp_path / "tiny", unknown_artists=7) / "MODEL_CARD.md").read_text(encoding="utf-8")
    figures, leaky = record().figures, record().leaky_accuracy
    assert f"**{100 * figures.tracks.accuracy.value:.1f} %" in card
    assert f"{100 * leaky[1]:.1f} % | {100 * leaky[0]:.1f} %" in card
    assert "not a measure of hearing" in card
    assert "54 pieces of 18 tracks" in card
    assert "The artist of 7 tracks is not known" in card
    assert all(f"({name})" in card for name in ("confusion.png", "learning_curve.png", "calibration.png"))


def test_a_card_of_known_artists_does_not_doubt_them(tmp_path: Path) -> None:
    """The remark is there where it is true."""
    card = (write(tmp_path / "tiny") / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "the artist may stand on both sides" not in card


def test_an_old_model_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing of the old one stays, and nothing beside it."""
    old = GenreModel(write(tmp_path / "tiny", length_one=False))
    new = GenreModel(write(tmp_path / "tiny", length_one=True))
    assert old.space_id != new.space_id
    assert old.feature_id == new.feature_id
    assert files_of(tmp_path) == ["tiny"]


@pytest.mark.parametrize("full_at", ["MODEL_CARD.md", "scaler.json"])
def test_a_failure_while_writing_leaves_the_old_model_and_no_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_at: str
) -> None:
    """Here the disk is full at one of the files."""
    space_id = GenreModel(write(tmp_path / "tiny", length_one=False)).space_id
    write_text = Path.write_text

    def full_disk(path: Path, text: str, **options: str) -> int:
        if path.name == full_at:
            raise OSError(28, "No space left on device")
        return write_text(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(ModelError, match="No space left"):
        write(tmp_path / "tiny")
    assert GenreModel(tmp_path / "tiny").space_id == space_id
    assert files_of(tmp_path) == ["tiny"]


def test_an_old_model_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very last step failed, after the old one was moved away."""
    space_id = GenreModel(write(tmp_path / "tiny", length_one=False)).space_id
    rename = Path.rename

    def refuse_fresh(path: Path, target: Path) -> Path:
        if path.name == "model":
            raise OSError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_fresh)
    with pytest.raises(ModelError, match="Permission denied"):
        write(tmp_path / "tiny")
    assert GenreModel(tmp_path / "tiny").space_id == space_id
    assert files_of(tmp_path) == ["tiny"]


def test_a_folder_that_holds_other_things_is_never_replaced(tmp_path: Path) -> None:
    """Or a mistyped --out would remove somebody's music; a file in its place is left alone, too."""
    folder = tmp_path / "music"
    folder.mkdir()
    (folder / "song.mp3").write_bytes(b"music")
    with pytest.raises(ModelError, match=r"music holds 'song\.mp3', which is no part of a model"):
        check_place(folder)
    with pytest.raises(ModelError, match="no part of a model"):
        write(folder)
    assert (folder / "song.mp3").read_bytes() == b"music"
    other = tmp_path / "other"
    other.mkdir()
    (other / "training.json").write_text("of another program")
    with pytest.raises(ModelError, match=r"other holds 'training\.json', which is no part of a model"):
        check_place(other)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelError, match="cannot be written to"):
        check_place(tmp_path / "file")


def test_the_network_that_measures_the_features_is_copied_into_the_model(tmp_path: Path) -> None:
    """And belongs to what the manifest vouches for."""
    space = define_space("musicnn200", MODELS_DIR / "musicnn200")
    assert [path.name for path in space.files] == ["embedding.tflite", "LICENSE.musicnn"]
    with pytest.raises(ModelError, match=r"embedding\.tflite is missing: dnai model import-musicnn writes it"):
        define_space("musicnn200", tmp_path)
    with pytest.raises(ModelError, match="no feature space 'other'; there are librosa26 and musicnn200"):
        define_space("other", tmp_path)
    model = GenreModel(MODELS_DIR / "musicnn200")
    assert model.feature_definition == space.feature_definition

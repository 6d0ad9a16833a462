"""The model that is shipped, and what is said of folders that are no such model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnai.audio.features import FEATURE_DEFINITION, FEATURE_NAMES
from dnai.errors import ModelError, UsageError
from dnai.genre.model import GenreModel, Manifest, Scaler, file_sha256, make_model_id, make_space_id
from dnai.tracks import Genre
from tests.unit.genre.conftest import MODEL, renamed_hash, rewrite


@pytest.fixture(scope="module")
def model() -> GenreModel:
    """The model of the project."""
    return GenreModel(MODEL)


def vectors(count: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, len(FEATURE_NAMES))).astype(np.float32)


def test_the_shipped_model_knows_our_features_and_all_genres(model: GenreModel) -> None:
    """Twenty-six features by name and definition, ten labels, a midpoint for each."""
    assert model.dimension == 26
    assert model.feature_names == FEATURE_NAMES
    assert model.feature_definition == FEATURE_DEFINITION
    assert set(model.labels) == set(model.midpoints) == set(Genre)
    assert {midpoint.shape for midpoint in model.midpoints.values()} == {(26,)}


def test_probabilities_are_probabilities(model: GenreModel) -> None:
    """Ten for each row, from 0 to 1, with the sum 1; and none for no row."""
    rows = model.probabilities(vectors(50))
    assert rows.shape == (50, 10)
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)


def test_one_row_is_answered_as_in_a_batch(model: GenreModel) -> None:
    """Whatever was asked before."""
    rows = vectors(20)
    together = model.probabilities(rows)
    for i in (0, 7, 19):
        np.testing.assert_allclose(model.probabilities(rows[i : i + 1])[0], together[i], atol=1e-6)


def test_the_answer_is_the_most_probable_genre_with_its_probability(model: GenreModel) -> None:
    """Labels are in the order of the network's answers."""
    rows = vectors(20)
    for row, answer in zip(model.probabilities(rows), model.classify(rows), strict=True):
        assert answer.confidence == pytest.approx(row.max())
        assert answer.genre is model.labels[int(row.argmax())]


def test_the_network_tells_most_midpoints_for_what_they_are(model: GenreModel) -> None:
    """Were labels or scaler mixed up, chance would give one of ten."""
    answers = model.classify(np.stack([model.midpoints[genre] for genre in Genre]))
    assert sum(answer.genre is genre for answer, genre in zip(answers, Genre, strict=True)) >= 7


def test_standardising_is_minus_mean_by_scale(model: GenreModel) -> None:
    """By hand, from the numbers in the scaler's file; float32, as vectors are."""
    scaler = json.loads((MODEL / "scaler.json").read_text(encoding="utf-8"))
    features = np.array([scaler["mean"], np.array(scaler["mean"]) + 2 * np.array(scaler["scale"])])
    standardised = model.standardise(features)
    assert standardised.dtype == np.float32
    np.testing.assert_allclose(standardised, [[0] * 26, [2] * 26], atol=1e-6)


@pytest.mark.parametrize("shape", [(26,), (1, 25), (0, 3)])
def test_features_of_another_shape_are_refused(model: GenreModel, shape: tuple[int, ...]) -> None:
    """With the shape that is expected."""
    with pytest.raises(UsageError, match=r"\(n, 26\)"):
        model.standardise(np.zeros(shape))


def test_several_threads_get_their_own_answers(model: GenreModel) -> None:
    """The interpreter serves one at a time; nobody sees another's rows."""
    batches = [vectors(n + 1, seed=n) for n in range(24)]
    expected = [model.probabilities(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for ours, theirs in zip(expected, pool.map(model.probabilities, batches * 1), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_ids_change_with_what_they_stand_for(model: GenreModel) -> None:
    """The space with features and scaler, the classifier with network and labels, and neither with the other."""
    labels = tuple(Genre)
    manifest = Manifest(1, "m", "definition", ("a", "b"), labels, {"network.tflite": "00"})
    other_network = Manifest(1, "m", "definition", ("a", "b"), labels, {"network.tflite": "11"})
    scaler, other_scaler = Scaler((0.0, 0.0), (1.0, 1.0)), Scaler((0.0, 0.0), (1.0, 2.0))
    assert make_space_id(manifest, scaler) != make_space_id(manifest, other_scaler)
    assert make_space_id(manifest, scaler) == make_space_id(other_network, scaler)
    assert make_model_id(manifest) != make_model_id(other_network)
    assert model.space_id.startswith("librosa26-")
    assert GenreModel(MODEL).space_id == model.space_id


@pytest.mark.parametrize("name", ["model.json", "scaler.json", "midpoints.json", "network.tflite"])
def test_a_missing_file_is_named(model_copy: Path, name: str) -> None:
    """Each of those that are needed to run."""
    (model_copy / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}.*is missing"):
        GenreModel(model_copy)


def test_the_network_of_keras_is_not_needed_to_run(model_copy: Path) -> None:
    """It is there to train on."""
    (model_copy / "network.keras").unlink()
    assert GenreModel(model_copy).dimension == 26


@pytest.mark.parametrize("name", ["scaler.json", "midpoints.json", "network.tflite"])
def test_an_altered_file_is_named(model_copy: Path, name: str) -> None:
    """One byte more is enough."""
    (model_copy / name).write_bytes((model_copy / name).read_bytes() + b" ")
    with pytest.raises(ModelError, match=rf"{name} was altered"):
        GenreModel(model_copy)


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_a_model_of_another_format_says_which(model_copy: Path, version: object) -> None:
    """Before anything else in it is looked at."""
    rewrite(model_copy, "model.json", lambda _: {"format_version": version, "whatever": "comes"})
    with pytest.raises(ModelError, match=rf"format {version}; this program reads format 1"):
        GenreModel(model_copy)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"format_version": 1}'])
def test_a_manifest_that_is_none_is_named(model_copy: Path, content: bytes) -> None:
    """Empty, of another shape, cut off, no text, incomplete."""
    (model_copy / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.json cannot be read"):
        GenreModel(model_copy)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("scaler.json", lambda s: {**s, "mean": s["mean"][:-1]}, "one mean and one scale for each of 26"),
        ("scaler.json", lambda s: {**s, "scale": [*s["scale"], 1.0]}, "one mean and one scale for each of 26"),
        ("scaler.json", lambda s: {**s, "scale": [0.0, *s["scale"][1:]]}, "cannot scale"),
        ("scaler.json", lambda s: {**s, "scale": ["x", *s["scale"][1:]]}, "cannot be read"),
        ("midpoints.json", lambda m: {**m, "jazz": m["jazz"][:-1]}, "26 finite numbers for each of the ten"),
        ("midpoints.json", lambda m: {g: v for g, v in m.items() if g != "jazz"}, "26 finite numbers for each"),
        ("midpoints.json", lambda m: {**m, "techno": m["jazz"]}, "cannot be read"),
        ("model.json", lambda m: {**m, "labels": m["labels"][:-1]}, "each of the ten genres once"),
        ("model.json", lambda m: {**m, "labels": [*m["labels"], "jazz"]}, "each of the ten genres once"),
        ("model.json", lambda m: {**m, "sha256": {}}, "gives no SHA-256 of midpoints.json, network.tflite, scaler"),
        ("model.json", lambda m: {**m, "name": "../evil"}, "cannot be read"),
        ("model.json", lambda m: {**m, "surprise": 1}, "cannot be read"),
    ],
)
def test_wrong_content_is_named(model_copy: Path, name: str, change: Callable[[Any], Any], reason: str) -> None:
    """Sizes that do not fit, numbers that cannot be, names that are not known."""
    rewrite(model_copy, name, change)
    with pytest.raises(ModelError, match=rf"{name.split('.')[0]}.*{reason}"):
        GenreModel(model_copy)


def test_a_network_of_another_size_is_refused_when_it_is_loaded(model_copy: Path) -> None:
    """And not at the first song: here the network has 26 inputs, and all the rest says 25."""
    rewrite(model_copy, "model.json", lambda m: {**m, "feature_names": m["feature_names"][:-1]})
    rewrite(model_copy, "scaler.json", lambda s: {name: numbers[:-1] for name, numbers in s.items()})
    rewrite(model_copy, "midpoints.json", lambda m: {genre: vector[:-1] for genre, vector in m.items()})
    with pytest.raises(ModelError, match=r"26 inputs and 10 outputs; the model names 25 features"):
        GenreModel(model_copy)


def test_a_network_that_is_none_is_named(model_copy: Path) -> None:
    """Although its SHA-256 is right."""
    (model_copy / "network.tflite").write_bytes(b"not a network")
    sha256 = file_sha256(model_copy / "network.tflite")
    rewrite(model_copy, "model.json", lambda manifest: renamed_hash(manifest, "network.tflite", sha256))
    with pytest.raises(ModelError, match=r"network\.tflite is not a network that LiteRT can run"):
        GenreModel(model_copy)


def test_a_folder_that_is_not_there_is_no_model(tmp_path: Path) -> None:
    """The message says which setting to change."""
    with pytest.raises(ModelError, match="DNAI_MODEL"):
        GenreModel(tmp_path / "nowhere")


def test_the_model_may_be_moved(tmp_path: Path, model: GenreModel) -> None:
    """Nothing in it depends on where it stands."""
    moved = GenreModel(Path(shutil.copytree(MODEL, tmp_path / "elsewhere")))
    assert (moved.space_id, moved.model_id) == (model.space_id, model.model_id)

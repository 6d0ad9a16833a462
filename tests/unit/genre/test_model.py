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
from numpy.typing import NDArray

from dnai.audio.features import FEATURE_DEFINITION, FEATURE_NAMES
from dnai.errors import ModelError, UsageError
from dnai.genre.model import (
    FORMAT_VERSION,
    GenreModel,
    Scaler,
    file_sha256,
    make_feature_id,
    make_model_id,
    make_space_id,
    scale_to_length_one,
)
from dnai.tracks import Genre
from tests.models import copy_model, identify
from tests.unit.genre.conftest import MODEL, renamed_hash, rewrite


@pytest.fixture(scope="module")
def model() -> GenreModel:
    """The model of the project."""
    return GenreModel(MODEL)


def raw(model: GenreModel, count: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Raw features as music might have them: scattered about the scaler's mean."""
    scaler = json.loads((MODEL / "scaler.json").read_text(encoding="utf-8"))
    scattered = np.random.default_rng(seed).normal(size=(count, model.dimension))
    features: NDArray[np.float64] = np.array(scaler["mean"]) + np.array(scaler["scale"]) * scattered
    return features


def test_the_shipped_model_knows_our_features_and_all_genres(model: GenreModel) -> None:
    """Twenty-six features by name and definition, ten labels, a midpoint for each."""
    assert model.dimension == 26
    assert model.feature_names == FEATURE_NAMES
    assert model.feature_definition == FEATURE_DEFINITION
    assert set(model.labels) == set(model.midpoints) == set(Genre)
    assert {midpoint.shape for midpoint in model.midpoints.values()} == {(26,)}


def test_probabilities_are_probabilities(model: GenreModel) -> None:
    """Ten for each row, from 0 to 1, with the sum 1; and none for no row."""
    rows = model.probabilities(raw(model, 50))
    assert rows.shape == (50, 10)
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)


def test_one_row_is_answered_as_in_a_batch(model: GenreModel) -> None:
    """Whatever was asked before."""
    rows = raw(model, 20)
    together = model.probabilities(rows)
    for i in (0, 7, 19):
        np.testing.assert_allclose(model.probabilities(rows[i : i + 1])[0], together[i], atol=1e-6)


def test_the_answer_is_the_most_probable_genre_with_its_probability(model: GenreModel) -> None:
    """Labels are in the order of the network's answers."""
    rows = raw(model, 20)
    for row, answer in zip(model.probabilities(rows), model.classify(rows), strict=True):
        assert answer.confidence == pytest.approx(row.max())
        assert answer.genre is model.labels[int(row.argmax())]


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
    batches = [raw(model, n + 1, seed=n) for n in range(24)]
    expected = [model.probabilities(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for ours, theirs in zip(expected, pool.map(model.probabilities, batches * 1), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_vectors_are_standardised_and_of_length_one_where_the_space_asks_for_it(tmp_path: Path) -> None:
    """The same features in two spaces: as they are, and scaled; a vector of zeros stays one."""
    plain = GenreModel(copy_model(tmp_path / "plain", length_one=False))
    scaled = GenreModel(copy_model(tmp_path / "scaled", length_one=True))
    features = raw(plain, 5)
    np.testing.assert_array_equal(plain.vectors(features), plain.standardise(features))
    np.testing.assert_allclose(np.linalg.norm(scaled.vectors(features), axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(scaled.standardise(features), plain.standardise(features))
    assert plain.space_id != scaled.space_id
    assert not scale_to_length_one(np.zeros((1, 3), dtype=np.float32)).any()


def test_the_distance_of_vectors_of_length_one_ranks_as_the_cosine_does() -> None:
    """distance² = 2 − 2 · cosine."""
    rows = scale_to_length_one(np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32))
    distances = np.linalg.norm(rows[1:] - rows[0], axis=1)
    np.testing.assert_allclose(distances**2, 2 - 2 * rows[1:] @ rows[0], atol=1e-5)


def test_answers_are_sure_from_the_models_own_threshold_on(tmp_path: Path) -> None:
    """With the threshold at one of the confidences, this answer and the more confident ones are sure."""
    rows = raw(GenreModel(MODEL), 9)
    confidences = sorted(answer.confidence for answer in GenreModel(MODEL).classify(rows))
    model = GenreModel(copy_model(tmp_path / "copy", sure_from=confidences[4]))
    assert sorted(answer.confidence for answer in model.classify(rows) if answer.is_sure) == confidences[4:]


def test_ids_change_with_what_they_stand_for(model: GenreModel) -> None:
    """Raw features by definition and names; the space with the scaler too; the classifier with network and labels."""
    scaler, other_scaler = Scaler((0.0, 0.0), (1.0, 1.0)), Scaler((0.0, 0.0), (1.0, 2.0))
    space = make_space_id("m", "definition", ("a", "b"), scaler, length_one=False)
    assert space != make_space_id("m", "definition", ("a", "b"), other_scaler, length_one=False)
    assert space != make_space_id("m", "definition", ("a", "b"), scaler, length_one=True)
    assert space != make_space_id("m", "other", ("a", "b"), scaler, length_one=False)
    assert make_feature_id("m", "definition", ("a", "b")) != make_feature_id("m", "other", ("a", "b"))
    labels = tuple(Genre)
    classifier = make_model_id("m", labels, sure_from=0.5, network_sha256="00")
    assert classifier != make_model_id("m", labels, sure_from=0.5, network_sha256="11")
    assert classifier != make_model_id("m", labels, sure_from=0.6, network_sha256="00")
    assert model.space_id.startswith("librosa26-")
    assert GenreModel(MODEL).space_id == model.space_id


@pytest.mark.parametrize(("key", "what"), [("space_id", "space"), ("model_id", "model")])
def test_an_id_that_does_not_fit_the_content_is_told(model_copy: Path, key: str, what: str) -> None:
    """Somebody wrote into the manifest: vectors would be compared that are not of one space."""
    rewrite(model_copy, "model.json", lambda manifest: {**manifest, key: "librosa26-0123456789abcdef"})
    with pytest.raises(ModelError, match=rf"model\.json was altered: its {what} id is librosa26-0123456789abcdef"):
        GenreModel(model_copy)


def test_a_threshold_that_was_changed_by_hand_is_told(model_copy: Path) -> None:
    """It is part of what the classifier's id is made from."""
    rewrite(model_copy, "model.json", lambda manifest: {**manifest, "sure_from": 0.1})
    with pytest.raises(ModelError, match="was altered: its model id"):
        GenreModel(model_copy)


def test_files_outside_the_folder_are_not_looked_at(model_copy: Path) -> None:
    """A manifest names files, not paths."""
    rewrite(model_copy, "model.json", lambda m: {**m, "sha256": {**m["sha256"], "../x": "00"}})
    with pytest.raises(ModelError, match=r"names a file outside the folder: '\.\./x'"):
        GenreModel(model_copy)


@pytest.mark.parametrize(
    "name", ["model.json", "scaler.json", "midpoints.json", "network.tflite", "network.keras", "training.json"]
)
def test_a_missing_file_is_named(model_copy: Path, name: str) -> None:
    """Each of those that the manifest names."""
    (model_copy / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}.*is missing"):
        GenreModel(model_copy)


@pytest.mark.parametrize("name", ["scaler.json", "midpoints.json", "network.tflite"])
def test_an_altered_file_is_named(model_copy: Path, name: str) -> None:
    """One byte more is enough."""
    (model_copy / name).write_bytes((model_copy / name).read_bytes() + b" ")
    with pytest.raises(ModelError, match=rf"{name} was altered"):
        GenreModel(model_copy)


@pytest.mark.parametrize(
    ("version", "advice"),
    [(FORMAT_VERSION + 1, "update the program"), (1, "train it again"), ("2", "train it again"), (None, "train")],
)
def test_a_model_of_another_format_says_which_and_what_to_do(model_copy: Path, version: object, advice: str) -> None:
    """Before anything else in it is looked at."""
    rewrite(model_copy, "model.json", lambda _: {"format_version": version, "whatever": "comes"})
    with pytest.raises(ModelError, match=rf"format {version}; this program reads format {FORMAT_VERSION}: {advice}"):
        GenreModel(model_copy)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"format_version": 2}'])
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
    identify(model_copy)
    with pytest.raises(ModelError, match=r"26 inputs and 10 outputs; the model names 25 features"):
        GenreModel(model_copy)


def test_a_network_that_is_none_is_named(model_copy: Path) -> None:
    """Although its SHA-256 is right."""
    (model_copy / "network.tflite").write_bytes(b"not a network")
    sha256 = file_sha256(model_copy / "network.tflite")
    rewrite(model_copy, "model.json", lambda manifest: renamed_hash(manifest, "network.tflite", sha256))
    identify(model_copy)
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

"""Reading the pretrained network out of its package, and converting it: exactly, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is in the train extra only")

import keras
from keras import layers

from dnai.errors import ModelError
from dnai.genre import musicnn
from dnai.genre.embedding import EMBEDDING_FILE, EmbeddingNetwork
from dnai.genre.musicnn import (
    CHECKPOINT_SHA256,
    LICENCE_COPY,
    PretrainedNetwork,
    convert,
    expected_shapes,
    read_package,
    write_embedding,
)
from dnai.genre.package import DATA_FILE, INDEX_FILE, LICENCE_FILE
from tests.unit.genre.musicnn_package import (
    LICENCE,
    checkpoint_files,
    seeded_weights,
    write_installed,
    write_sdist,
    write_wheel,
)

# Keras hands TensorFlow arrays that do not know numpy 2's copy argument.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

WEIGHTS = seeded_weights()
FILES = checkpoint_files(WEIGHTS)
SHA256 = {name: hashlib.sha256(FILES[name]).hexdigest() for name in CHECKPOINT_SHA256}


def read(package: Path) -> PretrainedNetwork:
    return read_package(package, sha256=SHA256)


def as_layers() -> keras.Model:
    """The network as its authors describe it: each normalisation a layer, behind the layer that it normalises."""

    def name(kind: str, i: int) -> str:
        return f"{kind}_{i}" if i else kind

    def norm(i: int) -> layers.Layer:
        return layers.BatchNormalization(epsilon=1e-3, name=name("batch_normalization", i))

    def pooled(x: keras.KerasTensor, i: int, filters: int, kernel: tuple[int, int], padding: str) -> keras.KerasTensor:
        x = layers.Conv2D(filters, kernel, padding=padding, activation="relu", name=name("conv2d", i))(x)
        x = norm(i + 1)(x)
        x = layers.MaxPooling2D((1, x.shape[2]))(x)
        return layers.Reshape((187, filters))(x)

    def middle(x: keras.KerasTensor, i: int) -> keras.KerasTensor:
        x = layers.ZeroPadding2D(((3, 3), (0, 0)))(layers.Reshape((187, x.shape[2], 1))(x))
        x = layers.Conv2D(64, (7, x.shape[2]), activation="relu", name=name("conv2d", i))(x)
        return layers.Reshape((187, 64))(norm(i + 1)(x))

    patches = keras.Input((187, 96))
    x = norm(0)(layers.Reshape((187, 96, 1))(patches))
    padded = layers.ZeroPadding2D(((3, 3), (0, 0)))(x)
    front = layers.Concatenate()(
        [pooled(padded, i, 204, (7, width), "valid") for i, width in enumerate((38, 67))]
        + [pooled(x, i, 51, (frames, 1), "same") for i, frames in enumerate((128, 64, 32), start=2)]
    )
    first = middle(front, 5)
    second = layers.Add()([middle(first, 6), first])
    third = layers.Add()([middle(second, 7), second])
    together = layers.Concatenate()([front, first, second, third])
    loudest = layers.Reshape((753, 1))(layers.GlobalMaxPooling1D()(together))
    mean = layers.Reshape((753, 1))(layers.GlobalAveragePooling1D()(together))
    flat = norm(9)(layers.Flatten()(layers.Concatenate()([loudest, mean])))
    embedding = norm(10)(layers.Dense(200, activation="relu", name="dense")(flat))
    tags = layers.Dense(50, activation="sigmoid", name="dense_1")(embedding)
    network = keras.Model(patches, [embedding, tags])
    for layer in network.layers:
        if layer.weights:
            layer.set_weights([WEIGHTS[f"{layer.name}/{weight.name}"] for weight in layer.weights])
    return network


@pytest.mark.parametrize(
    ("write", "name"),
    [(write_wheel, "m.whl"), (write_sdist, "m.tar.gz"), (write_installed, "folder")],
    ids=["wheel", "sdist", "folder"],
)
def test_each_form_of_the_package_holds_the_same(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes]], Path], name: str
) -> None:
    """Every array to the last bit, without what the optimiser left; and the licence."""
    network = read(write(tmp_path / name, FILES))
    assert network.weights.keys() == WEIGHTS.keys()
    for array, content in network.weights.items():
        np.testing.assert_array_equal(content, WEIGHTS[array])
    assert network.licence == LICENCE


def test_the_folder_of_an_installed_package_will_do(tmp_path: Path) -> None:
    """Its licence stands beside it, as installers put it."""
    assert read(write_installed(tmp_path / "packages", FILES) / "musicnn").licence == LICENCE


def test_the_converted_network_is_the_one_of_the_layers(tmp_path: Path) -> None:
    """Moving and folding the normalisations changes no answer by more than 1e-4."""
    write_embedding(PretrainedNetwork(WEIGHTS, LICENCE), tmp_path / "models" / "musicnn200")
    patches = np.random.default_rng(1).uniform(0, 3, (3, 187, 96)).astype(np.float32)
    patches[1, 60:] = 0
    found = EmbeddingNetwork(tmp_path / "models" / "musicnn200" / EMBEDDING_FILE).run(patches)
    expected = [np.asarray(answer) for answer in as_layers()(patches)]
    assert expected[0].std() > 0.1
    for answer, layered in zip(found, expected, strict=True):
        np.testing.assert_allclose(answer, layered, atol=1e-4)
    assert (tmp_path / "models" / "musicnn200" / LICENCE_COPY).read_text(encoding="utf-8") == LICENCE
    assert len(list((tmp_path / "models" / "musicnn200").iterdir())) == 2


def test_one_checkpoint_gives_one_file() -> None:
    """To the last byte: the id of a space is made from it."""
    assert convert(WEIGHTS) == convert(dict(reversed(WEIGHTS.items())))


def test_the_network_has_as_many_numbers_as_is_known_of_it() -> None:
    """792,079, means and variances of the normalisations included."""
    assert sum(int(np.prod(shape)) for shape in expected_shapes().values()) == 792_079


@pytest.mark.parametrize("lacking", [INDEX_FILE, DATA_FILE, LICENCE_FILE])
@pytest.mark.parametrize(
    ("write", "name"),
    [(write_wheel, "m.whl"), (write_sdist, "m.tar.gz"), (write_installed, "folder")],
    ids=["wheel", "sdist", "folder"],
)
def test_a_package_without_one_of_the_files_is_told(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes]], Path], name: str, lacking: str
) -> None:
    """With the file that it lacks: the licence, too, without which the network may not be passed on."""
    package = write(tmp_path / name, {file: content for file, content in FILES.items() if file != lacking})
    with pytest.raises(ModelError, match=f"{name} is not the package musicnn: it has no {lacking}"):
        read(package)


@pytest.mark.parametrize("changed", [INDEX_FILE, DATA_FILE])
def test_another_checkpoint_is_refused_before_it_is_opened(tmp_path: Path, changed: str) -> None:
    """By its SHA-256."""
    package = write_wheel(tmp_path / "m.whl", {**FILES, changed: FILES[changed] + b"\0"})
    with pytest.raises(ModelError, match=rf"{changed} of .*m\.whl is not the one of musicnn 0\.1\.0: its SHA-256 is"):
        read(package)


def test_a_checkpoint_that_is_none_is_told(tmp_path: Path) -> None:
    """Even were its SHA-256 right."""
    files = {**FILES, INDEX_FILE: b"nothing", DATA_FILE: b"nothing"}
    sha256 = {name: hashlib.sha256(files[name]).hexdigest() for name in CHECKPOINT_SHA256}
    with pytest.raises(ModelError, match=r"the checkpoint of .*m\.whl cannot be read"):
        read_package(write_wheel(tmp_path / "m.whl", files), sha256=sha256)


def test_what_is_no_package_is_told(tmp_path: Path) -> None:
    """Nothing there, an empty folder, another kind of file, and archives that were cut off."""
    with pytest.raises(ModelError, match="there is no package at"):
        read(tmp_path / "nowhere.whl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty is not the package musicnn: it has no MSD_musicnn"):
        read(tmp_path / "empty")
    (tmp_path / "song.mp3").write_bytes(b"music" * 1000)
    with pytest.raises(ModelError, match=r"song\.mp3 is neither a wheel nor a source archive"):
        read(tmp_path / "song.mp3")
    whole = write_sdist(tmp_path / "m.tar.gz", FILES).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"cut\.tar\.gz cannot be read"):
        read(tmp_path / "cut.tar.gz")
    whole = write_wheel(tmp_path / "m.whl", FILES).read_bytes()
    (tmp_path / "cut.whl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"cut\.whl (cannot be read|is neither)"):
        read(tmp_path / "cut.whl")


def test_a_file_far_too_large_is_not_unpacked(tmp_path: Path) -> None:
    """A zip file of a few kilobytes may hold gigabytes."""
    package = write_wheel(tmp_path / "m.whl", {**FILES, DATA_FILE: bytes(65 << 20)})
    assert package.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match=r"is larger than any file of the package"):
        read(package)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("dense_1/bias"), "the checkpoint has no dense_1/bias"),
        (lambda w: w.update({"dense/bias": w["dense/bias"][:-1]}), r"dense/bias of the checkpoint has shape \(199,\)"),
    ],
    ids=["missing", "other shape"],
)
def test_a_network_of_another_build_is_told_and_nothing_written(
    tmp_path: Path, change: Callable[[dict[str, np.ndarray]], object], message: str
) -> None:
    """With the array that is not as it should be."""
    weights = dict(WEIGHTS)
    change(weights)
    with pytest.raises(ModelError, match=message):
        write_embedding(PretrainedNetwork(weights, LICENCE), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_conversion_leaves_the_old_file_and_no_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT must answer what TensorFlow answers before anything is replaced."""
    (tmp_path / EMBEDDING_FILE).write_bytes(b"old")
    other = {**WEIGHTS, "dense/bias": WEIGHTS["dense/bias"] + 1}
    converted = convert(other)
    monkeypatch.setattr(musicnn, "convert", lambda _weights: converted)
    with pytest.raises(ModelError, match="the converted network is wrong: its embedding is off by"):
        write_embedding(PretrainedNetwork(WEIGHTS, LICENCE), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [EMBEDDING_FILE]
    assert (tmp_path / EMBEDDING_FILE).read_bytes() == b"old"


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """With its path, and the file stays."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelError, match=r"the network cannot be written to .*file"):
        write_embedding(PretrainedNetwork(WEIGHTS, LICENCE), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"

"""The pretrained network MSD_musicnn: read out of the package `musicnn`, converted to LiteRT.

Imports TensorFlow, to read the checkpoint and to convert; running the converted file needs none of
this (`dnai.genre.embedding`).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dnai.audio.decode import quiet_stderr
from dnai.audio.mel import N_MELS, PATCH_FRAMES
from dnai.errors import ModelError
from dnai.genre.embedding import EMBEDDING_FILE, EmbeddingNetwork
from dnai.genre.package import DATA_FILE, INDEX_FILE, LICENCE_FILE, read_files

LICENCE_COPY = "LICENSE.musicnn"

CHECKPOINT_SHA256: Final[Mapping[str, str]] = MappingProxyType(
    {
        INDEX_FILE: "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
        DATA_FILE: "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
    }
)
"""The checkpoint of musicnn 0.1.0; of its numbers the feature space is made."""

_CONVOLUTIONS: Final = (
    (7, 38, 1, 204),
    (7, 67, 1, 204),
    (128, 1, 1, 51),
    (64, 1, 1, 51),
    (32, 1, 1, 51),
    (7, 561, 1, 64),
    (7, 64, 1, 64),
    (7, 64, 1, 64),
)
_DENSE: Final = ((1506, 200), (200, 50))
_NORMS: Final = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)
_TIMBRAL: Final = 2
_TEMPORAL: Final = 3
_EPSILON: Final = 1e-3
_BINS: Final = N_MELS // 2 + 1
_FRAMES_AT_ONCE: Final = 34
_TOLERANCE: Final = 1e-3

_Array = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class PretrainedNetwork:
    """The checkpoint's arrays by name, and the licence that they come under."""

    weights: Weights
    licence: str


def read_package(package: Path, *, sha256: Mapping[str, str] = CHECKPOINT_SHA256) -> PretrainedNetwork:
    """Return the pretrained network out of a wheel, a source archive or an unpacked folder of `musicnn`.

    Parameters
    ----------
    package
        The file or folder.
    sha256
        What each file of the checkpoint must have.

    Raises
    ------
    ModelError
        When the package cannot be read, has not all files, or holds another checkpoint.
    """
    files = read_files(package)
    for name, expected in sha256.items():
        found = hashlib.sha256(files[name]).hexdigest()
        if found != expected:
            raise ModelError(
                f"{name} of {package} is not the one of musicnn 0.1.0: its SHA-256 is {found}, not {expected}"
            )
    weights = _read_checkpoint(files[INDEX_FILE], files[DATA_FILE], package)
    return PretrainedNetwork(weights, files[LICENCE_FILE].decode("utf-8", errors="replace"))


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every array that the network is made of."""
    shapes: dict[str, tuple[int, ...]] = {}
    for kind, kernels in (("conv2d", _CONVOLUTIONS), ("dense", _DENSE)):
        for i, shape in enumerate(kernels):
            shapes |= {f"{_numbered(kind, i)}/kernel": shape, f"{_numbered(kind, i)}/bias": shape[-1:]}
    for i, size in enumerate(_NORMS):
        name = _numbered("batch_normalization", i)
        shapes |= {f"{name}/{part}": (size,) for part in ("beta", "gamma", "moving_mean", "moving_variance")}
    return shapes


def convert(weights: Weights) -> bytes:
    """Return the network as a LiteRT file: a patch ``(1, 187, 96)`` → embedding ``(1, 200)`` and tags ``(1, 50)``.

    Weights stay float32: rounded to float16 they move the embedding by up to 0.008.

    Raises
    ------
    ModelError
        When an array is missing or has another shape, or TensorFlow does not convert it.
    """
    _check_shapes(weights)
    patch = tf.TensorSpec((1, PATCH_FRAMES, N_MELS), tf.float32, name="patch")
    function = tf.function(build(weights)).get_concrete_function(patch)
    try:
        with quiet_stderr():
            converted: bytes = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ModelError(f"TensorFlow does not convert the network: {error}") from error
    return converted


def write_embedding(network: PretrainedNetwork, folder: Path) -> None:
    """Write ``embedding.tflite`` and ``LICENSE.musicnn`` into `folder`: both, or neither.

    Raises
    ------
    ModelError
        As `convert`; or when the file does not answer as the network does, or cannot be written.
    """
    converted = convert(network.weights)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".import-") as scratch:
            fresh, licence = Path(scratch) / EMBEDDING_FILE, Path(scratch) / LICENCE_COPY
            fresh.write_bytes(converted)
            licence.write_text(network.licence, encoding="utf-8")
            _check_conversion(network.weights, fresh)
            # The licence first: the network never stands without it.
            licence.replace(folder / LICENCE_COPY)
            fresh.replace(folder / EMBEDDING_FILE)
    except OSError as error:
        raise ModelError(f"the network cannot be written to {folder}: {error}") from error


def build(weights: Weights) -> Callable[[Any], dict[str, Any]]:
    """Return the network as a function of TensorFlow: a patch ``(1, 187, 96)`` → ``embedding`` and ``tags``.

    The same as the layers in the checkpoint, but for rounding: batch normalisation and ReLU stand
    behind the maximum over frequency, where there is less to do, and the normalisation
    before the dense layer is part of its weights.
    """

    def network(patch: Any) -> dict[str, Any]:  # noqa: ANN401  # TensorFlow ships no types
        x = _affine(tf.expand_dims(patch, 3), _norm(weights, 0))
        front = tf.concat([_front(x, weights, i) for i in range(_TIMBRAL + _TEMPORAL)], axis=2)
        first = _middle(front, weights, 5)
        second = _middle(first, weights, 6) + first
        third = _middle(second, weights, 7) + second
        return _back(tf.concat([front, first, second, third], axis=2), weights)

    return network


def _front(x: Any, weights: Weights, i: int) -> Any:  # noqa: ANN401
    """Convolution `i` of those side by side, its ReLU and normalisation, and the maximum over frequency.

    A channel that the normalisation multiplies by a negative number is turned round before the
    maximum and back after it, so that ReLU and normalisation can follow the maximum.
    """
    scale, shift = _norm(weights, i + 1)
    sign = np.where(scale < 0, -1.0, 1.0)
    kernel, bias = _kernel(weights, "conv2d", i)
    loudest = (_loudest_timbral if i < _TIMBRAL else _loudest_temporal)(x, kernel * sign) + _constant(bias * sign)
    return _affine(tf.nn.relu(loudest * _constant(sign)), (scale, shift))


def _loudest_timbral(x: Any, kernel: _Array) -> Any:  # noqa: ANN401
    """A convolution padded in time alone, and its maximum over frequency: ``(1, 187, 96, 1)`` → ``(1, 187, filters)``.

    By way of the Fourier transform over the bands, where a convolution is a product, and a few frames
    at a time, so that what is in between stays in the processor's cache: less than half the time.
    """
    frames, width, _, filters = kernel.shape
    to_bins, to_bands = _fourier(N_MELS - width + 1)
    padded = tf.pad(x[0, :, :, 0], [[frames // 2, frames // 2], [0, 0]])
    spectra = tf.transpose(tf.reshape(padded @ _constant(to_bins), (-1, _BINS, 2)), (1, 0, 2))
    under_kernel = tf.concat([spectra[:, i : i + PATCH_FRAMES] for i in range(frames)], axis=2)
    twice = tf.tile(tf.expand_dims(under_kernel, 1), (1, 2, 1, 1))
    factors, bands = _constant(_kernel_spectrum(kernel)), _constant(to_bands)
    parts = []
    for first in range(0, PATCH_FRAMES, _FRAMES_AT_ONCE):
        products = twice[:, :, first : first + _FRAMES_AT_ONCE] @ factors
        convolved = bands @ tf.reshape(products, (2 * _BINS, products.shape[2] * filters))
        parts.append(tf.reshape(tf.reduce_max(convolved, axis=0), (1, -1, filters)))
    return tf.concat(parts, axis=1)


def _fourier(positions: int) -> tuple[_Array, _Array]:
    """The transform of the bands, ``(96, 98)``, and back to so many positions, ``(positions, 98)``.

    The 98 numbers are real and imaginary part of each of 49 bins.
    """
    phase = 2 * np.pi / N_MELS * np.outer(np.arange(N_MELS), np.arange(_BINS))
    to_bins = np.stack([np.cos(phase), -np.sin(phase)], axis=2)
    # All bins but the first and the last stand for two, which are each other's conjugate.
    share = np.where(np.arange(_BINS) % (_BINS - 1) == 0, 1, 2)[:, np.newaxis] / N_MELS
    return to_bins.reshape(N_MELS, -1), (to_bins * share)[:positions].reshape(positions, -1)


def _kernel_spectrum(kernel: _Array) -> _Array:
    """What the parts of each bin, of 7 frames, are multiplied by: ``(49, 2 parts, 7 * 2 parts, filters)``."""
    spectrum = np.conj(np.fft.rfft(kernel[:, :, 0], n=N_MELS, axis=1)).swapaxes(0, 1)
    real = np.stack([spectrum.real, -spectrum.imag], axis=2)
    imaginary = np.stack([spectrum.imag, spectrum.real], axis=2)
    return np.stack([real, imaginary], axis=1).reshape(_BINS, 2, 2 * len(kernel), -1)


def _loudest_temporal(x: Any, kernel: _Array) -> Any:  # noqa: ANN401
    return tf.reduce_max(tf.nn.conv2d(x, _constant(kernel), 1, "SAME"), axis=2)


def _middle(x: Any, weights: Weights, i: int) -> Any:  # noqa: ANN401
    """Convolution `i` over 7 frames of all channels, ``(1, 187, c)`` → ``(1, 187, 64)``."""
    kernel, bias = _kernel(weights, "conv2d", i)
    convolved = tf.nn.conv1d(x, _constant(kernel[:, :, 0]), 1, "SAME") + _constant(bias)
    return _affine(tf.nn.relu(convolved), _norm(weights, i + 1))


def _back(x: Any, weights: Weights) -> dict[str, Any]:  # noqa: ANN401
    """Maximum and mean over time of ``(1, 187, 753)``, which the weights take in turns, and the dense layers."""
    scale, shift = _norm(weights, 9)
    kernel, bias = _kernel(weights, "dense", 0)
    folded = scale[:, np.newaxis] * kernel
    pooled = tf.reduce_max(x, axis=1) @ _constant(folded[0::2]) + tf.reduce_mean(x, axis=1) @ _constant(folded[1::2])
    embedding = _affine(tf.nn.relu(pooled + _constant(bias + shift @ kernel)), _norm(weights, 10))
    kernel, bias = _kernel(weights, "dense", 1)
    return {"embedding": embedding, "tags": tf.sigmoid(embedding @ _constant(kernel) + _constant(bias))}


def _norm(weights: Weights, i: int) -> tuple[_Array, _Array]:
    """Batch normalisation `i` as a scale and a shift."""
    name = _numbered("batch_normalization", i)
    parts = ("gamma", "beta", "moving_mean", "moving_variance")
    gamma, beta, mean, variance = (weights[f"{name}/{part}"].astype(np.float64) for part in parts)
    scale = gamma / np.sqrt(variance + _EPSILON)
    return scale, beta - mean * scale


def _kernel(weights: Weights, kind: str, i: int) -> tuple[_Array, _Array]:
    name = _numbered(kind, i)
    return weights[f"{name}/kernel"].astype(np.float64), weights[f"{name}/bias"].astype(np.float64)


def _affine(x: Any, norm: tuple[_Array, _Array]) -> Any:  # noqa: ANN401
    return x * _constant(norm[0]) + _constant(norm[1])


def _constant(values: _Array) -> Any:  # noqa: ANN401
    return tf.constant(values, dtype=tf.float32)


def _numbered(kind: str, i: int) -> str:
    """The name of a layer in the checkpoint: the first of a kind has no number."""
    return f"{kind}_{i}" if i else kind


def _read_checkpoint(index: bytes, data: bytes, package: Path) -> Weights:
    with tempfile.TemporaryDirectory(prefix="dnai-musicnn-") as folder:
        prefix = Path(folder) / "checkpoint"
        prefix.with_suffix(".index").write_bytes(index)
        prefix.with_suffix(".data-00000-of-00001").write_bytes(data)
        try:
            reader = tf.train.load_checkpoint(str(prefix))
            stored = reader.get_variable_to_shape_map()
            return {name: reader.get_tensor(name) for name in expected_shapes() if name in stored}
        except (ValueError, RuntimeError, tf.errors.OpError) as error:
            raise ModelError(f"the checkpoint of {package} cannot be read: {error}") from error


def _check_shapes(weights: Weights) -> None:
    for name, shape in expected_shapes().items():
        if name not in weights:
            raise ModelError(f"the checkpoint has no {name}: it is not that of MSD_musicnn")
        if weights[name].shape != shape:
            raise ModelError(f"{name} of the checkpoint has shape {weights[name].shape}, not {shape}")


def _check_conversion(weights: Weights, path: Path) -> None:
    """Let LiteRT and TensorFlow answer the same made-up patch."""
    patch = np.random.default_rng(0).uniform(0, 3, (1, PATCH_FRAMES, N_MELS)).astype(np.float32)
    embedding, tags = EmbeddingNetwork(path).run(patch)
    expected = build(weights)(patch)
    for name, found in (("embedding", embedding), ("tags", tags)):
        deviation = float(np.abs(found - expected[name].numpy()).max())
        if not deviation < _TOLERANCE:
            raise ModelError(f"the converted network is wrong: its {name} is off by up to {deviation:.1e}")

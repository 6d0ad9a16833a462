"""The genre model as a worker uses it: features → standardised vector → genre probabilities.

A model is a folder of plain files:

==================  =====================================================================
``model.json``      format, name, feature names and definition, labels, SHA-256 of the rest
``scaler.json``     mean and scale of each feature
``midpoints.json``  the model's own midpoint of each genre, standardised
``network.tflite``  the network, for LiteRT
``network.keras``   the network, for Keras to train on; not needed to run
==================  =====================================================================
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from msgspec import Meta
from numpy.typing import NDArray

from dnai.errors import ModelError, UsageError
from dnai.tracks import Genre

FORMAT_VERSION = 1
MANIFEST_FILE = "model.json"
SCALER_FILE = "scaler.json"
MIDPOINTS_FILE = "midpoints.json"
LITERT_FILE = "network.tflite"
KERAS_FILE = "network.keras"

_T = TypeVar("_T")
_Name = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z0-9_-]+\Z")]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``model.json``: what the folder holds, and the SHA-256 that each file must have."""

    format_version: int
    name: _Name
    feature_definition: str
    feature_names: tuple[str, ...]
    labels: tuple[Genre, ...]
    sha256: dict[str, str]


class Scaler(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``scaler.json``: standardised = (raw − mean) / scale, one number a feature."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GenreAnswer:
    """What the network says of one track; `confidence` is its probability for `genre`, 0 to 1."""

    genre: Genre
    confidence: float


class GenreModel:
    """A loaded model; its methods may be called from several threads.

    Parameters
    ----------
    folder
        The model's folder.

    Raises
    ------
    ModelError
        When a file is missing, altered or not understood, or the model is of a newer format.
    """

    def __init__(self, folder: Path) -> None:
        manifest = _load_manifest(folder)
        _check_files(folder, manifest)
        scaler = _decode(folder / SCALER_FILE, Scaler)
        _check_dimensions(folder, manifest, scaler)
        self.name = manifest.name
        self.feature_names = manifest.feature_names
        self.feature_definition = manifest.feature_definition
        self.labels = manifest.labels
        self.space_id = make_space_id(manifest, scaler)
        self.model_id = make_model_id(manifest)
        self.midpoints: Mapping[Genre, NDArray[np.float32]] = _load_midpoints(folder, manifest)
        self._mean = np.array(scaler.mean)
        self._scale = np.array(scaler.scale)
        self._network = _Network(folder / LITERT_FILE, inputs=self.dimension, outputs=len(self.labels))

    @property
    def dimension(self) -> int:
        """How many numbers a vector of this model's space has."""
        return len(self.feature_names)

    def standardise(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return raw features, shape ``(n, d)``, as vectors of the feature space: (raw − mean) / scale.

        Raises
        ------
        UsageError
            When the features have another dimension.
        """
        if features.ndim != 2 or features.shape[1] != self.dimension:
            raise UsageError(f"{self.name} takes features of shape (n, {self.dimension}), not {features.shape}")
        vectors: NDArray[np.float32] = ((features - self._mean) / self._scale).astype(np.float32)
        return vectors

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the genre probabilities of standardised vectors, shape ``(n, 10)``, in the order of `labels`."""
        return self._network.run(vectors)

    def classify(self, vectors: NDArray[np.float32]) -> list[GenreAnswer]:
        """Return the most probable genre of each standardised vector, shape ``(n, d)``."""
        rows = self.probabilities(vectors)
        best = rows.argmax(axis=1)
        return [GenreAnswer(self.labels[i], float(row[i])) for i, row in zip(best, rows, strict=True)]


def make_space_id(manifest: Manifest, scaler: Scaler) -> str:
    """Return the id of the feature space, made from what the features are and how they are scaled."""
    content = [manifest.feature_definition, list(manifest.feature_names), list(scaler.mean), list(scaler.scale)]
    return f"{manifest.name}-{hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:16]}"


def make_model_id(manifest: Manifest) -> str:
    """Return the id of the classifier, made from its network and labels."""
    content = [manifest.sha256[LITERT_FILE], list(manifest.labels)]
    return f"{manifest.name}-{hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:16]}"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Network:
    """LiteRT's interpreter, which serves one thread at a time."""

    def __init__(self, path: Path, *, inputs: int, outputs: int) -> None:
        try:
            # The default delegate announces itself on stderr and gains nothing for so small a network.
            self._interpreter: Any = Interpreter(
                model_path=str(path),
                num_threads=1,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path} is not a network that LiteRT can run: {error}") from error
        (taken, *_), (given, *_) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if taken["shape"][-1] != inputs or given["shape"][-1] != outputs:
            sizes = f"{taken['shape'][-1]} inputs and {given['shape'][-1]} outputs"
            raise ModelError(f"{path} has {sizes}; the model names {inputs} features and {outputs} genres")
        self._input = taken["index"]
        self._output = given["index"]
        self._lock = threading.Lock()

    def run(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._lock:
            self._interpreter.resize_tensor_input(self._input, vectors.shape)
            self._interpreter.allocate_tensors()
            self._interpreter.set_tensor(self._input, np.ascontiguousarray(vectors, dtype=np.float32))
            self._interpreter.invoke()
            answer: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return answer


def _load_manifest(folder: Path) -> Manifest:
    if not (folder / MANIFEST_FILE).is_file():
        raise ModelError(f"{folder} is not a model folder: {MANIFEST_FILE} is missing (set --model or DNAI_MODEL)")
    version = _decode(folder / MANIFEST_FILE, dict[str, Any]).get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(f"{folder} is a model of format {version}; this program reads format {FORMAT_VERSION}")
    return _decode(folder / MANIFEST_FILE, Manifest)


def _check_files(folder: Path, manifest: Manifest) -> None:
    needed = {SCALER_FILE, MIDPOINTS_FILE, LITERT_FILE}
    unnamed = needed - manifest.sha256.keys()
    if unnamed:
        raise ModelError(f"{folder / MANIFEST_FILE} gives no SHA-256 of {', '.join(sorted(unnamed))}")
    for name in sorted(needed):
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name} is missing: the model folder is incomplete")
        if file_sha256(folder / name) != manifest.sha256[name]:
            raise ModelError(f"{folder / name} was altered: it is not the file that {MANIFEST_FILE} names")


def _check_dimensions(folder: Path, manifest: Manifest, scaler: Scaler) -> None:
    dimension = len(manifest.feature_names)
    if len(scaler.mean) != dimension or len(scaler.scale) != dimension:
        raise ModelError(f"{folder / SCALER_FILE} has not one mean and one scale for each of {dimension} features")
    if not np.isfinite([*scaler.mean, *scaler.scale]).all() or min(scaler.scale) <= 0:
        raise ModelError(f"{folder / SCALER_FILE} holds numbers that cannot scale anything")
    if set(manifest.labels) != set(Genre) or len(manifest.labels) != len(Genre):
        raise ModelError(f"{folder / MANIFEST_FILE} does not name each of the ten genres once")


def _load_midpoints(folder: Path, manifest: Manifest) -> dict[Genre, NDArray[np.float32]]:
    numbers = _decode(folder / MIDPOINTS_FILE, dict[Genre, tuple[float, ...]])
    midpoints = {genre: np.array(vector, dtype=np.float32) for genre, vector in numbers.items()}
    shape = (len(manifest.feature_names),)
    if set(midpoints) != set(Genre) or any(v.shape != shape or not np.isfinite(v).all() for v in midpoints.values()):
        raise ModelError(f"{folder / MIDPOINTS_FILE} has not {shape[0]} finite numbers for each of the ten genres")
    return midpoints


def _decode(path: Path, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error

"""The genre model as a worker uses it: features → standardised vector → genre probabilities.

A model is a folder of plain files:

==================  =====================================================================
``model.json``      format, ids, name, feature names and definition, labels, SHA-256 of the rest
``scaler.json``     mean and scale of each feature
``midpoints.json``  the model's own midpoint of each genre, a vector of the feature space
``network.tflite``  the network, for LiteRT; its answers are calibrated probabilities
``network.keras``   the same network, for Keras to train on; not needed to run
==================  =====================================================================

and, where the features are themselves what a network answers, of that network (`dnai.genre.extraction`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
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

FORMAT_VERSION = 2
MANIFEST_FILE = "model.json"
SCALER_FILE = "scaler.json"
MIDPOINTS_FILE = "midpoints.json"
LITERT_FILE = "network.tflite"
KERAS_FILE = "network.keras"

_T = TypeVar("_T")
_Name = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z0-9_-]+\Z")]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``model.json``: what the folder holds, and the SHA-256 that each file must have.

    `length_one` says whether the vectors of the space are scaled to length one, so that the Euclidean
    distance ranks as the cosine does. From a confidence of `sure_from` on an answer counts as sure.
    """

    format_version: int
    name: _Name
    space_id: str
    model_id: str
    feature_definition: str
    feature_names: tuple[str, ...]
    labels: tuple[Genre, ...]
    length_one: bool
    sure_from: Annotated[float, Meta(ge=0, le=1)]
    sha256: dict[str, str]


class Scaler(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``scaler.json``: standardised = (raw − mean) / scale, one number a feature."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GenreAnswer:
    """What the network says of one track; `confidence` is its probability for `genre`, 0 to 1.

    `is_sure` is false below the confidence from which the model may be believed.
    """

    genre: Genre
    confidence: float
    is_sure: bool


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
        _check_ids(folder, manifest, scaler)
        self.folder = folder
        self.name = manifest.name
        self.feature_names = manifest.feature_names
        self.feature_definition = manifest.feature_definition
        self.feature_id = make_feature_id(manifest.name, manifest.feature_definition, manifest.feature_names)
        self.labels = manifest.labels
        self.length_one = manifest.length_one
        self.sure_from = manifest.sure_from
        self.space_id = manifest.space_id
        self.model_id = manifest.model_id
        self.midpoints: Mapping[Genre, NDArray[np.float32]] = _load_midpoints(folder, manifest)
        self._mean = np.array(scaler.mean)
        self._scale = np.array(scaler.scale)
        self._network = _Network(folder / LITERT_FILE, inputs=self.dimension, outputs=len(self.labels))

    @property
    def dimension(self) -> int:
        """How many numbers a vector of this model's space has."""
        return len(self.feature_names)

    def standardise(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return raw features, shape ``(n, d)``, as the network takes them: (raw − mean) / scale.

        Raises
        ------
        UsageError
            When the features have another dimension.
        """
        if features.ndim != 2 or features.shape[1] != self.dimension:
            raise UsageError(f"{self.name} takes features of shape (n, {self.dimension}), not {features.shape}")
        standardised: NDArray[np.float32] = ((features - self._mean) / self._scale).astype(np.float32)
        return standardised

    def vectors(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return raw features, shape ``(n, d)``, as vectors of the feature space, same shape.

        They are standardised and, where the space asks for it, scaled to length one. Raises as `standardise`.
        """
        standardised = self.standardise(features)
        return scale_to_length_one(standardised) if self.length_one else standardised

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the genre probabilities of raw features ``(n, d)``, shape ``(n, 10)``, in the order of `labels`."""
        return self._network.run(self.standardise(features))

    def classify(self, features: NDArray[np.float64]) -> list[GenreAnswer]:
        """Return the most probable genre of each row of raw features, shape ``(n, d)``."""
        rows = self.probabilities(features)
        return [self._answer(int(i), float(row[i])) for i, row in zip(rows.argmax(axis=1), rows, strict=True)]

    def _answer(self, label: int, confidence: float) -> GenreAnswer:
        return GenreAnswer(self.labels[label], confidence, is_sure=confidence >= self.sure_from)


def scale_to_length_one(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors, shape ``(n, d)``, scaled to Euclidean length one; a vector of zeros stays one.

    Between such vectors ``distance ** 2 == 2 - 2 * cosine``: the nearest are those of the same direction.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def make_feature_id(name: str, definition: str, feature_names: Sequence[str]) -> str:
    """Return the id of raw features, made from what they are: the same features have it under every scaler."""
    return _make_id(name, [definition, list(feature_names)])


def make_space_id(name: str, definition: str, feature_names: Sequence[str], scaler: Scaler, *, length_one: bool) -> str:
    """Return the id of the feature space, made from what the features are and how they are scaled."""
    return _make_id(name, [definition, list(feature_names), list(scaler.mean), list(scaler.scale), length_one])


def make_model_id(name: str, labels: Sequence[Genre], *, sure_from: float, network_sha256: str) -> str:
    """Return the id of the classifier, made from its network, its labels and when it counts as sure."""
    return _make_id(name, [network_sha256, list(labels), sure_from])


def _make_id(name: str, content: list[object]) -> str:
    return f"{name}-{hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:16]}"


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
        raise ModelError(f"{folder} is not a model folder: {MANIFEST_FILE} is missing (set --models or DNAI_MODELS)")
    version = _decode(folder / MANIFEST_FILE, dict[str, Any]).get("format_version")
    if version != FORMAT_VERSION:
        is_newer = isinstance(version, int) and version > FORMAT_VERSION
        advice = "update the program" if is_newer else "train it again"
        raise ModelError(
            f"{folder} is a model of format {version}; this program reads format {FORMAT_VERSION}: {advice}"
        )
    return _decode(folder / MANIFEST_FILE, Manifest)


def _check_files(folder: Path, manifest: Manifest) -> None:
    unnamed = {SCALER_FILE, MIDPOINTS_FILE, LITERT_FILE} - manifest.sha256.keys()
    if unnamed:
        raise ModelError(f"{folder / MANIFEST_FILE} gives no SHA-256 of {', '.join(sorted(unnamed))}")
    for name, sha256 in sorted(manifest.sha256.items()):
        if Path(name).name != name:
            raise ModelError(f"{folder / MANIFEST_FILE} names a file outside the folder: {name!r}")
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name} is missing: the model folder is incomplete")
        if file_sha256(folder / name) != sha256:
            raise ModelError(f"{folder / name} was altered: it is not the file that {MANIFEST_FILE} names")


def _check_ids(folder: Path, manifest: Manifest, scaler: Scaler) -> None:
    """Refuse a model whose ids were not made from its content: peers compare vectors by them."""
    space_id = make_space_id(
        manifest.name, manifest.feature_definition, manifest.feature_names, scaler, length_one=manifest.length_one
    )
    model_id = make_model_id(
        manifest.name, manifest.labels, sure_from=manifest.sure_from, network_sha256=manifest.sha256[LITERT_FILE]
    )
    for what, told, made in (("space", manifest.space_id, space_id), ("model", manifest.model_id, model_id)):
        if told != made:
            raise ModelError(
                f"{folder / MANIFEST_FILE} was altered: its {what} id is {told}, and its content makes {made}"
            )


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

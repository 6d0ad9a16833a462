"""A package like `musicnn`, with a checkpoint of seeded numbers, in each of its forms."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from dnai.genre.musicnn import Weights, expected_shapes
from dnai.genre.package import DATA_FILE, INDEX_FILE, LICENCE_FILE

LICENCE = "Copyright (c) Somebody 2019.\n\nPermission to use it is hereby granted.\n"


def seeded_weights() -> dict[str, np.ndarray]:
    """Weights that keep the numbers between the layers about 1, with many normalisations that turn them round."""
    rng = np.random.default_rng(0)
    return {name: _seeded(rng, name, shape) for name, shape in expected_shapes().items()}


def _seeded(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("kernel"):
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)
    if name.endswith("variance"):
        return rng.uniform(0.5, 2, shape).astype(np.float32)
    return rng.normal(0, 0.5, shape).astype(np.float32)


def checkpoint_files(weights: Weights) -> dict[str, bytes]:
    """The files of a package with these weights, and with what an optimiser has left beside them."""
    arrays = {**weights, "conv2d/kernel/Adam": np.zeros((2, 2), dtype=np.float32)}
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "checkpoint"
        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=list(arrays),
            shape_and_slices=[""] * len(arrays),
            tensors=[tf.constant(array) for array in arrays.values()],
        )
        return {
            INDEX_FILE: prefix.with_suffix(".index").read_bytes(),
            DATA_FILE: prefix.with_suffix(".data-00000-of-00001").read_bytes(),
            LICENCE_FILE: LICENCE.encode(),
        }


def write_wheel(path: Path, files: dict[str, bytes]) -> Path:
    """A zip file with the licence beside the package."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("musicnn/MTT_musicnn/.index", b"of another network")
        for name, content in files.items():
            archive.writestr(f"musicnn-0.1.0.dist-info/{name}" if name == LICENCE_FILE else f"musicnn/{name}", content)
    return path


def write_sdist(path: Path, files: dict[str, bytes]) -> Path:
    """A tar file with a folder that holds both."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            inside = f"musicnn-0.1.0/{name}" if name == LICENCE_FILE else f"musicnn-0.1.0/musicnn/{name}"
            member = tarfile.TarInfo(inside)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_installed(path: Path, files: dict[str, bytes]) -> Path:
    """What an unpacked wheel is, or a folder that it was installed to."""
    for name, content in files.items():
        place = path / ("musicnn-0.1.0.dist-info" if name == LICENCE_FILE else "musicnn") / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return path

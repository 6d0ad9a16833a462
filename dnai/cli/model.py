"""``dnai model``: what a model is made from. Needs the `train` extra."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from dnai.config import PROJECT_DIR
from dnai.errors import ModelError
from dnai.genre.embedding import EMBEDDING_FILE
from dnai.genre.model import file_sha256
from dnai.genre.musicnn import LICENCE_COPY, read_package, write_embedding
from dnai.genre.reference import check_network

PACKAGE = "musicnn==0.1.0"
_DOWNLOAD_TIMEOUT_S = 600


@click.group("model")
def model_command() -> None:
    """Make what a model needs."""


@model_command.command("import-musicnn")
@click.option(
    "--package",
    type=click.Path(path_type=Path),
    help=f"The package {PACKAGE}: a wheel, a source archive or an unpacked folder.  [default: downloaded with pip]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The model's folder.  [default: models/musicnn200 of the project]"
)
@click.option(
    "--check",
    "reference",
    type=click.Path(path_type=Path),
    help="Compare the converted network with the answers in this JSON file.",
)
def import_musicnn_command(package: Path | None, out: Path | None, reference: Path | None) -> None:
    """Convert the pretrained network MSD_musicnn to LiteRT.

    Writes embedding.tflite and LICENSE.musicnn into the folder of the model "musicnn200", from whose
    sounds its features are measured. Only the checkpoint that the package was published with is taken.
    """
    folder = out or PROJECT_DIR / "models" / "musicnn200"
    with _package(package) as found:
        network = read_package(found)
    write_embedding(network, folder)
    click.echo(f"{folder / EMBEDDING_FILE}: SHA-256 {file_sha256(folder / EMBEDDING_FILE)}")
    click.echo(f"{folder / LICENCE_COPY}: the licence that it comes under")
    if reference is not None:
        for check in check_network(folder / EMBEDDING_FILE, reference):
            click.echo(f"{check.name}: embedding to {check.embedding:.1e}, tags to {check.tags:.1e}")


@contextmanager
def _package(given: Path | None) -> Iterator[Path]:
    """The package that was given, or else one that pip downloads, gone afterwards."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="dnai-musicnn-") as folder:
        click.echo(f"downloading {PACKAGE} with pip", err=True)
        yield _download(Path(folder))


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), PACKAGE]
    advice = "download it yourself and give it with --package"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelError(f"{PACKAGE} could not be downloaded ({error}): {advice}") from error
    files = sorted(folder.iterdir())
    if done.returncode or len(files) != 1:
        reason = (done.stderr.strip().splitlines() or ["pip does not say why"])[-1]
        raise ModelError(f"{PACKAGE} could not be downloaded ({reason}): {advice}")
    return files[0]

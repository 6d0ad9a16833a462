"""``dnai model import-musicnn``: from a package, or from pip, to two files in a model's folder."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("tensorflow", reason="TensorFlow is in the train extra only")

from dnai.cli import model
from dnai.cli.model import model_command
from dnai.errors import DnaiError, ModelError
from dnai.genre.embedding import EmbeddingNetwork
from dnai.genre.model import file_sha256
from dnai.genre.musicnn import CHECKPOINT_SHA256, read_package
from tests.unit.genre.musicnn_package import LICENCE, checkpoint_files, seeded_weights, write_wheel

# Keras hands TensorFlow arrays that do not know numpy 2's copy argument.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

FILES = checkpoint_files(seeded_weights())
WHEEL = "musicnn-0.1.0-py3-none-any.whl"


def run(*arguments: str | Path) -> Result:
    """The command's result; errors of ours are raised."""
    result = CliRunner().invoke(model_command, ["import-musicnn", *map(str, arguments)])
    if isinstance(result.exception, DnaiError):
        raise result.exception
    return result


@pytest.fixture
def seeded_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded checkpoint counts as the one that was published."""
    sha256 = {name: hashlib.sha256(FILES[name]).hexdigest() for name in CHECKPOINT_SHA256}
    monkeypatch.setattr(model, "read_package", functools.partial(read_package, sha256=sha256))


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package with the seeded checkpoint."""
    return write_wheel(tmp_path / WHEEL, FILES)


def pip_that(does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a shell script into the place of the interpreter that pip is run with; what it was asked for is logged."""
    script, log = tmp_path / "python", tmp_path / "asked"
    script.write_text(f'#!/bin/sh\necho "$*" > "{log}"\nwhile [ "$1" != --dest ]; do shift; done\n{does}\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return log


@pytest.mark.usefixtures("seeded_is_right")
def test_a_package_becomes_a_network_and_its_licence(tmp_path: Path, wheel: Path) -> None:
    """In a folder that was not there; the SHA-256 that is printed is the file's."""
    result = run("--package", wheel, "--out", tmp_path / "new" / "musicnn200")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "new" / "musicnn200").iterdir()) == [
        "LICENSE.musicnn",
        "embedding.tflite",
    ]
    embedding = tmp_path / "new" / "musicnn200" / "embedding.tflite"
    EmbeddingNetwork(embedding)
    assert file_sha256(embedding) in result.stdout
    assert embedding.with_name("LICENSE.musicnn").read_text(encoding="utf-8") == LICENCE


@pytest.mark.usefixtures("seeded_is_right")
def test_a_model_in_the_folder_keeps_its_other_files(tmp_path: Path, wheel: Path) -> None:
    """Only the two files are replaced."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.json").write_text("{}")
    (tmp_path / "out" / "embedding.tflite").write_bytes(b"old")
    run("--package", wheel, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "model.json").read_text() == "{}"
    EmbeddingNetwork(tmp_path / "out" / "embedding.tflite")


@pytest.mark.usefixtures("seeded_is_right")
def test_recorded_answers_of_another_network_fail_the_check(tmp_path: Path, wheel: Path) -> None:
    """The command says for which signal."""
    reference = tmp_path / "reference.json"
    tags = {str(i): 0.5 for i in range(50)}
    reference.write_text(json.dumps([{"name": "noise", "embedding": [9.0] * 200, "tags": tags}]))
    with pytest.raises(ModelError, match="does not answer 'noise'"):
        run("--package", wheel, "--out", tmp_path / "out", "--check", reference)


def test_a_package_with_another_checkpoint_is_refused(tmp_path: Path, wheel: Path) -> None:
    """Nothing is written, not even the folder."""
    with pytest.raises(ModelError, match=r"is not the one of musicnn 0\.1\.0"):
        run("--package", wheel, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("seeded_is_right")
def test_without_a_package_pip_is_asked_for_it(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For this version alone, without what it depends on and without an address; the download is gone afterwards."""
    log = pip_that(f'cp "{wheel}" "$2"; echo "$2" > "{tmp_path}/place"', tmp_path, monkeypatch)
    result = run("--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    EmbeddingNetwork(tmp_path / "out" / "embedding.tflite")
    asked = log.read_text().split()
    assert asked[:4] == ["-m", "pip", "download", "--no-deps"]
    assert asked[-1] == "musicnn==0.1.0"
    assert "://" not in log.read_text()
    assert not Path((tmp_path / "place").read_text().strip()).exists()


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("echo 'ERROR: No matching distribution found' >&2; exit 1", r"\(ERROR: No matching distribution found\)"),
        ("exit 1", r"\(pip does not say why\)"),
        ("exit 0", r"\(pip does not say why\)"),
    ],
    ids=["refused", "silent", "nothing came"],
)
def test_a_download_that_fails_is_told_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, reason: str
) -> None:
    """What pip said last, and that the package may be given; nothing is written."""
    pip_that(does, tmp_path, monkeypatch)
    with pytest.raises(ModelError, match=f"could not be downloaded {reason}: .* --package"):
        run("--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_pip_the_way_out_is_told_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here even the interpreter is not where it was."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"could not be downloaded .*No such file.* --package"):
        run("--out", tmp_path / "out")

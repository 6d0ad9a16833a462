"""``dnai train`` and ``dnai evaluate``: from a table or sounds to a model and its figures, honestly told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("tensorflow", reason="TensorFlow is in the train extra only")

from dnai.audio.decode import SAMPLE_RATE
from dnai.config import PROJECT_DIR
from dnai.genre.model import GenreModel
from tests.unit.genre.conftest import Rows, made_rows, write_rows

GENRES = ("blues", "classical", "jazz", "metal", "pop", "reggae")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


def dnai(*arguments: object) -> Ended:
    """Run a command in a process of its own: TensorFlow stays out of this one."""
    done = subprocess.run(
        [sys.executable, "-m", "dnai.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=PROJECT_DIR,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def rows_of_many() -> Rows:
    """Six genres by eight artists, easy to tell apart; those kept for a last test are marked."""
    rows = made_rows(artists=8, pieces=2, genres=GENRES)
    return [{**row, "split": "test" if row["track"].endswith(".7") else ""} for row in rows]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Ended]:
    """A table, the model that was trained on it, and how that ended."""
    folder = tmp_path_factory.mktemp("trained")
    table = write_rows(folder / "table.csv", rows_of_many())
    ended = dnai("train", "--table", table, "--out", folder / "model", "--epochs", 20)
    return table, folder / "model", ended


def test_training_tells_its_progress_and_its_honest_figure(trained: tuple[Path, Path, Ended]) -> None:
    """Progress on stderr; on stdout the figure, and where the model is."""
    _, folder, ended = trained
    assert ended.code == 0, ended.err
    assert "fold 3 of 5: learning from" in ended.err
    assert ended.out.startswith("tracks of artists not heard: 100.0 %")
    assert str(folder) in ended.out
    assert "Saved artifact" not in ended.out
    assert GenreModel(folder).name == "librosa26"


def test_tracks_kept_for_a_last_test_measure_the_model_itself(trained: tuple[Path, Path, Ended]) -> None:
    """It has not learned from them; what it has learned from is left out and counted."""
    table, folder, _ = trained
    ended = dnai("evaluate", "--table", table, "--model", folder, "--json")
    report = json.loads(ended.out)
    assert (report["method"], report["heard_left_out"]) == ("held_out", 84)
    assert report["figures"]["tracks"]["count"] == 6
    assert report["figures"]["tracks"]["accuracy"]["value"] == 1.0
    assert set(report["figures"]["tracks"]["f1"]) == set(GENRES)
    assert report["leak"] is None


def test_a_model_is_never_measured_on_what_it_has_heard(trained: tuple[Path, Path, Ended], tmp_path: Path) -> None:
    """Its way of learning is cross-validated instead; the leak is shown under its name when it is asked for."""
    _, folder, _ = trained
    heard = write_rows(tmp_path / "heard.csv", [row for row in rows_of_many() if not row["split"]])
    ended = dnai("evaluate", "--table", heard, "--model", folder, "--show-leak", "--circle")
    assert ended.code == 0, ended.err
    assert "cross-validation by artist" in ended.out
    assert "NOT a measure of hearing" in ended.out
    for part in ("calibration error", "macro F1", "F1 per genre", "true genre by row", "answered, from confidence"):
        assert part in ended.out
    assert "| genre | tags | mean |" in ended.out


def test_sounds_are_learned_from_and_measured(tmp_path: Path) -> None:
    """Two genres of three tracks each: noise and hum. Unknown artists are told, and what is left out."""
    rng = np.random.default_rng(0)
    seconds = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    for number in range(3):
        for genre in ("metal", "classical"):
            (tmp_path / "sounds" / genre).mkdir(parents=True, exist_ok=True)
            hum = 0.3 * np.sin(2 * np.pi * (200 + 40 * number) * seconds)
            y = rng.uniform(-0.5, 0.5, len(seconds)) if genre == "metal" else hum
            soundfile.write(tmp_path / "sounds" / genre / f"{number}.wav", y, SAMPLE_RATE)
    soundfile.write(tmp_path / "sounds" / "metal" / "short.wav", np.full(6000, 0.5), SAMPLE_RATE)
    arguments = ("--audio", tmp_path / "sounds", "--piece-s", 1)
    ended = dnai("train", *arguments, "--out", tmp_path / "model", "--epochs", 20)
    assert ended.code == 0, ended.err
    assert "the artist of 6 of 6 tracks is not known" in ended.err
    assert "short.wav: 0.3 s of sound" in ended.err
    assert "no circles are simulated" in ended.err
    ended = dnai("evaluate", *arguments, "--model", tmp_path / "model", "--json")
    assert json.loads(ended.out)["method"] == "cross_validation"


def test_the_space_follows_the_model(trained: tuple[Path, Path, Ended]) -> None:
    """A table of another space is no table for it, and no figure is given under its name."""
    table, folder, _ = trained
    ended = dnai("evaluate", "--table", table, "--model", "musicnn200")
    assert ended.code == 1
    assert "lacks the columns e0, e1" in ended.err
    ended = dnai("evaluate", "--table", table, "--model", folder, "--space", "musicnn200")
    assert (ended.code, ended.err) == (2, "dnai: --space musicnn200 is not the space of the model librosa26\n")


def bad(**values: Any) -> Rows:
    """The rows of many, with some values of the first one replaced."""
    rows = rows_of_many()
    rows[0] |= values
    return rows


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{k: v for k, v in row.items() if k != "mfcc7"} for row in rows_of_many()], "lacks the columns mfcc7"),
        (bad(label="techno"), "line 2: 'techno' is none of the ten genres"),
        (bad(rms="nan"), "line 2: rms is nan"),
        ([row for row in rows_of_many() if row["label"] == "jazz"], "one genre only"),
        ([{**row, "split": "" if row["label"] == "jazz" else "test"} for row in rows_of_many()], "one genre only"),
        (rows_of_many()[:6] + rows_of_many()[16:18], "5 folds need one each"),
        (bad(split="valid"), "stands on both sides of the split"),
    ],
    ids=["column", "label", "nan", "one genre", "one genre to learn from", "fewer than folds", "both sides"],
)
def test_a_bad_table_is_told_and_nothing_is_written(tmp_path: Path, rows: Rows, reason: str) -> None:
    """By name and place, and with exit code 1 or 2."""
    table = write_rows(tmp_path / "bad.csv", rows)
    ended = dnai("train", "--table", table, "--out", tmp_path / "model")
    assert ended.code in {1, 2}
    assert reason in ended.err
    assert "Traceback" not in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv"]


def test_a_table_or_sounds_not_both(tmp_path: Path) -> None:
    """And not neither."""
    for arguments in ((), ("--table", tmp_path / "a.csv", "--audio", tmp_path)):
        ended = dnai("evaluate", *arguments)
        assert (ended.code, ended.err) == (2, "dnai: give either --table CSV or --audio DIR\n")

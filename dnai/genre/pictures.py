"""The pictures of a model card. Needs the `train` extra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from dnai.genre.evaluation import CalibrationBin, Evaluation
from dnai.genre.record import LearningPoint
from dnai.genre.table import LABELS

CONFUSION_FILE = "confusion.png"
CURVE_FILE = "learning_curve.png"
CALIBRATION_FILE = "calibration.png"
PICTURE_FILES = (CONFUSION_FILE, CURVE_FILE, CALIBRATION_FILE)

_DPI = 110
_INK = "#1f3a5f"
_SECOND_INK = "#c2571a"


def draw_pictures(folder: Path, figures: Evaluation, curve: Sequence[LearningPoint]) -> None:
    """Draw the confusion matrix of whole tracks, the learning curve and the calibration of pieces into `folder`."""
    _save(folder / CONFUSION_FILE, (6.4, 5.6), lambda axes: _draw_confusion(axes, figures.tracks.confusion))
    _save(folder / CURVE_FILE, (6.4, 4.0), lambda axes: _draw_curve(axes, curve))
    _save(folder / CALIBRATION_FILE, (4.8, 4.6), lambda axes: _draw_calibration(axes, figures.pieces.calibration))


def _draw_confusion(axes: Axes, confusion: Sequence[Sequence[int]]) -> None:
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [genre.spoken for genre in LABELS]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(count) if count else "", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xlabel("what the network says")
    axes.set_ylabel("what it is")
    axes.set_title("Tracks of artists that the network has not heard")


def _draw_curve(axes: Axes, curve: Sequence[LearningPoint]) -> None:
    epochs = [point.epochs for point in curve]
    axes.plot(epochs, [point.training_loss for point in curve], color=_SECOND_INK, label="loss while learning")
    axes.plot(epochs, [point.unheard_log_loss for point in curve], color=_INK, label="log loss, artists not heard")
    axes.set_xlabel("passes over the data")
    axes.set_ylabel("loss")
    right = axes.twinx()
    shares = [100 * point.unheard_accuracy for point in curve]
    right.plot(epochs, shares, color=_INK, linestyle=":", label="pieces right, artists not heard")
    right.set_ylabel("pieces right, %")
    lines = [*axes.get_lines(), *right.get_lines()]
    axes.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=8)
    axes.set_title("Learning, over all folds")


def _draw_calibration(axes: Axes, bins: Sequence[CalibrationBin]) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, label="as it should be")
    axes.plot([one.confidence for one in bins], [one.accuracy for one in bins], "o-", color=_INK, label="ten bins")
    axes.set_xlabel("how sure the network says it is")
    axes.set_ylabel("how often it is right")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(loc="upper left", fontsize=8)
    axes.set_title("Calibration: pieces of artists not heard", fontsize=10)


def _save(path: Path, inches: tuple[float, float], draw: Callable[[Axes], None]) -> None:
    picture = Picture(figsize=inches, layout="constrained")
    draw(picture.add_subplot())
    # Without the program's name and version, so that the same figures give the same file.
    picture.savefig(path, dpi=_DPI, metadata={"Software": None})

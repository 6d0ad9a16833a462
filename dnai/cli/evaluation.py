"""``dnai evaluate``: how good a genre model is, on music whose genres are known."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from dnai.cli.circles import simulate_circles
from dnai.cli.labelled import LabelledMusic, labelled_music_options
from dnai.command_line import settings_options
from dnai.config import Settings, find_model_dir
from dnai.errors import UsageError
from dnai.genre.card import circle_lines, percent
from dnai.genre.evaluation import Evaluation, Scores, evaluate
from dnai.genre.model import GenreModel
from dnai.genre.record import CircleRow, read_record
from dnai.genre.table import LABELS, FeatureTable

_FEW_ARTISTS = 20
_HELD_OUT = "held_out"
_CROSS_VALIDATION = "cross_validation"
_METHODS = {
    _HELD_OUT: "the model itself, on music that it has not heard",
    _CROSS_VALIDATION: "cross-validation by artist: networks trained as the model was, each asked about artists "
    "that it has not heard",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What ``dnai evaluate --json`` prints.

    `heard_left_out` pieces were left out because the model has learned from them; `leak` is the figure of a random
    split over pieces, which is not one of recognising genres.
    """

    model_id: str
    method: str
    heard_left_out: int
    unknown_artists: int
    figures: Evaluation
    leak: Evaluation | None
    circles: tuple[CircleRow, ...]


@click.command()
@labelled_music_options
@click.option("--model", metavar="NAME", help="A name under models/, or a model's folder.  [default: the space's own]")
@click.option(
    "--cross-validate", "again", is_flag=True, help="Train anew in folds, even where the model is a stranger."
)
@click.option("--show-leak", is_flag=True, help="Show what a random split over pieces would pretend, too.")
@click.option("--circle", is_flag=True, help="Simulate circles: does the right person win?")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@settings_options()
def evaluate_command(
    settings: Settings,
    music: LabelledMusic,
    model: str | None,
    again: bool,
    show_leak: bool,
    circle: bool,
    as_json: bool,
) -> None:
    """Measure a genre model on a table of features, or on a folder of sounds laid out GENRE/track.mp3.

    Music that the model has learned from would flatter it. It is left out; and where nothing else is
    there, the model's way of learning is measured instead, by cross-validation: that takes minutes and
    TensorFlow.
    """
    genre_model = GenreModel(find_model_dir(model or music.space))
    table = music.of_model(genre_model).read()
    report = _measure(genre_model, table, again=again, show_leak=show_leak, circle=circle)
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        for line in _lines(report):
            click.echo(line)


def _measure(model: GenreModel, table: FeatureTable, *, again: bool, show_leak: bool, circle: bool) -> Report:
    record = read_record(model.folder)
    heard = record.heard.rows(table)
    method = _CROSS_VALIDATION if again or heard.all() else _HELD_OUT
    asked = table if method == _CROSS_VALIDATION else table.rows(~heard)
    if method == _CROSS_VALIDATION:
        probabilities = _cross_validated(table, record.plan, leaky=False)
    else:
        probabilities = model.probabilities(asked.features).astype(np.float64)
    leak = evaluate(_cross_validated(table, record.plan, leaky=True), table) if show_leak else None
    return Report(
        model_id=model.model_id,
        method=method,
        heard_left_out=len(table) - len(asked),
        unknown_artists=asked.unknown_artists,
        figures=evaluate(probabilities, asked),
        leak=leak,
        circles=simulate_circles(asked, probabilities, length_one=model.length_one) if circle else (),
    )


def _cross_validated(table: FeatureTable, plan: object, *, leaky: bool) -> NDArray[np.float64]:
    """What networks that have not learned from them say of the pieces; the only thing here that needs TensorFlow."""
    try:
        training: Any = importlib.import_module("dnai.genre.training")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"cross-validation needs {error.name}, which is not installed: "
            "pip install --require-hashes -r requirements/train.txt"
        ) from error
    validate: Callable[..., Any] = training.cross_validate
    probabilities: NDArray[np.float64] = validate(table, plan, report=_say, leaky=leaky).probabilities
    return probabilities


def _say(text: str) -> None:
    click.echo(text, err=True)


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.model_id}: {_METHODS[report.method]}"
    if report.heard_left_out:
        yield f"left out: {report.heard_left_out} pieces of tracks or artists that the model has learned from"
    figures = report.figures
    if figures.tracks.groups < _FEW_ARTISTS:
        yield f"only {figures.tracks.groups} artists (or tracks without one) are left: these figures say little"
    yield ""
    yield from _score_lines("tracks", figures.tracks)
    yield ""
    yield from _score_lines("pieces", figures.pieces)
    for source, scores in figures.by_source.items():
        yield f"  of kind {source!r}: {percent(scores.accuracy)} of {scores.count} right"
    yield ""
    yield from _genre_lines(figures)
    yield ""
    yield from _confusion_lines(figures.tracks)
    yield ""
    yield "answering only the most confident share of tracks:"
    for point in figures.tracks.reject_curve:
        yield f"  {point.share:4.0%} answered, from confidence {point.confidence:.2f}: {point.accuracy:.1%} right"
    if report.leak is not None:
        yield ""
        yield "NOT a measure of hearing: with a random split over pieces, pieces of one song are on both sides, and"
        yield f"  {percent(report.leak.pieces.accuracy)} of pieces seem right,"
        yield f"  {percent(report.leak.tracks.accuracy)} of tracks"
    if report.circles:
        yield ""
        yield from circle_lines(report.circles)


def _score_lines(what: str, scores: Scores) -> Iterator[str]:
    yield f"{scores.count} {what} of {scores.groups} artists: {percent(scores.accuracy)} right"
    yield f"  always answering the most frequent genre would be right for {scores.most_frequent:.1%}"
    yield f"  macro F1 {scores.macro_f1:.3f}, log loss {scores.log_loss:.3f}"
    yield (
        f"  calibration error {scores.calibration_error}; "
        f"a perfectly calibrated model would show {scores.calibration_floor:.3f}"
    )


def _genre_lines(figures: Evaluation) -> Iterator[str]:
    yield "F1 per genre           tracks  pieces"
    for genre, value in figures.tracks.f1.items():
        yield f"  {genre.spoken:<20} {value:6.2f}  {figures.pieces.f1[genre]:6.2f}"


def _confusion_lines(scores: Scores) -> Iterator[str]:
    yield "tracks, true genre by row, the model's answer by column"
    yield f"  {'':<10}" + "".join(f"{genre.spoken[:7]:>8}" for genre in LABELS)
    for genre, row in zip(LABELS, scores.confusion, strict=True):
        yield f"  {genre.spoken:<10}" + "".join(f"{count or '·':>8}" for count in row)

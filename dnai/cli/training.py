"""``dnai train``: make a genre model. Needs the `train` extra."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from dnai.cli.circles import simulate_circles
from dnai.cli.labelled import LabelledMusic, labelled_music_options
from dnai.command_line import settings_options
from dnai.config import PROJECT_DIR, Settings
from dnai.errors import UsageError
from dnai.genre.card import percent
from dnai.genre.evaluation import evaluate
from dnai.genre.model_files import LearnedModel, check_place, write_model
from dnai.genre.network import to_litert
from dnai.genre.plan import PLANS, TrainingPlan
from dnai.genre.record import CircleRow, Learned, TrainingRecord, fingerprints
from dnai.genre.space import SpaceDefinition, define_space
from dnai.genre.table import FeatureTable, check_genres
from dnai.genre.training import CrossValidation, cross_validate, train_network


@click.command()
@labelled_music_options
@click.option(
    "--out", type=click.Path(path_type=Path), help="The model's folder.  [default: models/SPACE of the project]"
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the data.  [default: the space's own plan]")
@click.option("--seed", type=int, default=0, show_default=True, help="Two runs with one seed give one model.")
@settings_options()
def train_command(settings: Settings, music: LabelledMusic, out: Path | None, epochs: int | None, seed: int) -> None:
    """Train a genre model on a table of features, or on a folder of sounds laid out GENRE/track.mp3.

    Every figure comes from artists that the network had not heard. Then the network that is written learns from
    everything, except tracks marked "test" in the table's column "split".
    """
    signal.signal(signal.SIGTERM, _end)
    folder = out or PROJECT_DIR / "models" / music.space
    space = define_space(music.space, music.network_folder(folder))
    check_place(folder, files=space.files)
    table = music.read()
    table = table.rows(table.split != "test")
    check_genres(table, origin=music.origin)
    plan = replace(PLANS[music.space], seed=seed)
    record, cross_validation = _measure(table, replace(plan, epochs=epochs or plan.epochs), space)
    _say(f"learning from all {len(table)} pieces, {record.plan.epochs} passes")
    trained = train_network(table, record.plan, temperature=cross_validation.temperature)
    learned = LearnedModel(to_litert(trained.network), trained.network.save, mean=trained.mean, scale=trained.scale)
    write_model(folder, learned, space=space, table=table, record=record)
    figures = record.figures
    click.echo(
        f"tracks of artists not heard: {percent(figures.tracks.accuracy)} right; "
        f"always answering the most frequent genre: {figures.tracks.most_frequent:.1%}"
    )
    click.echo(f"calibration error, pieces: {figures.pieces.calibration_error}")
    click.echo(f"{folder}: {record.plan.epochs} passes over the data")


def _measure(table: FeatureTable, plan: TrainingPlan, space: SpaceDefinition) -> tuple[TrainingRecord, CrossValidation]:
    honest = cross_validate(table, plan, report=_say)
    _say("once more with a random split over pieces, to show what such a split hides")
    leaky = evaluate(cross_validate(table, plan, report=_say, leaky=True).probabilities, table)
    _say("simulating circles")
    record = TrainingRecord(
        plan=plan,
        temperature=honest.temperature,
        learned=Learned(
            pieces=len(table),
            tracks=table.track_count,
            groups=len(set(table.groups.tolist())),
            unknown_artists=table.unknown_artists,
        ),
        figures=evaluate(honest.probabilities, table),
        leaky_accuracy=(leaky.pieces.accuracy.value, leaky.tracks.accuracy.value),
        curve=honest.curve,
        circles=_simulated(table, honest, space),
        heard=fingerprints(table),
    )
    return record, honest


def _simulated(table: FeatureTable, honest: CrossValidation, space: SpaceDefinition) -> tuple[CircleRow, ...]:
    """The simulated circles, or none where there is too little music for them."""
    try:
        return simulate_circles(table, honest.probabilities, length_one=space.length_one)
    except UsageError as error:
        _say(f"no circles are simulated: {error}")
        return ()


def _end(signal_number: int, frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that what is half-written is cleared away."""
    sys.exit(128 + signal_number)


def _say(text: str) -> None:
    click.echo(text, err=True)

"""``dnai train``: make a genre model. Needs the `train` extra."""

from __future__ import annotations

from pathlib import Path

import click

from dnai.command_line import settings_options
from dnai.config import PROJECT_DIR, Settings
from dnai.genre.table import read_table
from dnai.genre.training import TrainingPlan, train_model


@click.command()
@click.option("--table", type=click.Path(path_type=Path), required=True, help="The feature table, a CSV file.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The model's folder.  [default: models/librosa26 of the project]"
)
@click.option("--max-epochs", type=click.IntRange(min=1), default=60, show_default=True, help="Most passes to try.")
@click.option("--seed", type=int, default=0, show_default=True, help="Two runs with one seed give one model.")
@settings_options()
def train_command(settings: Settings, table: Path, out: Path | None, max_epochs: int, seed: int) -> None:
    """Train the 26-256-128-64-10 network on a table of features.

    Tracks marked "valid" in the table's column "split" are kept apart to measure with.
    """
    folder = out or PROJECT_DIR / "models" / "librosa26"
    rows = read_table(table)
    click.echo(f"learning from {len(rows)} pieces; this takes a few minutes", err=True)
    report = train_model(rows, folder, name="librosa26", plan=TrainingPlan(max_epochs=max_epochs, seed=seed))
    if report.held_out is not None:
        click.echo(
            f"tracks kept apart: {report.held_out.track_accuracy:.1%} of {report.held_out.tracks} right "
            f"({report.held_out.piece_accuracy:.1%} of {report.held_out.pieces} pieces); chance is 10 %"
        )
    click.echo(f"{folder}: {report.epochs} passes over the data")

"""``dnai scan``: music into the catalogue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from dnai.cli.scan_progress import Display, open_display
from dnai.command_line import settings_options
from dnai.config import Settings
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.folders import absolute_root
from dnai.library.models import load_models
from dnai.library.pool import Pool
from dnai.library.scan_lock import Holder
from dnai.library.scanner import scan_folders
from dnai.text import clean_text

_PREPARING = "preparing the analysis, the first time half a minute"


@click.command()
@click.argument("folders", metavar="DIR...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Progress and result as events, one JSON object a line.")
@settings_options("models", "scan_processes")
def scan_command(settings: Settings, folders: tuple[Path, ...], as_json: bool) -> None:
    """Analyse the music in one or more folders into your catalogue.

    Only new and changed files are analysed, and then tracks that one of the models has not heard
    yet; moved and renamed files are recognised. What cannot be used is skipped with its reason (see
    dnai tracks --failed). It may be stopped at any moment and goes on where it was.
    """
    models = load_models(settings.model_dirs)
    with Catalogue(settings.catalogue_path) as catalogue, open_display(as_json=as_json) as display:
        _scan(settings, folders, catalogue, models, display)


def _scan(
    settings: Settings, folders: Sequence[Path], catalogue: Catalogue, models: tuple[GenreModel, ...], display: Display
) -> None:
    pool = Pool(
        [model.folder for model in models],
        processes=settings.scan_processes or _cores(),
        preparing=lambda: display.say(_PREPARING),
    )
    summary = scan_folders(
        folders,
        catalogue,
        models,
        analysts=pool,
        report=display.show,
        waiting=lambda holder: display.say(_describe_holder(holder)),
    )
    for failure in catalogue.failures(under=[absolute_root(folder) for folder in folders]):
        display.skip(clean_text(str(failure.path), max_chars=1000), failure.reason)
    display.finish(summary, place=str(settings.catalogue_path))


def _describe_holder(holder: Holder | None) -> str:
    who = f"process {holder.pid}, since {holder.since}" if holder else "another process"
    return f"waiting for the scan of this catalogue that runs already ({who})"


def _cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

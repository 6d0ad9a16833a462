"""``dnai scan``: music into the catalogue."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from dnai.cli.scan_progress import Display, open_display
from dnai.cli.scan_published import publishing
from dnai.command_line import settings_options
from dnai.config import Settings
from dnai.errors import UsageError
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.folders import absolute_root
from dnai.library.look import known_roots
from dnai.library.models import load_models
from dnai.library.pool import Pool
from dnai.library.rows import Failure
from dnai.library.scan_lock import describe_holder
from dnai.library.scanner import ScanProgress, ScanSummary, scan_folders
from dnai.library.watching import QUIET_S, Watch
from dnai.text import clean_text

_PREPARING = "preparing the analysis"


@click.command()
@click.argument("folders", metavar="DIR...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Progress and result as events, one JSON object a line.")
@click.option("--watch", is_flag=True, help="Go on: notice new, changed, moved and deleted files until stopped.")
@settings_options("models", "scan_processes", "rescan_s")
def scan_command(settings: Settings, folders: tuple[Path, ...], as_json: bool, watch: bool) -> None:
    """Analyse the music in one or more folders into your catalogue.

    Only new and changed files are analysed, and then tracks that one of the models has not heard
    yet; moved and renamed files are recognised. What cannot be used is skipped with its reason (see
    dnai tracks --failed). It may be stopped at any moment and goes on where it was.
    """
    models = load_models(settings.model_dirs)
    with Catalogue(settings.catalogue_path) as catalogue, open_display(as_json=as_json) as display:
        if watch:
            _follow(
                settings, folders, catalogue, models, display, is_over=_reader_is_gone if as_json else lambda: False
            )
        else:
            summary = _scan(settings, folders, catalogue, models, display, told=set())
            display.finish(summary, place=str(settings.catalogue_path))


def _follow(
    settings: Settings,
    folders: Sequence[Path],
    catalogue: Catalogue,
    models: Sequence[GenreModel],
    display: Display,
    *,
    is_over: Callable[[], bool],
) -> None:
    """Scan, and scan again whenever something has changed; a folder that is gone meanwhile may come back."""
    with Watch(known_roots(folders, catalogue)) as changes:
        shown: ScanSummary | None = None
        told: set[Failure] = set()
        while not is_over():
            try:
                summary = _scan(settings, folders, catalogue, models, display, told=told, settle_s=QUIET_S)
            except UsageError as error:
                if shown is None:
                    raise
                display.say(str(error))
                summary = shown
            if shown is None or summary != ScanSummary(0, 0, shown.unchanged, 0, absent=shown.absent):
                display.finish(summary, place=str(settings.catalogue_path))
            shown = summary
            changes.wait(QUIET_S if summary.unsettled else settings.rescan_s, is_over=is_over)


def _reader_is_gone() -> bool:
    """Whether nobody reads our events any more, as when a worker was killed."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))


def _scan(
    settings: Settings,
    folders: Sequence[Path],
    catalogue: Catalogue,
    models: Sequence[GenreModel],
    display: Display,
    *,
    told: set[Failure],
    settle_s: float = 0.0,
) -> ScanSummary:
    """Scan once; `told` are the files that were named as skipped before, and are not named again."""
    with publishing(catalogue.path) as publication:

        def prepare() -> None:
            display.say(_PREPARING)
            publication.prepare()

        def report(progress: ScanProgress) -> None:
            display.show(progress)
            publication.show(progress)

        summary = scan_folders(
            folders,
            catalogue,
            models,
            analysts=Pool(
                [model.folder for model in models],
                processes=settings.scan_processes or _cores(),
                preparing=prepare,
            ),
            report=report,
            waiting=lambda holder: display.say(describe_holder(holder)),
            settle_s=settle_s,
        )
        publication.finish(summary)
    for failure in catalogue.failures(under=[absolute_root(folder) for folder in folders]):
        if failure not in told:
            display.skip(clean_text(str(failure.path), max_chars=1000), failure.reason)
            told.add(failure)
    return summary


def _cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

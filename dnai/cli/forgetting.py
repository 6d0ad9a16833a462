"""``dnai forget``: music out of the catalogue."""

from __future__ import annotations

from pathlib import Path

import click

from dnai.command_line import settings_options
from dnai.config import Settings
from dnai.errors import UsageError
from dnai.library.catalogue import Catalogue
from dnai.library.folders import absolute_root
from dnai.library.scan_lock import describe_holder, scan_lock


@click.command()
@click.argument("folders", metavar="[DIR]...", type=click.Path(path_type=Path), nargs=-1)
@click.option("--absent", is_flag=True, help="Only music whose disk was away at the last scan; without DIR all of it.")
@settings_options()
def forget_command(settings: Settings, folders: tuple[Path, ...], absent: bool) -> None:
    """Forget what your catalogue knows of one or more folders; the files stay as they are.

    For a disk that will not come back, or a folder that you do not want to share any more. What is scanned
    again afterwards is analysed anew.
    """
    if not folders and not absent:
        raise click.UsageError("name the folders to forget, or say --absent")
    if not settings.catalogue_path.is_file():
        raise UsageError(f"there is no catalogue {settings.catalogue_path} to forget anything of")
    roots = [absolute_root(folder) for folder in folders] or None
    with (
        Catalogue(settings.catalogue_path) as catalogue,
        scan_lock(catalogue.path, waiting=lambda holder: click.echo(describe_holder(holder), err=True)),
    ):
        known = catalogue.known_files(under=roots)
        tracks = [path for path, file in known.items() if file.is_absent or not absent]
        failed = [] if absent else [failure.path for failure in catalogue.failures(under=roots)]
        if roots and not known and not failed:
            raise UsageError(f"the catalogue knows nothing of {', '.join(map(str, roots))}")
        catalogue.forget([*tracks, *failed])
    click.echo(f"forgotten: {len(tracks)} tracks" + (f", {len(failed)} files that failed" if failed else ""))

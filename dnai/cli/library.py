"""``dnai scan``, ``dnai tracks``, ``dnai taste``: the user's own collection."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click
import msgspec
import numpy as np
from tqdm import tqdm

from dnai.audio.features import FEATURE_NAMES, warm_up
from dnai.command_line import settings_options
from dnai.config import Settings
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue, CataloguedTrack, Failure
from dnai.library.collection import Collection
from dnai.library.scanner import ScanProgress, music_root, scan_folder
from dnai.recommend.midpoint import Midpoint, genre_midpoints
from dnai.text import clean_text
from dnai.tracks import Genre, Track

_LINE_INTERVAL_S = 2.0


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@settings_options("model")
def scan_command(settings: Settings, folder: Path) -> None:
    """Analyse the music in FOLDER into your catalogue.

    Only new and changed files are analysed; what cannot be used is skipped with its reason
    (see dnai tracks --failed). It may be stopped at any moment and goes on where it was.
    """
    model = GenreModel(settings.model_dir)
    with Catalogue(settings.catalogue_path) as catalogue:
        with _progress_bar() as report:
            summary = scan_folder(folder, catalogue, model, report=report)
        for failure in catalogue.failures(under=music_root(folder)):
            click.echo(f"skipped {_shown_path(failure.path)}: {failure.reason}", err=True)
    click.echo(
        f"{summary.analysed} analysed, {summary.unchanged} unchanged, "
        f"{summary.failed} failed, {summary.dropped} dropped: {settings.catalogue_path}"
    )


@contextmanager
def _progress_bar() -> Iterator[Callable[[ScanProgress], None]]:
    """A bar with an estimate on a terminal; elsewhere a line every few seconds."""
    on_terminal = sys.stderr.isatty()
    with tqdm(unit=" tracks", file=sys.stderr, dynamic_ncols=True, leave=False, disable=not on_terminal) as bar:
        show = _Bar(bar).show if on_terminal else _Lines().show
        warmed_up = False

        def report(progress: ScanProgress) -> None:
            nonlocal warmed_up
            if progress.total and not warmed_up:
                show(ScanProgress(0, progress.total, "preparing the analysis, the first time half a minute"))
                warm_up()
                warmed_up = True
            show(progress)

        yield report


class _Bar:
    """Progress on a terminal."""

    def __init__(self, bar: tqdm[NoReturn]) -> None:
        self._bar = bar

    def show(self, progress: ScanProgress) -> None:
        if self._bar.total is None:
            self._bar.reset(total=progress.total)
        self._bar.set_description_str(clean_text(progress.current, max_chars=40), refresh=False)
        self._bar.update(progress.done - self._bar.n)
        self._bar.refresh()


class _Lines:
    """Progress where there is no terminal: ``scanning: 3 of 12 tracks, about 00:20 left: Name``."""

    def __init__(self) -> None:
        self._started_at: float | None = None
        self._shown_at = -_LINE_INTERVAL_S

    def show(self, progress: ScanProgress) -> None:
        now = time.monotonic()
        if self._started_at is None or not progress.done:
            self._started_at = now
        if not progress.total or (now - self._shown_at < _LINE_INTERVAL_S and progress.done < progress.total):
            return
        self._shown_at = now
        left = ""
        if 0 < progress.done < progress.total:
            left_s = (now - self._started_at) / progress.done * (progress.total - progress.done)
            left = f", about {tqdm.format_interval(round(left_s))} left"
        name = f": {clean_text(progress.current, max_chars=60)}" if progress.current else ""
        click.echo(f"scanning: {progress.done} of {progress.total} tracks{left}{name}", err=True)


@click.command()
@click.option("--genre", type=click.Choice([genre.value for genre in Genre]), help="Only this genre.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@click.option("--features", is_flag=True, help="With --json: path and the 26 raw features by name.")
@click.option("--failed", is_flag=True, help="The files that could not be used, with the reasons.")
@settings_options()
def tracks_command(settings: Settings, genre: str | None, as_json: bool, features: bool, failed: bool) -> None:
    """List the tracks of your catalogue."""
    if features and not as_json:
        raise click.UsageError("--features goes with --json")
    with Catalogue(settings.catalogue_path) as catalogue:
        if failed:
            _show([_failure_record(one) for one in catalogue.failures()], as_json=as_json, line=_failure_line)
            return
        found = catalogue.tracks(genre=Genre(genre) if genre else None)
    if as_json:
        _echo_json([_feature_record(one) if features else _track_record(one.track) for one in found])
        return
    for one in found:
        click.echo(_track_line(one.track))
    click.echo(f"{len(found)} tracks", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@settings_options("model")
def taste_command(settings: Settings, as_json: bool) -> None:
    """Show your midpoint of each genre: the mean of your tracks' standardised features.

    Where you have no track of a genre, the model's own midpoint stands in.
    """
    model = GenreModel(settings.model_dir)
    with Catalogue(settings.catalogue_path) as catalogue:
        collection = Collection(catalogue.tracks(), model)
    genres = [track.genre for track in collection.tracks]
    midpoints = genre_midpoints(genres, collection.vectors, reference=model.midpoints)
    if as_json:
        _echo_json(
            {"space_id": model.space_id, "midpoints": {g.value: _midpoint_record(m) for g, m in midpoints.items()}}
        )
        return
    for genre in Genre:
        click.echo(_midpoint_line(genre, midpoints[genre], model))


def _show(records: list[dict[str, object]], *, as_json: bool, line: Callable[[dict[str, object]], str]) -> None:
    if as_json:
        _echo_json(records)
    else:
        for record in records:
            click.echo(line(record))


def _echo_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=1).decode())


def _shown_path(path: Path) -> str:
    return clean_text(str(path), max_chars=1000)


def _track_record(track: Track) -> dict[str, object]:
    return {
        "path": _json_path(track.path),
        "title": track.title,
        "artist": track.artist,
        "album": track.album,
        "year": track.year,
        "genre": track.genre,
        "genre_origin": track.genre_origin,
        "model_genre": track.model_genre,
        "confidence": round(track.confidence, 4),
        "duration_s": round(track.duration_s, 3),
        "type": track.audio_type,
        "size_bytes": track.size_bytes,
    }


def _json_path(path: Path) -> str:
    """The path as JSON can hold it: bytes that are not UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _feature_record(one: CataloguedTrack) -> dict[str, object]:
    return {
        "path": _json_path(one.track.path),
        "features": dict(zip(FEATURE_NAMES, one.features.tolist(), strict=True)),
    }


def _failure_record(failure: Failure) -> dict[str, object]:
    return {"path": _json_path(failure.path), "reason": failure.reason}


def _failure_line(record: dict[str, object]) -> str:
    return f"{clean_text(str(record['path']), max_chars=1000)}: {record['reason']}"


def _track_line(track: Track) -> str:
    minutes, seconds = divmod(round(track.duration_s), 60)
    told = f"{track.genre.value} ({track.genre_origin.value}, model: {track.model_genre.value} {track.confidence:.0%})"
    return f"{minutes:3d}:{seconds:02d}  {told:48s}  {track.artist or '?'} – {track.title}"


def _midpoint_record(midpoint: Midpoint) -> dict[str, object]:
    origin = "model" if midpoint.is_reference else "collection"
    return {"origin": origin, "tracks": midpoint.tracks, "vector": np.round(midpoint.vector, 6).tolist()}


def _midpoint_line(genre: Genre, midpoint: Midpoint, model: GenreModel) -> str:
    """The genre, and the features that stand out most from the average track, in standard deviations."""
    order = np.argsort(-np.abs(midpoint.vector))[:4]
    traits = ", ".join(f"{model.feature_names[i]} {midpoint.vector[i]:+.2f}" for i in order)
    origin = "the model's own" if midpoint.is_reference else f"{midpoint.tracks} tracks"
    return f"{genre.value:10s} {origin:16s} {traits}"

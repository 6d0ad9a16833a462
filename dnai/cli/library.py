"""``dnai tracks``, ``dnai taste``: the user's own collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click
import msgspec
import numpy as np

from dnai.audio.features import FEATURE_DEFINITION
from dnai.command_line import settings_options
from dnai.config import Settings
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.collection import read_collection
from dnai.library.models import load_models
from dnai.library.rows import CataloguedTrack, Failure, Hearing
from dnai.recommend.midpoint import Midpoint, space_midpoints
from dnai.text import clean_text
from dnai.tracks import Genre, GenreOrigin, Track


@click.command()
@click.option("--genre", type=click.Choice([genre.value for genre in Genre]), help="Only this genre.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@click.option("--features", is_flag=True, help="With --json: path and the raw features of each model by name.")
@click.option("--failed", is_flag=True, help="The files that could not be used, with the reasons.")
@settings_options("models", "use_tags")
def tracks_command(settings: Settings, genre: str | None, as_json: bool, features: bool, failed: bool) -> None:
    """List the tracks of your catalogue.

    Each with its genre and where that comes from: the file's tag, or a model, named with its own
    answer and how probable it is. A genre that no model is sure of is marked with a question mark.
    """
    if features and not as_json:
        raise click.UsageError("--features goes with --json")
    models = load_models(settings.model_dirs)
    with Catalogue(settings.catalogue_path) as catalogue:
        if failed:
            _show([_failure_record(one) for one in catalogue.failures()], as_json=as_json, line=_failure_line)
            return
        collection = read_collection(catalogue, models, use_tags=settings.use_tags)
        known = {one.file.path: one for one in catalogue.tracks()} if as_json else {}
    found = [track for track in collection.tracks if genre is None or track.genre == genre]
    if as_json:
        record = _feature_record if features else _track_record
        _echo_json([record(track, known[track.path], models) for track in found if track.path in known])
        return
    for track in found:
        click.echo(_track_line(track))
    click.echo(f"{len(found)} tracks", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@settings_options("models", "use_tags")
def taste_command(settings: Settings, as_json: bool) -> None:
    """Show your midpoint of each genre: the mean of your tracks' vectors, in each model's feature space.

    Where you have no track of a genre, the model's own midpoint stands in.
    """
    models = load_models(settings.model_dirs)
    with Catalogue(settings.catalogue_path) as catalogue:
        collection = read_collection(catalogue, models, use_tags=settings.use_tags)
    midpoints = [
        (model, space_midpoints(collection.tracks, space, reference=model.midpoints))
        for model, space in zip(models, collection.spaces, strict=True)
    ]
    if as_json:
        records = {model.name: _space_record(model, found) for model, found in midpoints}
        _echo_json({**_space_record(*midpoints[0]), "spaces": records})
        return
    for model, found in midpoints:
        if len(models) > 1:
            click.echo(f"{model.name} ({model.space_id}):")
        for genre in Genre:
            click.echo(_midpoint_line(genre, found[genre], model))


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


def _track_record(track: Track, known: CataloguedTrack, models: Sequence[GenreModel]) -> dict[str, object]:
    return {
        "path": _json_path(track.path),
        "title": track.title,
        "artist": track.artist,
        "album": track.album,
        "album_artist": track.album_artist,
        "track_number": track.track_number,
        "year": track.year,
        "genre": track.genre,
        "genre_origin": track.genre_origin,
        "model_genre": track.model_genre,
        "confidence": round(track.confidence, 4),
        "told_by": track.told_by,
        "heard": {model.name: _hearing_record(one) for model, one in _heard(known, models)},
        "duration_s": round(track.duration_s, 3),
        "type": track.audio_type,
        "size_bytes": track.size_bytes,
    }


def _heard(known: CataloguedTrack, models: Sequence[GenreModel]) -> Iterator[tuple[GenreModel, Hearing]]:
    """What each model heard, in order of preference; nothing of models that have not heard the file yet."""
    hearings = {hearing.feature_id: hearing for hearing in known.hearings}
    for model in models:
        if model.feature_id in hearings:
            yield model, hearings[model.feature_id]


def _hearing_record(hearing: Hearing) -> dict[str, object]:
    answer = hearing.answer
    if answer is None:
        return {"space_id": hearing.space_id, "reason": hearing.reason}
    told = {"genre": answer.genre, "confidence": round(answer.confidence, 4), "sure": answer.is_sure}
    return {"space_id": hearing.space_id, **told}


def _json_path(path: Path) -> str:
    """The path as JSON can hold it: bytes that are not UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _feature_record(track: Track, known: CataloguedTrack, models: Sequence[GenreModel]) -> dict[str, object]:
    """The 26 means as `features`, and those of other models, if there are any, by the models' names."""
    record: dict[str, object] = {"path": _json_path(track.path), "features": {}}
    others: dict[str, object] = {}
    for model, hearing in _heard(known, models):
        if hearing.answer is None:
            continue
        numbers = dict(zip(model.feature_names, hearing.features.tolist(), strict=True))
        if model.feature_definition == FEATURE_DEFINITION and not record["features"]:
            record["features"] = numbers
        else:
            others[model.name] = numbers
    return {**record, "other_features": others} if others else record


def _failure_record(failure: Failure) -> dict[str, object]:
    return {"path": _json_path(failure.path), "reason": failure.reason}


def _failure_line(record: dict[str, object]) -> str:
    return f"{clean_text(str(record['path']), max_chars=1000)}: {record['reason']}"


def _track_line(track: Track) -> str:
    minutes, seconds = divmod(round(track.duration_s), 60)
    told = f"{track.genre.value}{'?' if track.genre_origin is GenreOrigin.UNSURE else ''} ({_origin(track)})"
    return f"{minutes:3d}:{seconds:02d}  {told:56s}  {track.artist or '?'} – {track.title}"


def _origin(track: Track) -> str:
    """Where the genre comes from: ``tag, librosa26: pop 41%``, ``not sure, librosa26: pop 31%``."""
    if track.model_genre is None:
        return f"{track.genre_origin.value}, not heard yet"
    heard = f"{track.told_by}: {track.model_genre.value} {track.confidence:.0%}"
    origin = "not sure" if track.genre_origin is GenreOrigin.UNSURE else track.genre_origin.value
    return f"{origin}, {heard}"


def _space_record(model: GenreModel, midpoints: Mapping[Genre, Midpoint]) -> dict[str, object]:
    records = {genre.value: _midpoint_record(midpoint) for genre, midpoint in midpoints.items()}
    return {"space_id": model.space_id, "midpoints": records}


def _midpoint_record(midpoint: Midpoint) -> dict[str, object]:
    origin = "model" if midpoint.is_reference else "collection"
    return {"origin": origin, "tracks": midpoint.tracks, "vector": np.round(midpoint.vector, 6).tolist()}


def _midpoint_line(genre: Genre, midpoint: Midpoint, model: GenreModel) -> str:
    """The genre, and the features that stand out most from the average track, in the unit of the space."""
    order = np.argsort(-np.abs(midpoint.vector))[:4]
    traits = ", ".join(f"{model.feature_names[i]} {midpoint.vector[i]:+.2f}" for i in order)
    origin = "the model's own" if midpoint.is_reference else f"{midpoint.tracks} tracks"
    return f"{genre.value:10s} {origin:16s} {traits}"

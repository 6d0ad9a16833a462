"""A worker with 100,000 tracks: loading its vectors, staying current, and answering a request.

The tracks are made up: two feature spaces, 10 % of the tracks in the genre that is asked for. Loading is from the
SQLite file to a shelf that answers, each time in a process of its own; its baseline is to ``SELECT`` the same
bytes with sqlite3 alone, in another. A request is what `Provider.answer` does and then `Shelf.nearest`, once the
ticket is shown; its baseline is NumPy as one would write it down:
``sqrt(((matrix - vector) ** 2).sum(axis=1))`` over the tracks of the genre, their mean, and a sort of all of them.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dnai.config import MODELS_DIR
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.collection import Collection, LiveCollection
from dnai.library.models import load_models
from dnai.library.rows import Changes
from dnai.recommend.messages import Offer, Request
from dnai.recommend.provider import PlaylistQuery, Provider, RequestLimit, Shelf
from dnai.tracks import MAX_PLAYLIST_TRACKS, Genre

TRACKS = 100_000
MODELS = ("musicnn200", "librosa26")
ASKED = Genre.JAZZ
LOADINGS = 7
RENEWALS = 15
REQUESTS = 300
CHANGED = (1, 100)
_BATCH = 1000
_TRACK = (
    "INSERT INTO tracks (id, path, size_bytes, mtime_ns, title, artist, album, year, tag_genre, duration_s, "
    "audio_type, content_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
)
_BYTES = (
    "SELECT * FROM tracks ORDER BY path",
    "SELECT track, feature_id, genre, confidence, is_sure, features FROM hearings",
)


def main() -> None:
    """Print the tables; with a path, load that catalogue once and print how long it took."""
    with tempfile.TemporaryDirectory(prefix="dnai-bench-") as folder, threadpool_limits(1):
        path = Path(folder) / "catalogue.sqlite3"
        models = load_models([MODELS_DIR / name for name in MODELS])
        write_catalogue(path, models)
        print(f"a worker with {TRACKS:,} tracks in {len(models)} spaces, {path.stat().st_size / 1e6:.0f} MB of SQLite")
        print(f"{'':>22} {'DN.ai ms':>9} {'least':>7} {'baseline':>9} {'ratio':>7}")
        _print_loading(path)
        with closing(LiveCollection(path, models)) as live:
            _print_renewals(path, live)
            collection = live.current()
        for model in models:
            _print_requests(collection, model)


def write_catalogue(path: Path, models: Sequence[GenreModel]) -> None:
    """Write made-up tracks in bulk; each has a genre of its own, in turn."""
    Catalogue(path).close()
    chance = np.random.default_rng(0)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for start in range(0, TRACKS, _BATCH):
            numbers = range(start, start + _BATCH)
            connection.executemany(_TRACK, map(_track, numbers))
            heard = [_hearings(model, numbers, chance) for model in models]
            # Those of one track together, as a scan writes them.
            rows = chain.from_iterable(zip(*heard, strict=True))
            connection.executemany("INSERT INTO hearings VALUES (?,?,?,?,?,0.5,1,NULL,?)", rows)
        connection.execute("COMMIT")


def _track(number: int) -> tuple[Any, ...]:
    artist, album, title = f"Artist {number // 100}", f"Album {number // 10}", f"The title of song {number}"
    path = os.fsencode(f"/home/someone/music/{artist}/{album}/{number % 10:02d} {title}.mp3")
    tag = list(Genre)[number % len(Genre)] if number % 2 else None
    return number, path, 5_000_000 + number, number, title, artist, album, 1990, tag, 200.5, "mp3", f"{number:032x}"


def _hearings(model: GenreModel, numbers: range, chance: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    features = chance.normal(size=(len(numbers), model.dimension))
    for number, row in zip(numbers, features, strict=True):
        genre = list(Genre)[number % len(Genre)]
        yield number, model.feature_id, model.space_id, model.model_id, genre, row.tobytes()


def _print_loading(path: Path) -> None:
    ours, plain = [], []
    for _ in range(LOADINGS):
        ours.append(_in_a_process("load", path))
        plain.append(_in_a_process("select", path))
    _print_row("loading", ours, plain)


def _in_a_process(what: str, path: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.requests", what, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def load(path: Path) -> float:
    """Return the seconds from a catalogue to a shelf that answers; the models are there already."""
    models = load_models([MODELS_DIR / name for name in MODELS])
    started_at = time.perf_counter()
    with closing(LiveCollection(path, models)) as live:
        collection = live.current()
        shelf = Shelf(collection.tracks, collection.spaces)
        took_s = time.perf_counter() - started_at
    assert len(shelf) == TRACKS
    return took_s


def select(path: Path) -> float:
    """Return the seconds in which sqlite3 hands over all rows, which are dropped at once."""
    started_at = time.perf_counter()
    with closing(sqlite3.connect(path)) as connection:
        for query in _BYTES:
            for _ in connection.execute(query):
                pass
    return time.perf_counter() - started_at


def _print_renewals(path: Path, live: LiveCollection) -> None:
    """Away, and back again, each followed by what a worker does: a new collection and a new shelf."""
    paths = [live.current().tracks[i * (TRACKS // max(CHANGED))].path for i in range(max(CHANGED))]
    with Catalogue(path) as catalogue:
        for changed in CHANGED:
            took = []
            for i in range(RENEWALS):
                some = paths[:changed]
                catalogue.write_changes(Changes(back=some) if i % 2 else Changes(away=some))
                took.append(_seconds(lambda: _renew(live)))
            _print_row(f"{changed} track{'s' if changed > 1 else ''} changed", took)
            catalogue.write_changes(Changes(back=paths))


def _renew(live: LiveCollection) -> Shelf:
    collection = live.current()
    return Shelf(collection.tracks, collection.spaces)


def _print_requests(collection: Collection, model: GenreModel) -> None:
    shelf = Shelf(collection.tracks, collection.spaces)
    provider = _provider(shelf)
    chance = np.random.default_rng(1)
    space = next(one for one in collection.spaces if one.space_id == model.space_id)
    rows = [i for i in range(len(collection)) if collection.tracks[i].genre is ASKED]
    matrix = space.vectors[rows]
    answers, nearest, plain = [], [], []
    for _ in range(REQUESTS):
        vector = model.vectors(chance.normal(size=(1, model.dimension)))[0]
        request = Request(genre=ASKED, vectors={model.space_id: vector.tolist()})
        query = PlaylistQuery(ASKED, model.space_id, vector)
        answers.append(_seconds(partial(_answer, provider, request)))
        nearest.append(_seconds(partial(shelf.nearest, query)))
        plain.append(_seconds(partial(plain_answer, matrix, vector)))
    print(
        f"requests for {len(rows):,} tracks in {model.name}: the slowest of {REQUESTS} took {_slowest(answers)} ms, "
        f"their playlists {_slowest(nearest)} ms"
    )
    _print_row("answer", answers, plain)
    _print_row("playlist", nearest, plain)


def _answer(provider: Provider, request: Request) -> None:
    answer = provider.answer(request, user_id="anna", reply_to="anna.inbox", now=time.monotonic())
    assert isinstance(answer, Offer)


def plain_answer(matrix: NDArray[np.float32], vector: NDArray[np.float32]) -> tuple[float, NDArray[np.intp]]:
    """Return the mean distance and the nearest, without any of our code."""
    distances = np.sqrt(((matrix - vector) ** 2).sum(axis=1))
    return float(distances.mean()), np.argsort(distances)[:MAX_PLAYLIST_TRACKS]


def _provider(shelf: Shelf) -> Provider:
    provider = Provider(
        provider_id="provider-0123456789",
        name="Worker",
        issue_ticket=lambda _user, _query: "ticket-0123456789abcdef",
        host="127.0.0.1",
        port=7711,
        limit=RequestLimit(burst=1e9, per_s=1e9),
    )
    provider.shelf = shelf
    return provider


def _seconds(work: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def _slowest(took: Sequence[float]) -> str:
    return f"{max(took) * 1000:.2f}"


def _print_row(what: str, ours: Sequence[float], plain: Sequence[float] = ()) -> None:
    """Medians in milliseconds, and the least, which is nearest to what the work itself takes."""
    row = f"{what:>22} {statistics.median(ours) * 1000:>9.2f} {min(ours) * 1000:>7.2f}"
    if plain:
        row += f" {statistics.median(plain) * 1000:>9.2f} {statistics.median(ours) / statistics.median(plain):>7.2f}"
    print(row, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print({"load": load, "select": select}[sys.argv[1]](Path(sys.argv[2])))
    else:
        main()

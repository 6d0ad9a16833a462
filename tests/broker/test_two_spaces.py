"""A circle in which some have a second feature space and some have not: over a real broker, in both directions."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from dnai.cli.main import main
from dnai.config import Settings
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.scanner import scan_folder
from dnai.tracks import Genre
from tests.demo_process import clean_environment
from tests.models import SHIPPED, copy_model
from tests.unit.library.conftest import add_song
from web import wording
from web.listener import Target

if TYPE_CHECKING:
    from tests.broker.conftest import MakeProvider, Parts
    from tests.conftest import Circle, Eventually

NEW, OLD = "musicnn200-0123456789abcdef", "librosa26-0123456789abcdef"


def asked_in(*space_ids: str) -> dict[str, NDArray[np.float32]]:
    """The vectors of a request, all zeros."""
    return {space_id: np.zeros(26, dtype=np.float32) for space_id in space_ids}


def test_a_listener_with_both_ranks_in_the_new_space_and_tells_who_is_left_out(
    circle: Circle, parts: Parts, make_provider: MakeProvider, eventually: Eventually
) -> None:
    """The old worker is far nearer in its own space, which says nothing: it is named, and never ranked."""
    parts.worker(circle.url("bob"), make_provider("Bob", {Genre.JAZZ: 5.0}, spaces=[NEW, OLD]))
    parts.worker(circle.url("carl"), make_provider("Carl", {Genre.JAZZ: 9.0}, spaces=[OLD, NEW]))
    parts.worker(circle.url("dora"), make_provider("Dora", {Genre.JAZZ: 0.1}, spaces=[OLD]))
    scatter = parts.scatter(circle.url("anna"), deadline_s=20.0)
    eventually(lambda: len(scatter.who()) == 3, "three hellos")
    result = scatter.ask(Genre.JAZZ, asked_in(NEW, OLD))
    assert [(offer.name, offer.space_id) for offer in result.offers] == [("Bob", NEW), ("Carl", NEW)]
    assert [(offer.name, offer.space_id) for offer in result.left_out] == [("Dora", OLD)]
    winner = result.winner
    assert winner is not None
    line = wording.winner_line(winner, result, Target(Genre.JAZZ, asked_in(NEW, OLD)))
    assert line.startswith("Bob plays: ")
    assert " of 2 offers, " in line
    assert line.endswith(
        "I left out Dora, who has no musicnn200 vectors yet (librosa26 cannot be compared with them): "
        "update that worker."
    )


def test_a_listener_with_the_old_space_alone_has_everybody(
    circle: Circle, parts: Parts, make_provider: MakeProvider, eventually: Eventually
) -> None:
    """Workers with both answer in the one that was asked in: nobody is left out."""
    parts.worker(circle.url("bob"), make_provider("Bob", {Genre.JAZZ: 5.0}, spaces=[NEW, OLD]))
    parts.worker(circle.url("dora"), make_provider("Dora", {Genre.JAZZ: 0.1}, spaces=[OLD]))
    scatter = parts.scatter(circle.url("anna"), deadline_s=20.0)
    eventually(lambda: len(scatter.who()) == 2, "two hellos")
    result = scatter.ask(Genre.JAZZ, asked_in(OLD))
    assert [(offer.name, offer.space_id) for offer in result.offers] == [("Dora", OLD), ("Bob", OLD)]
    assert result.left_out == ()


def test_where_nobody_has_the_new_space_the_old_one_serves(
    circle: Circle, parts: Parts, make_provider: MakeProvider
) -> None:
    """The first space of the request in which anybody answered."""
    parts.worker(circle.url("dora"), make_provider("Dora", {Genre.JAZZ: 0.1}, spaces=[OLD]))
    result = parts.scatter(circle.url("anna")).ask(Genre.JAZZ, asked_in(NEW, OLD))
    assert [(offer.name, offer.space_id) for offer in result.offers] == [("Dora", OLD)]
    assert result.left_out == ()


@pytest.fixture
def twin(tmp_path: Path) -> GenreModel:
    """A second model, which hears with the same numbers under another name."""
    return GenreModel(copy_model(tmp_path / "twin26", name="twin26"))


def test_ask_names_who_was_left_out_and_why(
    circle: Circle,
    parts: Parts,
    make_provider: MakeProvider,
    twin: GenreModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the terminal, in plain words."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DNAI_{name.upper()}", raising=False)
    old = GenreModel(SHIPPED)
    both = [twin.space_id, old.space_id]
    parts.worker(circle.url("bob"), make_provider("Bob", {Genre.JAZZ: 5.0}, spaces=both, port=9))
    parts.worker(circle.url("dora"), make_provider("Dora", {Genre.JAZZ: 0.0}, spaces=both[1:], port=9))
    arguments = ["--models", f"{twin.folder},librosa26", "--data-dir", str(tmp_path / "data")]
    monkeypatch.setattr(sys, "argv", ["dnai", "ask", "play jazz", "--broker", circle.url("anna"), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert (
        "left out: Dora (dora) has no twin26 vectors yet (librosa26 cannot be compared with them): update that worker"
        in out
    )
    assert "Bob (bob)" in out


@contextmanager
def running_worker(folder: Path, data_dir: Path, url: str, models: str) -> Iterator[str]:
    """Run a worker until the block ends; yields its ready line."""
    command = [sys.executable, "-P", "-m", "dnai.cli", "worker", str(folder), "--listen", "127.0.0.1:0"]
    command += ["--data-dir", str(data_dir), "--broker", url, "--models", models]
    environment = {**clean_environment(), "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    timer = threading.Timer(120, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        timer.cancel()
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def test_a_worker_answers_all_the_time_while_its_catalogue_is_brought_up_to_date(
    circle: Circle, parts: Parts, twin: GenreModel, tmp_path: Path, eventually: Eventually
) -> None:
    """At first in the old space, when the new one is nearly complete in that, and never not at all."""
    old = GenreModel(SHIPPED)
    data_dir = tmp_path / "data"
    for i in range(12):
        add_song(tmp_path / "music", f"{i:02d}.flac", seed=i, genre="Jazz")
    with Catalogue(data_dir / "catalogue.sqlite3") as catalogue:
        scan_folder(tmp_path / "music", catalogue, [old], report=lambda _progress: None)
    vectors = {model.space_id: model.midpoints[Genre.JAZZ] for model in (twin, old)}
    seen: list[tuple[str, int]] = []
    scatter = parts.scatter(circle.url("anna"), deadline_s=10.0)
    url = circle.url("bob")

    def in_the_new_space() -> bool:
        threading.Event().wait(0.1)  # who asks too often is not answered
        (offer,) = scatter.ask(Genre.JAZZ, vectors).offers
        seen.append((offer.space_id, offer.tracks))
        return seen[-1] == (twin.space_id, 12)

    with running_worker(tmp_path / "music", data_dir, url, f"{twin.folder},librosa26") as ready:
        assert "shares 12 tracks (jazz 12)" in ready
        assert f"feature spaces {twin.space_id}" in ready
        assert old.space_id in ready
        eventually(lambda: scatter.who(), "the worker's hello")
        eventually(in_the_new_space, "an answer in the new space over all tracks", timeout_s=90)
    spaces = [space_id for space_id, _ in seen]
    assert spaces == sorted(spaces, key=[old.space_id, twin.space_id].index)
    assert {tracks for space_id, tracks in seen if space_id == old.space_id} <= {12}
    assert min(tracks for space_id, tracks in seen if space_id == twin.space_id) >= 11

"""The command line of one's own collection: results on stdout, the rest on stderr, exit codes 0, 1, 2."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dnai.audio.features import FEATURE_NAMES
from dnai.cli.main import COMMANDS
from dnai.config import PROJECT_DIR
from dnai.genre.model import GenreModel
from dnai.tracks import Genre
from tests.models import copy_model
from tests.unit.cli.conftest import Dnai
from tests.unit.library.conftest import add_song


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A jazz song, one without tags, and a file that is no music."""
    add_song(tmp_path / "music", "a.flac", title="So What", artist="Miles Davis", genre="Jazz", date="1959")
    add_song(tmp_path / "music", "b.wav", seed=5)
    (tmp_path / "music" / "c\x1b[2J.mp3").write_bytes(b"no music")
    return tmp_path / "music"


def test_a_scan_says_what_it_did_and_what_it_skipped(dnai: Dnai, folder: Path) -> None:
    """The summary on stdout; progress and reasons on stderr, without the escapes of a file's name."""
    ended = dnai("scan", folder)
    assert ended.code == 0
    assert ended.out.startswith("2 analysed, 0 unchanged, 1 failed, 0 dropped: ")
    lines = ended.err.splitlines()
    assert any(line.startswith("preparing the analysis") for line in lines)
    assert any(line.startswith("scanning: 3 of 3 tracks") for line in lines)
    assert any(line.startswith(f"skipped {folder}/c[2J.mp3: not readable as sound") for line in lines)
    assert "\x1b" not in ended.out + ended.err


def test_programs_get_events(dnai: Dnai, folder: Path) -> None:
    """One JSON object a line on stdout: what is waited for, how far it is, what is skipped, and what came of it."""
    events = [json.loads(line) for line in dnai("scan", folder, "--json").out.splitlines()]
    assert [event["event"] for event in events if event["event"] != "progress"] == ["waiting", "skipped", "finished"]
    last = [event for event in events if event["event"] == "progress"][-1]
    assert (last["step"], last["done"], last["total"], last["music_s"]) == ("new", 3, 3, 1.0)
    assert events[-2]["path"] == f"{folder}/c[2J.mp3"
    assert (events[-1]["analysed"], events[-1]["failed"]) == (2, 1)


def test_a_second_scan_is_at_once_and_still_names_what_is_skipped(
    dnai: Dnai, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the folder is written in another way."""
    dnai("scan", folder)
    monkeypatch.chdir(folder.parent)
    ended = dnai("scan", "data/../music")
    assert ended.out.startswith("0 analysed, 3 unchanged, 0 failed, 0 dropped: ")
    assert "scanning" not in ended.err
    assert "skipped" in ended.err


def test_tracks_are_listed_with_genre_origin_and_confidence(dnai: Dnai, folder: Path) -> None:
    """One a line; the count is not among the results."""
    dnai("scan", folder)
    ended = dnai("tracks")
    first, second = ended.out.splitlines()
    assert first.startswith("  0:00  jazz (tag, librosa26: ")
    assert first.endswith("Miles Davis – So What")
    assert re.match(r"  0:00  [a-z]+\? \(not sure, librosa26: |  0:00  [a-z]+ \(model, librosa26: ", second)
    assert second.endswith("? – b")
    assert first.count("%") == second.count("%") == 1
    assert ended.err == "2 tracks\n"


def test_tracks_as_json_have_all_that_is_known(dnai: Dnai, folder: Path) -> None:
    """And can be narrowed to a genre."""
    dnai("scan", folder)
    jazz, other = dnai("tracks", "--json").json
    assert jazz.keys() == {
        *("path", "title", "artist", "album", "year", "genre", "genre_origin", "model_genre", "confidence"),
        *("told_by", "heard", "duration_s", "type", "size_bytes", "album_artist", "track_number"),
    }
    assert (jazz["path"], jazz["genre"], jazz["genre_origin"]) == (str(folder / "a.flac"), "jazz", "tag")
    assert (jazz["year"], jazz["type"], jazz["duration_s"]) == (1959, "flac", 0.5)
    assert other["genre"] == other["model_genre"]
    assert jazz["told_by"] == other["told_by"] == "librosa26"
    answer = other["heard"]["librosa26"]
    assert (answer["genre"], answer["confidence"]) == (other["genre"], other["confidence"])
    assert other["genre_origin"] == ("model" if answer["sure"] else "unsure")
    assert 0 < other["confidence"] <= 1
    assert jazz in dnai("tracks", "--genre", "jazz", "--json").json
    others = [genre for genre in Genre if genre not in {jazz["genre"], other["genre"]}]
    assert dnai("tracks", "--genre", others[0], "--json").json == []


def test_features_as_json_are_path_and_the_26_raw_means_by_name(dnai: Dnai, folder: Path) -> None:
    """Exactly those, in their order."""
    dnai("scan", folder)
    first, _ = dnai("tracks", "--json", "--features").json
    assert list(first) == ["path", "features"]
    assert list(first["features"]) == list(FEATURE_NAMES)
    assert first["features"]["spectral_centroid"] > 100
    assert dnai("tracks", "--features").code == 2


def test_what_could_not_be_used_is_listed_with_its_reason(dnai: Dnai, folder: Path) -> None:
    """For people, and for programs."""
    dnai("scan", folder)
    (line,) = dnai("tracks", "--failed").out.splitlines()
    assert line.startswith(f"{folder}/c[2J.mp3: not readable as sound")
    (record,) = dnai("tracks", "--failed", "--json").json
    assert record["path"] == f"{folder}/c\x1b[2J.mp3"
    assert record["reason"].startswith("not readable as sound")


def test_a_file_name_that_is_not_utf_8_is_listed_all_the_same(dnai: Dnai, tmp_path: Path) -> None:
    """JSON has no such bytes: they are escaped."""
    song = add_song(tmp_path / "music", "x.wav")
    song.rename(song.parent / os.fsdecode(b"caf\xe9.wav"))
    dnai("scan", tmp_path / "music")
    (track,) = dnai("tracks", "--json").json
    assert track["path"].endswith("caf\\udce9.wav")
    assert dnai("tracks").out.endswith("? – caf\n")


def test_taste_is_the_midpoint_of_each_genre(dnai: Dnai, folder: Path) -> None:
    """The mean of one's own tracks; the model's own where there are none."""
    dnai("scan", folder)
    tracks = dnai("tracks", "--json").json
    features = dnai("tracks", "--json", "--features").json
    model = GenreModel(PROJECT_DIR / "models" / "librosa26")
    taste = dnai("taste", "--json").json
    assert taste["space_id"] == model.space_id
    assert taste["spaces"] == {"librosa26": {"space_id": model.space_id, "midpoints": taste["midpoints"]}}
    assert set(taste["midpoints"]) == set(Genre)
    for genre, midpoint in taste["midpoints"].items():
        rows = [list(f["features"].values()) for t, f in zip(tracks, features, strict=True) if t["genre"] == genre]
        assert (midpoint["origin"], midpoint["tracks"]) == ("collection" if rows else "model", len(rows))
        expected = model.vectors(np.array(rows)).mean(axis=0) if rows else model.midpoints[Genre(genre)]
        np.testing.assert_allclose(midpoint["vector"], expected, atol=1e-5)


@pytest.fixture
def twin(tmp_path: Path) -> GenreModel:
    """A second model, which hears with the same numbers under another name, and is never sure."""
    return GenreModel(copy_model(tmp_path / "twin26", name="twin26", sure_from=1.0))


def test_a_second_model_is_heard_in_a_second_scan(dnai: Dnai, folder: Path, twin: GenreModel) -> None:
    """Which says so, in its progress and its summary; the first model's answers are the same as before."""
    dnai("scan", folder)
    before = dnai("tracks", "--json").json
    both = f"{twin.folder},librosa26"
    ended = dnai("scan", folder, "--models", both)
    assert ended.out.startswith("0 analysed, 3 unchanged, 0 failed, 0 dropped, 2 brought up to date: ")
    assert any(line.startswith("bringing up to date: 2 of 2 tracks") for line in ended.err.splitlines())
    assert "scanning: " not in ended.err
    after = dnai("tracks", "--json", "--models", both).json
    for old, new in zip(before, after, strict=True):
        assert list(new["heard"]) == ["twin26", "librosa26"]
        assert new["heard"]["librosa26"] == old["heard"]["librosa26"]
        assert not new["heard"]["twin26"]["sure"]
        assert (new["told_by"], new["heard"]["twin26"]["space_id"]) == ("twin26", twin.space_id)
    assert [track["genre_origin"] for track in after] == ["tag", "unsure"]
    assert dnai("tracks", "--json").json == before


def test_a_genre_that_no_model_is_sure_of_is_marked(dnai: Dnai, folder: Path, twin: GenreModel) -> None:
    """With a question mark and in words; and tags can be switched off."""
    dnai("scan", folder, "--models", twin.folder)
    first, second = dnai("tracks", "--models", twin.folder).out.splitlines()
    assert first.startswith("  0:00  jazz (tag, twin26: ")
    assert re.match(r"  0:00  ([a-z]+)\? \(not sure, twin26: \1 \d+%\) ", second)
    first, _ = dnai("tracks", "--models", twin.folder, "--no-use-tags").out.splitlines()
    assert re.match(r"  0:00  ([a-z]+)\? \(not sure, twin26: \1 \d+%\) ", first)


def test_features_of_a_second_model_stand_beside_the_26_means(dnai: Dnai, folder: Path, twin: GenreModel) -> None:
    """By the model's name; the 26 means stay where they were."""
    dnai("scan", folder, "--models", f"librosa26,{twin.folder}")
    first, _ = dnai("tracks", "--json", "--features", "--models", f"librosa26,{twin.folder}").json
    assert list(first) == ["path", "features", "other_features"]
    assert first["other_features"] == {"twin26": first["features"]}


def test_taste_is_shown_in_each_space(dnai: Dnai, folder: Path, twin: GenreModel) -> None:
    """The preferred one first, under its name."""
    both = f"{twin.folder},librosa26"
    dnai("scan", folder, "--models", both)
    taste = dnai("taste", "--json", "--models", both).json
    assert taste["space_id"] == twin.space_id
    assert list(taste["spaces"]) == ["twin26", "librosa26"]
    assert taste["spaces"]["twin26"]["midpoints"] == taste["midpoints"]
    lines = dnai("taste", "--models", both).out.splitlines()
    assert [lines[0], lines[11].split()[0]] == [f"twin26 ({twin.space_id}):", "librosa26"]
    assert len(lines) == 22


def test_the_doctor_looks_at_each_model(dnai: Dnai, folder: Path, twin: GenreModel) -> None:
    """And says how many tracks one of them has still to hear."""
    dnai("scan", folder)
    found = dnai("doctor", "--json", "--models", f"{twin.folder},librosa26").json
    models = [(finding["verdict"], finding["words"]) for finding in found if finding["what"] == "model"]
    assert [verdict for verdict, _ in models] == ["note", "ok"]
    assert models[0][1].startswith(f"twin26, feature space {twin.space_id}")
    assert "2 of 2 tracks are still to be heard: dnai scan DIR does it" in models[0][1]
    assert models[1][1].startswith("librosa26, feature space librosa26-")


def test_taste_of_an_empty_collection_is_the_models(dnai: Dnai) -> None:
    """A line a genre, and nothing has to be scanned before."""
    ended = dnai("taste")
    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.splitlines()] == list(Genre)
    assert ended.out.count("the model's own") == 10


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["scan", "/nowhere/music"], 2, "dnai: the music folder /nowhere/music does not exist"),
        (["scan"], 2, "Missing argument 'DIR...'"),
        (["tracks", "--genre", "techno"], 2, "'techno' is not one of 'blues'"),
        (["tracks", "--gerne", "jazz"], 2, "Did you mean '--genre'?"),
        (["tarcks"], 2, "there is no command 'tarcks'; did you mean 'tracks'?"),
        (["xyzzy"], 2, "there is no command 'xyzzy'"),
        ([], 2, "Usage: dnai"),
        (["taste", "--models", "/nowhere/model"], 1, "dnai: /nowhere/model is not a model folder"),
        (["taste", "--models", "librosa27"], 2, "there is no model 'librosa27'; did you mean librosa26?"),
        (["taste", "--model", "librosa26"], 2, "'--models'?"),
        (["tracks", "--log-level", "LOUD"], 2, "log_level (DNAI_LOG_LEVEL): "),
        (["tracks", "--data-dir", "/dev/null/x"], 1, "dnai: the catalogue /dev/null/x/catalogue.sqlite3 cannot be"),
        (["train"], 2, "give either --table CSV or --audio DIR"),
        (["train", "--table", "/nowhere.csv"], 1, "dnai: /nowhere.csv cannot be read as a table"),
    ],
)
def test_mistakes_end_with_a_line_that_says_what_to_do(
    dnai: Dnai, arguments: list[str], code: int, message: str
) -> None:
    """2 where the call was wrong, 1 where something else was; nothing on stdout, and no traceback."""
    ended = dnai(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_broken_catalogue_is_named(dnai: Dnai, tmp_path: Path) -> None:
    """And not overwritten."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalogue.sqlite3").write_bytes(b"a letter to my aunt " * 100)
    ended = dnai("tracks")
    assert ended.code == 1
    assert "catalogue.sqlite3: file is not a database" in ended.err


def test_help_names_every_command_at_once(dnai: Dnai) -> None:
    """With a line each, and every option of a command with its setting."""
    ended = dnai("--help")
    assert ended.code == 0
    for name, (_, summary) in COMMANDS.items():
        assert f"{name} " in ended.out
        assert summary in ended.out
    assert "DNAI_DATA_DIR" in dnai("scan", "--help").out
    assert dnai("--version").out.startswith("dnai")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_explains_itself(dnai: Dnai, name: str) -> None:
    """Its module loads, its help says what it does and where its data is."""
    ended = dnai(name, "--help")
    assert ended.code == 0
    assert f"Usage: dnai {name}" in ended.out


def test_a_reader_who_has_had_enough_is_no_error_worth_a_traceback(tmp_path: Path) -> None:
    """As with ``dnai taste | head -1``."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "dnai.cli", "taste", "--json", "--data-dir", str(tmp_path)]
    ended = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(write_end)
    assert ended.returncode == 1
    assert ended.stderr == ""

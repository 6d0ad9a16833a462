"""The table that a model is trained on: what is read, and which mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnai.audio.features import FEATURE_NAMES
from dnai.config import PROJECT_DIR
from dnai.errors import ModelError
from dnai.genre.table import LABELS, find_space, read_table
from tests.unit.genre.conftest import Rows, WriteTable, made_rows

GTZAN = PROJECT_DIR.parent / "shared" / "data" / "gtzan" / "features_10s.csv"


def changed(row: int, **values: object) -> Rows:
    """Made rows with some values of one row replaced."""
    rows = made_rows()
    rows[row] |= values
    return rows


def test_a_table_is_read_as_it_was_written(write_table: WriteTable) -> None:
    """Numbers, labels, tracks, groups and split, row by row."""
    rows = made_rows()
    table = read_table(write_table(rows))
    assert len(table) == len(rows) == 54
    assert table.features.shape == (54, 26)
    assert table.features[5, 3] == pytest.approx(rows[5][FEATURE_NAMES[3]])
    assert [LABELS[i] for i in table.labels] == [row["label"] for row in rows]
    assert table.tracks[0] == "jazz.0"
    assert len(set(table.groups)) == 18
    assert (table.split == "valid").sum() == 9


def test_a_table_without_artist_and_split_groups_by_track(write_table: WriteTable) -> None:
    """Further columns do not matter."""
    rows = [{k: v for k, v in row.items() if k not in {"artist", "split"}} for row in made_rows()]
    table = read_table(write_table(rows))
    assert len(set(table.groups)) == 18
    assert set(table.split) == {""}


def test_a_table_of_a_spreadsheet_is_read_too(write_table: WriteTable) -> None:
    """They put a byte order mark in front."""
    path = write_table(made_rows())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_table(path)) == 54


def test_an_unknown_artist_is_a_group_of_the_track_alone(write_table: WriteTable) -> None:
    """Two such tracks are not the same artist's."""
    rows = [{**row, "artist": "" if row["label"] == "jazz" else row["artist"]} for row in made_rows()]
    assert len(set(read_table(write_table(rows)).groups)) == 18


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param(changed(2, mfcc3="nan"), r"line 4: mfcc3 is nan; every feature must be finite", id="nan"),
        pytest.param(changed(2, rms="1e999"), r"line 4: rms is 1e999; every feature must be finite", id="infinite"),
        pytest.param(changed(2, rms=""), r"line 4: rms is '', not a number", id="empty"),
        pytest.param(changed(2, rms="loud"), r"line 4: rms is 'loud', not a number", id="no number"),
        pytest.param(changed(0, label="techno"), r"line 2: 'techno' is none of the ten genres", id="label"),
        pytest.param(changed(0, split="tset"), r"split 'tset' is not known", id="split"),
        pytest.param(changed(0, label="pop"), r"track 'jazz.0' has two genres", id="two genres"),
        pytest.param(changed(0, mfcc3="1e308"), r"mfcc3 is 1e308; no feature of a sound is as large", id="huge"),
        pytest.param(changed(0, track=""), r"line 2: the track has no name", id="no name"),
        pytest.param(changed(0, artist="jazz artist 1"), r"'artist jazz artist 1' stands on both sides", id="artist"),
        pytest.param(changed(0, split="train", artist=""), r"track 'jazz.0' stands on both sides", id="track"),
        pytest.param(changed(0, split=""), r"'artist jazz artist 0' stands on both sides", id="unmarked row"),
        pytest.param(made_rows(genres=("jazz",)), r"one genre only", id="one genre"),
    ],
)
def test_mistakes_are_named_with_their_place(write_table: WriteTable, rows: Rows, reason: str) -> None:
    """So that the table can be mended."""
    with pytest.raises(ModelError, match=reason):
        read_table(write_table(rows))


@pytest.mark.parametrize("column", ["track", "label", "mfcc20"])
def test_a_missing_column_is_named(write_table: WriteTable, column: str) -> None:
    """Each of those that are needed."""
    rows = [{k: v for k, v in row.items() if k != column} for row in made_rows()]
    with pytest.raises(ModelError, match=f"lacks the columns {column}"):
        read_table(write_table(rows))


@pytest.mark.parametrize("content", [b"", b"track,label\n", b"\xff\xfe\x00", b'"' + b"x" * 200_000])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing, a head alone, no text, an endless field."""
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"table\.csv"):
        read_table(path)


def test_a_head_without_rows_and_a_short_row_are_named(write_table: WriteTable) -> None:
    """As of a table whose writing was interrupted."""
    path = write_table(made_rows())
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(lines[0] + "\n", encoding="utf-8")
    with pytest.raises(ModelError, match="has no rows"):
        read_table(path)
    path.write_text("\n".join([*lines[:-1], lines[-1][:60]]), encoding="utf-8")
    with pytest.raises(ModelError, match=r"line 55: .* not a number"):
        read_table(path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(ModelError, match=r"nowhere\.csv cannot be read"):
        read_table(tmp_path / "nowhere.csv")


@pytest.mark.skipif(not GTZAN.is_file(), reason="the GTZAN feature table is not on this machine")
def test_the_gtzan_table_is_read_and_keeps_artists_apart() -> None:
    """1,912 pieces of 640 tracks, 197 of them apart."""
    table = read_table(GTZAN)
    assert len(table) == 1912
    assert len(set(table.tracks)) == 640
    assert len(set(table.tracks[table.split == "valid"])) == 197
    assert not set(table.groups[table.split == "train"]) & set(table.groups[table.split == "valid"])


def test_the_space_of_a_table_is_told_by_its_columns(tmp_path: Path) -> None:
    """Two hundred numbers e0 to e199 are an embedding; a table that lacks one of them is told so."""
    columns = ["track", "label", *(f"e{i}" for i in range(200))]
    rows = [["a", "jazz", *["0.5"] * 200], ["b", "pop", *["1.5"] * 200]]
    path = tmp_path / "embedding.csv"
    path.write_text("\n".join(",".join(row) for row in [columns, *rows]), encoding="utf-8")
    assert find_space(path) == "musicnn200"
    assert read_table(path).features.shape == (2, 200)
    with pytest.raises(ModelError, match=r"lacks the columns chroma_stft, .* and 16 more of a table of librosa26"):
        read_table(path, space="librosa26")


def test_tracks_without_an_artist_are_counted(write_table: WriteTable) -> None:
    """They decide how far a figure may be believed."""
    rows = [{**row, "artist": "" if row["label"] == "jazz" else row["artist"]} for row in made_rows()]
    table = read_table(write_table(rows))
    assert table.unknown_artists == 6
    assert table.track_count == 18


def test_tracks_kept_for_a_last_test_are_read(write_table: WriteTable) -> None:
    """A split of three parts is one."""
    rows = [{**row, "split": "test" if row["track"].endswith(".5") else row["split"]} for row in made_rows()]
    assert (read_table(write_table(rows)).split == "test").sum() == 9


def test_a_column_that_stands_twice_is_refused(write_table: WriteTable) -> None:
    """Which of the two counts is not for us to choose; nor what a cell too many means."""
    path = write_table(made_rows())
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head + ",mfcc3", *(line + ",7" for line in lines)]), encoding="utf-8")
    with pytest.raises(ModelError, match="has the column 'mfcc3' twice"):
        read_table(path)
    path.write_text("\n".join([head, lines[0] + ",7", *lines[1:]]), encoding="utf-8")
    with pytest.raises(ModelError, match="line 2 has more cells than the table has columns"):
        read_table(path)


def test_spellings_of_one_artist_are_one_group(write_table: WriteTable) -> None:
    """Capitals, spaces and forms of accents; a track's name loses the spaces around it."""
    spellings = ("Café del  Mar", "CAFÉ DEL MAR", " Cafe\u0301 del mar ")
    rows = [
        {**row, "artist": spellings[i % 3], "split": "", "track": f" {row['track']} "}
        for i, row in enumerate(made_rows())
    ]
    table = read_table(write_table(rows))
    assert len(set(table.groups)) == 1
    assert table.tracks[0] == "jazz.0"


def test_a_genre_may_be_spelled_as_people_spell_it(write_table: WriteTable) -> None:
    """As folders of sounds may."""
    table = read_table(write_table(made_rows(genres=("Hip-Hop", "Jazz"))))
    assert {LABELS[label].value for label in table.labels} == {"hiphop", "jazz"}

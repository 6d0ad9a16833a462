"""What a model has heard is known again, under other names and with other rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dnai.config import MODELS_DIR, PROJECT_DIR
from dnai.errors import ModelError
from dnai.genre.record import RECORD_FILE, fingerprints, read_record, write_record
from dnai.genre.table import FeatureTable, read_table
from tests.unit.genre.conftest import made_table

TABLE = made_table()
GTZAN = PROJECT_DIR.parent / "shared" / "data" / "gtzan"


def strangers() -> FeatureTable:
    """Other tracks of other artists with other numbers."""
    other = np.array(["other " + name for name in TABLE.tracks])
    return replace(TABLE, tracks=other, groups=other, features=TABLE.features + 1.0)


def test_strangers_are_strangers() -> None:
    """And the table itself is known through and through."""
    heard = fingerprints(TABLE)
    assert heard.rows(TABLE).all()
    assert not heard.rows(strangers()).any()


def test_a_track_is_known_by_its_name_in_any_folder() -> None:
    """A table names it ``jazz.0``, a folder of sounds ``jazz/jazz.0.wav``."""
    names = np.array([f"{name.split('.')[0]}/{name}.wav" for name in TABLE.tracks])
    assert fingerprints(TABLE).rows(replace(strangers(), tracks=names)).all()


def test_an_artist_is_known_by_other_tracks() -> None:
    """Whoever heard one song of an artist has heard the artist."""
    assert fingerprints(TABLE).rows(replace(strangers(), groups=TABLE.groups)).all()


def test_a_renamed_copy_is_known_by_its_numbers() -> None:
    """Also when they were measured anew, a ten-thousandth off; one known piece gives the whole track away."""
    noise = 1 + 1e-4 * np.random.default_rng(0).normal(size=TABLE.features.shape)
    copies = replace(strangers(), features=TABLE.features * noise)
    assert fingerprints(TABLE).rows(copies).all()
    features = strangers().features
    features[0] = copies.features[0]
    known = fingerprints(TABLE).rows(replace(strangers(), features=features))
    np.testing.assert_array_equal(known, TABLE.tracks == TABLE.tracks[0])


def test_a_known_piece_gives_all_tracks_of_its_artist_away() -> None:
    """Whoever renames the tracks of an artist has not made another artist of them."""
    one_artist = replace(strangers(), groups=np.full(len(TABLE), "artist other"))
    features = one_artist.features
    features[0] = TABLE.features[0]
    assert fingerprints(TABLE).rows(replace(one_artist, features=features)).all()


@pytest.mark.parametrize("name", ["librosa26", "musicnn200"])
def test_the_record_of_a_shipped_model_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    """Plan, figures, curve, circles and digests."""
    record = read_record(MODELS_DIR / name)
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert record.figures.tracks.count == record.learned.tracks
    assert record.circles


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1, 2]"])
def test_a_missing_or_broken_record_is_named(tmp_path: Path, content: bytes | None) -> None:
    """With its path."""
    if content is not None:
        (tmp_path / RECORD_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"training\.json cannot be read"):
        read_record(tmp_path)


@pytest.mark.skipif(not GTZAN.is_dir(), reason="the GTZAN feature tables are not on this machine")
@pytest.mark.parametrize("table", ["features_10s", "musicnn_msd"])
def test_real_strangers_are_not_taken_for_copies(table: str) -> None:
    """Half of the tracks under other names, against the other half: none is known; a noisy copy is."""
    everything = read_table(GTZAN / f"{table}.csv")
    heard, others = (everything.rows(everything.split == part) for part in ("train", "valid"))
    assert not fingerprints(heard).rows(others).any()
    noise = 1 + 1e-5 * np.random.default_rng(0).normal(size=heard.features.shape)
    renamed = np.char.add("other ", heard.tracks)
    copy = replace(heard, tracks=renamed, groups=renamed, features=heard.features * noise)
    assert fingerprints(heard).rows(copy).all()


@pytest.mark.skipif(not GTZAN.is_dir(), reason="the GTZAN feature tables are not on this machine")
@pytest.mark.parametrize(("name", "table"), [("librosa26", "features_10s"), ("musicnn200", "musicnn_msd")])
def test_the_shipped_models_have_heard_all_of_their_tables(name: str, table: str) -> None:
    """So that nobody measures them on these by mistake."""
    assert read_record(MODELS_DIR / name).heard.rows(read_table(GTZAN / f"{table}.csv")).all()

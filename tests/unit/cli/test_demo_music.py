"""The demo's music: what is taken from which package, and how it is prepared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dnai.audio.tags import read_tags
from dnai.cli.demo_music import LISTENER, PROVIDERS, Album, Collection, Copying, Piece, credits_of, prepare
from dnai.errors import ConfigurationError
from dnai.tracks import AUDIO_SUFFIXES, Genre

SR = 8_000
ALBUM = Album(
    title="Two Songs",
    artist="A Band",
    authors="Somebody",
    licence="CC BY 4.0",
    package="a-package",
    folder="games/a",
    genre="Heavy Metal",
    changes="mixed",
    pieces=(Piece("Mixed", ("one/song.ogg", "one/guitar.ogg")), Piece("Copied", ("two.ogg",))),
)
COLLECTION = Collection("Anna", (ALBUM,))


def make_share(root: Path) -> Path:
    """Lay out what the package of `ALBUM` would install."""
    for name in ("one/song.ogg", "one/guitar.ogg", "two.ogg"):
        path = root / "games" / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full((SR, 1), 0.1, dtype=np.float32), SR)
    return root


def test_pieces_are_mixed_or_copied_and_tagged(tmp_path: Path) -> None:
    """Stems become one FLAC file, the other piece is a copy; both say title, artist and the source's genre."""
    share = make_share(tmp_path / "share")
    folders = prepare([COLLECTION], tmp_path / "music", share=share)
    found = sorted(
        path.relative_to(folders["Anna"]).as_posix() for path in folders["Anna"].rglob("*") if path.is_file()
    )
    assert found == ["A Band/Copied.ogg", "A Band/Mixed.flac"]
    tags = [read_tags(folders["Anna"] / name) for name in found]
    assert [(tag.title, tag.artist, tag.album, tag.genre) for tag in tags] == [
        ("Copied", "A Band", "Two Songs", Genre.METAL),
        ("Mixed", "A Band", "Two Songs", Genre.METAL),
    ]


def test_the_packages_own_files_are_not_touched(tmp_path: Path) -> None:
    """Tags go into copies: the package's files keep their bytes."""
    share = make_share(tmp_path / "share")
    before = {path: path.read_bytes() for path in share.rglob("*.ogg")}
    prepare([COLLECTION], tmp_path / "music", share=share)
    assert {path: path.read_bytes() for path in share.rglob("*.ogg")} == before


def test_second_time_nothing_is_made_anew(tmp_path: Path) -> None:
    """What is there stays as it is, and no progress is told."""
    share, told = make_share(tmp_path / "share"), list[Copying]()
    prepare([COLLECTION], tmp_path / "music", share=share, tell=told.append)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "music").rglob("*")}
    assert [copying.number for copying in told] == [1, 2]
    told.clear()
    prepare([COLLECTION], tmp_path / "music", share=share, tell=told.append)
    assert told == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "music").rglob("*")} == stamps


def test_other_tables_make_the_music_anew(tmp_path: Path) -> None:
    """After a change of what belongs to whom, no file of the old division stays."""
    share = make_share(tmp_path / "share")
    prepare([COLLECTION], tmp_path / "music", share=share)
    folders = prepare([Collection("Ben", (ALBUM,))], tmp_path / "music", share=share)
    assert not (tmp_path / "music" / "Anna").exists()
    assert len(list(folders["Ben"].rglob("*.*"))) == 2


def test_missing_package_is_named(tmp_path: Path) -> None:
    """Where a file is not installed, the error says which package brings it."""
    with pytest.raises(ConfigurationError, match="apt-get install --reinstall a-package"):
        prepare([COLLECTION], tmp_path / "music", share=tmp_path)


def test_the_demo_has_enough_whole_pieces_of_different_music() -> None:
    """Three providers, at least 25 pieces, mp3 among them, no album with two of them, no piece twice."""
    albums = [album for collection in PROVIDERS for album in collection.albums]
    files = [(album.folder, name) for album in albums for piece in album.pieces for name in piece.files]
    assert len(PROVIDERS) == 3
    assert sum(collection.pieces for collection in PROVIDERS) >= 25
    assert len(files) == len(set(files))
    assert len({album.artist for album in albums}) == len(albums)
    assert {Path(name).suffix for _, name in files} >= {".mp3", ".ogg"}
    assert all(Path(name).suffix in AUDIO_SUFFIXES for _, name in files)


def test_stems_never_stand_alone() -> None:
    """A song that comes as stems has all of them."""
    pieces = [p for collection in (*PROVIDERS, LISTENER) for album in collection.albums for p in album.pieces]
    stems = [piece for piece in pieces if any(Path(name).stem in {"song", "guitar"} for name in piece.files)]
    assert stems
    assert all({Path(name).stem for name in piece.files} == {"song", "guitar"} for piece in stems)


def test_credits_name_author_and_licence_of_every_album() -> None:
    """The page is told who made what, under which licence, from where, and what was changed."""
    credits = credits_of([COLLECTION])
    assert credits == [
        {
            "title": "A Band: Two Songs (2 pieces)",
            "authors": "Somebody",
            "licence": "CC BY 4.0",
            "source": "package a-package; mixed",
        }
    ]
    everything = credits_of((*PROVIDERS, LISTENER))
    assert all(credit["authors"] and credit["licence"] and credit["source"] for credit in everything)

"""The nouns: genres and their spellings, kinds of file, playlists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.tracks import (
    AUDIO_SUFFIXES,
    GENRE_SPELLINGS,
    AudioType,
    Genre,
    Playlist,
    PlaylistEntry,
    fold_genre_name,
    parse_genre,
)


def test_there_are_the_ten_genres() -> None:
    """Those of the collection that the network learned from."""
    assert " ".join(Genre) == "blues classical country disco hiphop jazz metal pop reggae rock"


@pytest.mark.parametrize("genre", Genre)
def test_a_genre_is_understood_by_its_own_name_however_it_is_written(genre: Genre) -> None:
    """In capitals, with white space, and as it is spoken."""
    for text in (genre.value, genre.value.upper(), f"  {genre.value.title()}. ", genre.spoken, genre.spoken.title()):
        assert parse_genre(text) is genre


@pytest.mark.parametrize(
    ("text", "genre"),
    [
        ("hip hop", Genre.HIPHOP),
        ("Hip-Hop", Genre.HIPHOP),
        ("hip_hop", Genre.HIPHOP),
        ("Hip - _ Hop", Genre.HIPHOP),
        ("rap", Genre.HIPHOP),
        ("heavy metal", Genre.METAL),
        ("classical music", Genre.CLASSICAL),
        ("Rock & Roll", Genre.ROCK),
        ("rock'n'roll", Genre.ROCK),
        ("rock ’n’ roll", Genre.ROCK),
        ("Country & Western", Genre.COUNTRY),
        ("rock bottom", None),
        ("rocks", None),
        ("jazz jazz", None),
        ("", None),
        ("&", None),
    ],
)
def test_everyday_spellings_are_understood_and_sentences_are_not(text: str, genre: Genre | None) -> None:
    """The whole text must be the name."""
    assert parse_genre(text) is genre


def test_every_spelling_is_in_the_form_that_names_are_folded_to() -> None:
    """A spelling in another form would never be found."""
    assert [text for text in GENRE_SPELLINGS if fold_genre_name(text) != text] == []


@given(st.text(max_size=200))
def test_folding_is_done_once(text: str) -> None:
    """Folding what was folded changes nothing, and leaves single spaces only."""
    folded = fold_genre_name(text)
    assert fold_genre_name(folded) == folded
    assert "  " not in folded


def test_every_kind_of_file_has_a_media_type_and_an_ending() -> None:
    """What is catalogued can be played; the types are ours, never a peer's."""
    assert set(AUDIO_SUFFIXES.values()) == set(AudioType) - {AudioType.ALAC}  # which looks like m4a from outside
    assert all(kind.mime.startswith("audio/") for kind in AudioType)


def test_a_playlist_finds_its_entries_by_id_and_knows_no_other() -> None:
    """An id that was never offered is None."""
    entry = PlaylistEntry("one", "T", "A", "", Genre.JAZZ, 1.0, 60.0, AudioType.MP3, 1000)
    playlist = Playlist((entry,))
    assert playlist.entry("one") is entry
    assert playlist.entry("two") is None

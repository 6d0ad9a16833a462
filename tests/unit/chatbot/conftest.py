"""A listener's collection, and conversations over a memory of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dnai.chatbot.dialogue import Conversation, Dialogue
from dnai.tracks import AudioType, Genre, GenreOrigin, Track


def make_track(title: str, artist: str, genre: Genre = Genre.JAZZ, *, album: str = "") -> Track:
    """Return a track of which only title, artist, album and genre matter."""
    return Track(
        path=Path("/music") / f"{title}.mp3".replace("/", "_"),
        title=title,
        artist=artist,
        album=album,
        year=None,
        genre=genre,
        genre_origin=GenreOrigin.TAG,
        model_genre=genre,
        confidence=0.5,
        duration_s=180.0,
        audio_type=AudioType.MP3,
        size_bytes=1000,
        mtime_ns=1,
    )


COLLECTION = (
    make_track("So What", "Miles Davis"),
    make_track("Blue in Green", "Miles Davis"),
    make_track("Take Five", "Dave Brubeck"),
    make_track("Rock Lobster", "The B-52's", Genre.ROCK),
    make_track("Jazz Suite", "Dmitri Shostakovich", Genre.CLASSICAL),
    make_track("Stop", "Spice Girls", Genre.POP),
    make_track("Next Year", "Foo Fighters", Genre.ROCK),
    make_track("Help!", "The Beatles", Genre.POP),
    make_track("Yesterday", "The Beatles", Genre.POP),
    make_track("Hello", "Adele", Genre.POP),
    make_track("Hello", "Lionel Richie", Genre.POP),
    make_track("Don't Stop", "Fleetwood Mac", Genre.ROCK),
    make_track("With a Little Help from My Friends", "Joe Cocker", Genre.ROCK),
    make_track("Smells Like Teen Spirit", "Nirvana", Genre.ROCK),
    make_track("Bohemian Rhapsody", "Queen", Genre.ROCK),
    make_track("Stand by Me", "Ben E. King", Genre.POP),
)


@pytest.fixture
def open_dialogue(tmp_path: Path) -> Iterator[Callable[[], Dialogue]]:
    """A way to open the chatbot, again and again, on the same memory."""
    opened: list[Dialogue] = []

    def open_one() -> Dialogue:
        opened.append(Dialogue(memory=tmp_path / "chat.sqlite3", collection=lambda: COLLECTION))
        return opened[-1]

    yield open_one
    for dialogue in opened:
        dialogue.close()


@pytest.fixture
def conversation(open_dialogue: Callable[[], Dialogue]) -> Conversation:
    """A conversation with a chatbot that has learned nothing yet."""
    return open_dialogue().conversation()

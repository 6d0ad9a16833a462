"""A listener's collection, for the chatbot's tests."""

from __future__ import annotations

from pathlib import Path

from dnai.tracks import Genre, Track
from tests.made_tracks import made_up_track


def make_track(title: str, artist: str, genre: Genre = Genre.JAZZ, *, album: str = "") -> Track:
    """Return a track of which only title, artist, album and genre matter."""
    path = Path("/music") / f"{title}.mp3".replace("/", "_")
    known = {"title": title, "artist": artist, "album": album, "genre": genre, "model_genre": genre}
    return made_up_track(path, **known, confidence=0.5, duration_s=180.0, mtime_ns=1)


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

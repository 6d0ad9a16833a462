"""What a message can mean, and what the chatbot says back: the values of the conversation.

Everything here is an immutable value; nothing here reads words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from dnai.tracks import Genre, Track


class Intent(StrEnum):
    """What the listener wants, as the web app and ``dnai understand`` are told."""

    PLAY = "play"
    NEXT = "next"
    PREVIOUS = "previous"
    RESTART = "restart"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    VOLUME_UP = "volume_up"
    VOLUME_DOWN = "volume_down"
    MUTE = "mute"
    UNMUTE = "unmute"
    WHAT = "what"
    WHY = "why"
    WHO = "who"
    HELP = "help"
    LESSONS = "lessons"
    TEACH = "teach"
    FORGET = "forget"
    ASK_SOURCE = "ask_source"
    ASK_WHAT = "ask_what"
    UNKNOWN_GENRE = "unknown_genre"
    UNKNOWN_TITLE = "unknown_title"
    SMALL_TALK = "small_talk"


CONTROLS = frozenset(
    {
        Intent.NEXT,
        Intent.PREVIOUS,
        Intent.RESTART,
        Intent.PAUSE,
        Intent.RESUME,
        Intent.STOP,
        Intent.VOLUME_UP,
        Intent.VOLUME_DOWN,
        Intent.MUTE,
        Intent.UNMUTE,
    }
)
"""The intents that act on the player and need nothing else."""


class Source(StrEnum):
    """Whose music is asked for."""

    MINE = "mine"
    PEERS = "peers"


class QueryKind(StrEnum):
    """What the music is to be near: the midpoint of a genre, or one song."""

    GENRE = "genre"
    SONG = "song"


@dataclass(frozen=True, slots=True)
class Wish:
    """The music that is asked for, as far as it is known.

    `track` is the track of the listener's collection that a title or an artist named. Where only an
    artist was named, `title` is None and `track` is one of that artist's.
    """

    genre: Genre | None = None
    title: str | None = None
    artist: str | None = None
    source: Source | None = None
    track: Track | None = None

    @property
    def kind(self) -> QueryKind | None:
        """Whether a genre or a song is asked for; None while neither is known."""
        if self.track is not None:
            return QueryKind.SONG
        return QueryKind.GENRE if self.genre is not None else None

    @property
    def complete(self) -> bool:
        """Whether music can be looked for."""
        return self.kind is not None and self.source is not None

    def sourced(self, source: Source | None) -> Wish:
        """Return the same wish from `source`, or this one where `source` is None."""
        return self if source is None else replace(self, source=source)


@dataclass(frozen=True, slots=True)
class Playing:
    """What is on: `provider` is the peer's name, None for the listener's own collection.

    `distance` is in the unit of the feature space, and None where it is not known; `wanted` is
    what was asked for, in words ("jazz", "So What").
    """

    title: str
    artist: str = ""
    provider: str | None = None
    distance: float | None = None
    wanted: str = ""
    offers: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """What the player and the circle look like now; None or empty where the caller does not know.

    `providers` are the names of the peers that are there, without the listener's own worker.
    """

    playing: Playing | None = None
    paused: bool = False
    providers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """One thing that the listener taught: a phrase, and the wish or control that it stands for."""

    phrase: str
    intent: Intent = Intent.PLAY
    wish: Wish = field(default_factory=Wish)
    lesson_id: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One adapter's answer: what it takes a message to mean, and how sure it is, from 0 to 1.

    `heard` is the part of the message that named the music, in the listener's words; `exact` says
    that it is the plain name of what was found, so that nothing else can have been meant by it.
    """

    intent: Intent
    confidence: float
    wish: Wish = field(default_factory=Wish)
    heard: str = ""
    exact: bool = False
    reply: str = ""
    genres: tuple[Genre, ...] = ()
    candidates: tuple[Track, ...] = ()
    lesson: Lesson | None = None
    corrects: bool = False
    cancels: bool = False
    offers: Wish | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What the chatbot understood, and what it says.

    `reply` is one line of clean text. With `Intent.PLAY`, `source` and one of `genre` and `track`
    are set. `candidates` are the tracks to choose from where several matched.
    """

    intent: Intent
    reply: str
    genre: Genre | None = None
    title: str | None = None
    artist: str | None = None
    source: Source | None = None
    track: Track | None = None
    candidates: tuple[Track, ...] = ()

    @property
    def kind(self) -> QueryKind | None:
        """Whether a genre or a song is asked for; None where neither is."""
        return Wish(genre=self.genre, track=self.track).kind

    def as_json(self) -> dict[str, object]:
        """Return what ``dnai understand`` prints: strings and nulls, no path."""
        return {
            "intent": self.intent.value,
            "kind": self.kind.value if self.kind else None,
            "genre": self.genre.value if self.genre else None,
            "title": self.title,
            "artist": self.artist,
            "source": self.source.value if self.source else None,
            "reply": self.reply,
            "candidates": [{"title": track.title, "artist": track.artist} for track in self.candidates],
        }

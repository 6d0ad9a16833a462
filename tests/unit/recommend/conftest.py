"""Tracks without files, and a clock that the test turns."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from dnai.recommend.gather import GatherResult
from dnai.recommend.messages import Decline, Hello, Message, Offer
from dnai.recommend.requester import Requester
from dnai.tracks import Genre, Track
from tests.made_tracks import made_up_track

SPACE = "space-a"
OTHER_SPACE = "space-b"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now


def made_track(title: str, genre: Genre = Genre.JAZZ) -> Track:
    """A track of which there is no file."""
    path = Path(f"/nowhere/{title}.mp3")
    return made_up_track(path, title=title, genre=genre, model_genre=genre, confidence=0.5)


def provider_id(name: str) -> str:
    """An id of a provider, the same for the same name."""
    return f"{name}-0123456789abcdef"


def made_offer(name: str, distance: float = 1.0, *, space_id: str = SPACE) -> Offer:
    """An offer of the provider of that name."""
    return Offer(
        provider_id=provider_id(name),
        name=name,
        space_id=space_id,
        model_id="model-a",
        mean_distance=distance,
        tracks=3,
        host="127.0.0.1",
        port=7711,
        ticket="ticket-0123456789abcdef",
    )


def made_decline(name: str, reason: str = "no_tracks") -> Decline:
    """A refusal of the provider of that name."""
    return Decline(provider_id=provider_id(name), name=name, reason=reason)


VECTORS = {SPACE: np.array([1.0, 2.0], dtype=np.float32), OTHER_SPACE: np.array([3.0], dtype=np.float32)}


class Circle:
    """Anna's requester, one second after she has connected, and what others send her."""

    def __init__(self, *present: str) -> None:
        self.clock = Clock()
        numbers = itertools.count(1)
        self.anna = Requester(user_id="anna", deadline_s=1.0, clock=self.clock, new_id=lambda: f"id-{next(numbers)}")
        self.anna.connected()
        for name in present:
            self.hello(name)
        self.clock.now += 1

    def hello(self, name: str, *, user_id: str | None = None, label: str | None = None) -> None:
        """Let a provider greet."""
        self.send(Hello(provider_id(name), label or name, 5), user_id or name)

    def send(self, message: Message, user_id: str, correlation_id: str | None = None) -> None:
        """Let a message come in."""
        self.anna.receive(message, user_id=user_id, correlation_id=correlation_id)

    def ask(self) -> str:
        """Open a request and return its correlation id."""
        return self.anna.open(Genre.JAZZ, VECTORS).correlation_id

    def result(self) -> GatherResult:
        """Return the only request that is over now."""
        (result,) = self.anna.finished()
        return result

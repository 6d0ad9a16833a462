"""Workers, requesters and hostile members for the tests on a real broker."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pika
import pytest
from numpy.typing import NDArray
from pika.exceptions import AMQPError

from dnai.broker.consumer import OfferConsumer
from dnai.broker.scatter import Scatter
from dnai.broker.topology import OFFERS, PRESENCE
from dnai.library.collection import vectors_of_all
from dnai.recommend.messages import Message, encode, type_name
from dnai.recommend.provider import PlaylistQuery, Provider, RequestLimit, Shelf
from dnai.tracks import Genre, Track
from tests.made_tracks import made_up_track

SPACE = "test26"
Vectors = Callable[[float], dict[str, NDArray[np.float32]]]


@pytest.fixture
def vectors() -> Vectors:
    """Makes the vectors of a request: one, all of whose numbers are the one given."""

    def make(value: float) -> dict[str, NDArray[np.float32]]:
        return {SPACE: np.full(26, value, dtype=np.float32)}

    return make


class MakeProvider(Protocol):
    """Makes a provider whose tracks all lie at one point."""

    def __call__(self, name: str, at: dict[Genre, float], *, tracks: int = 3, **options: Any) -> Provider:
        """Return a provider with `tracks` tracks of each genre, all numbers of their vectors as given."""


@pytest.fixture
def make_provider() -> MakeProvider:
    """Real providers with shelves made up for the test."""

    def make(name: str, at: dict[Genre, float], *, tracks: int = 3, **options: Any) -> Provider:
        def issue(user_id: str, query: PlaylistQuery) -> str:
            return "ticket-" + secrets.token_urlsafe(16)

        provider = Provider(
            provider_id=options.get("provider_id", secrets.token_urlsafe(16)),
            name=name,
            issue_ticket=options.get("issue_ticket", issue),
            host="127.0.0.1",
            port=options.get("port", 7711),
            limit=options.get("limit", RequestLimit(burst=100_000, per_s=100_000)),
        )
        rows = [(genre, value) for genre, value in at.items() for _ in range(tracks)]
        matrix = np.array([[value] * 26 for _, value in rows], dtype=np.float32).reshape(len(rows), 26)
        shelf_tracks = [_track(genre, number) for number, (genre, _) in enumerate(rows)]
        space_ids = options.get("spaces", [options.get("space_id", SPACE)])
        spaces = [vectors_of_all(space_id, matrix, model_id="test-model") for space_id in space_ids]
        provider.shelf = Shelf(shelf_tracks, spaces)
        return provider

    return make


def _track(genre: Genre, number: int) -> Track:
    known = {"title": f"Song {number}", "artist": "Somebody", "genre": genre, "model_genre": genre}
    path = Path(f"/music/{number}.mp3")
    return made_up_track(path, **known, confidence=0.5, duration_s=180.0, size_bytes=1_000_000)


class Parts:
    """Starts requesters, workers and bare channels, and closes all of them after the test."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def scatter(self, url: str, *, deadline_s: float = 1.0) -> Scatter:
        """Return a started requester."""
        return self._stack.enter_context(Scatter(url, deadline_s=deadline_s))

    def worker(self, url: str, provider: Provider) -> OfferConsumer:
        """Return a started worker."""
        return self._stack.enter_context(OfferConsumer(url, provider=provider))

    def channel(self, url: str) -> Any:
        """Return a bare pika channel, for members who do not keep to the rules."""
        connection = pika.BlockingConnection(pika.URLParameters(url))
        self._stack.callback(_close, connection)
        return connection.channel()


def _close(connection: Any) -> None:
    if connection.is_open:
        with contextlib.suppress(AMQPError):  # a test has stopped the broker meanwhile
            connection.close()


@pytest.fixture
def parts() -> Iterator[Parts]:
    """Parts that end with the test."""
    with contextlib.ExitStack() as stack:
        yield Parts(stack)


class Publish(Protocol):
    """Publishes a message as a member who has no worker, rightly or wrongly."""

    def __call__(
        self, name: str, message: Message | bytes, *, key: str = "", exchange: str | None = None, **properties: Any
    ) -> None:
        """Publish and wait for the broker's confirmation; `properties` replace those of a proper message."""


@pytest.fixture
def publish(circle: Any, parts: Parts) -> Publish:
    """Publishes single messages over a bare channel for each member."""
    channels: dict[str, Any] = {}

    def send(
        name: str, message: Message | bytes, *, key: str = "", exchange: str | None = None, **properties: Any
    ) -> None:
        if name not in channels:
            channels[name] = parts.channel(circle.url(name))
            channels[name].confirm_delivery()
        proper: dict[str, Any] = {"user_id": name, "headers": {"v": 1}}
        if not isinstance(message, bytes):
            proper["type"] = type_name(message)
        body = message if isinstance(message, bytes) else encode(message)
        where = exchange or (OFFERS if key else PRESENCE)
        channels[name].basic_publish(where, key, body, pika.BasicProperties(**{**proper, **properties}))

    return send

"""From a request to its last offer, as a ratio to bare pika doing the same scatter-gather.

10, 100 and 500 simulated workers with 100 tracks each, as threads of two other processes: real
`Provider`s behind real `OfferConsumer`s, each with a broker user of its own. The baseline is what one
would write with pika and ``json`` alone: a fanout request of 26 numbers, and from each worker one JSON
reply of about the same size through the default exchange. Both kinds of workers are connected to the
same broker, and the two are measured in turn.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pika
from pika.adapters.blocking_connection import BlockingChannel

from dnai.broker.consumer import OfferConsumer
from dnai.broker.members import Member, definitions
from dnai.broker.private_node import PrivateNode
from dnai.broker.scatter import Scatter
from dnai.library.collection import vectors_of_all
from dnai.recommend.provider import Provider, RequestLimit, Shelf
from dnai.stream.tickets import TicketDesk
from dnai.tracks import AudioType, Genre, GenreOrigin, Track

SIZES = (10, 100, 500)
ROUNDS = 40
PROCESSES = 2
TRACKS = 100
DIMENSION = 26
SPACE_ID = "bench26-0000000000000000"
VHOST = "dnai"
BARE_VHOST = "bare"
BARE_EXCHANGE = "bare.requests"
_START_TIMEOUT_S = 240.0
_QUIET_S = 1.0


def main() -> None:
    """Print the table."""
    print(f"request to last offer, median of {ROUNDS}, {TRACKS} tracks a worker, {PROCESSES} processes of workers")
    print(f"{'workers':>8} {'DN.ai ms':>10} {'bare pika ms':>13} {'ratio':>7}   middle half of the ratios")
    for size in SIZES:
        ours, bare = measure(size)
        ratios = sorted(a / b for a, b in zip(ours, bare, strict=True))
        low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
        print(
            f"{size:>8} {statistics.median(ours) * 1000:>10.2f} {statistics.median(bare) * 1000:>13.2f} "
            f"{statistics.median(ours) / statistics.median(bare):>7.2f}   {low:.2f} to {high:.2f}",
            flush=True,
        )


def measure(size: int) -> tuple[list[float], list[float]]:
    """Return seconds for each round, of DN.ai and of bare pika, taken in turn."""
    names = [f"w{i:03d}" for i in range(size)]
    members = [Member(name, f"pw-{name}") for name in (*names, "asker")]
    circle = definitions(members, vhost=VHOST)
    circle["vhosts"].append({"name": BARE_VHOST})
    circle["permissions"] += [
        {"user": member.name, "vhost": BARE_VHOST, "configure": ".*", "write": ".*", "read": ".*"} for member in members
    ]
    with (
        tempfile.TemporaryDirectory(prefix="dnai-bench-") as home,
        PrivateNode(home=Path(home), definitions=circle) as node,
    ):
        urls = [(node.url(n, f"pw-{n}", VHOST), node.url(n, f"pw-{n}", BARE_VHOST)) for n in names]
        with _Workers(urls):
            return _take_turns(size, node.url("asker", "pw-asker", VHOST), node.url("asker", "pw-asker", BARE_VHOST))


def _take_turns(size: int, url: str, bare_url: str) -> tuple[list[float], list[float]]:
    vector = np.random.default_rng(0).normal(size=DIMENSION).astype(np.float32)
    ours: list[float] = []
    bare: list[float] = []
    with Scatter(url, deadline_s=30.0) as scatter:
        scatter.who()
        time.sleep(_QUIET_S)
        asker = _BareAsker(bare_url)
        for _ in range(ROUNDS + 3):
            started_at = time.perf_counter()
            result = scatter.ask(Genre.JAZZ, {SPACE_ID: vector})
            ours.append(time.perf_counter() - started_at)
            assert len(result.offers) == size, f"{len(result.offers)} offers of {size}"
            started_at = time.perf_counter()
            assert asker.ask(vector.tolist(), expected=size) == size
            bare.append(time.perf_counter() - started_at)
        asker.close()
    return ours[3:], bare[3:]


class _Workers:
    """Processes full of workers; they end with the block."""

    def __init__(self, urls: list[tuple[str, str]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._ready = [context.Event() for _ in range(PROCESSES)]
        self._processes = [
            context.Process(target=_serve, args=(urls[i::PROCESSES], self._ready[i], self._stop), daemon=True)
            for i in range(PROCESSES)
        ]

    def __enter__(self) -> None:
        for process in self._processes:
            process.start()
        for ready in self._ready:
            if not ready.wait(_START_TIMEOUT_S):
                raise TimeoutError("the simulated workers did not connect")

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for process in self._processes:
            process.join(30.0)
            if process.is_alive():
                process.kill()


def _serve(urls: list[tuple[str, str]], ready: Event, stop: Event) -> None:
    consumers = [OfferConsumer(url, provider=_make_provider(seed)) for seed, (url, _) in enumerate(urls)]
    for consumer in consumers:
        consumer.start()
    connected = threading.Semaphore(0)
    for _, bare_url in urls:
        threading.Thread(target=_serve_bare, args=(bare_url, connected.release), daemon=True).start()
    for _ in urls:
        connected.acquire()
    ready.set()
    stop.wait()
    for consumer in consumers:
        consumer.close()


def _make_provider(seed: int) -> Provider:
    """A provider of 100 tracks of ten genres."""
    desk: TicketDesk[Any] = TicketDesk()
    provider = Provider(
        provider_id=f"provider-{seed:016d}",
        name=f"Worker {seed}",
        issue_ticket=desk.issue,
        host="127.0.0.1",
        port=7711,
        limit=RequestLimit(burst=1e9, per_s=1e9),
    )
    genres = list(Genre)
    tracks = [_make_track(i, genres[i % len(genres)]) for i in range(TRACKS)]
    vectors = np.random.default_rng(seed).normal(size=(TRACKS, DIMENSION)).astype(np.float32)
    provider.shelf = Shelf(tracks, [vectors_of_all(SPACE_ID, vectors, model_id="bench-model")])
    return provider


def _make_track(number: int, genre: Genre) -> Track:
    return Track(
        path=Path(f"/music/{number}.mp3"),
        title=f"Title {number}",
        artist="",
        album="",
        year=None,
        genre=genre,
        genre_origin=GenreOrigin.MODEL,
        model_genre=genre,
        confidence=0.5,
        duration_s=200.0,
        audio_type=AudioType.MP3,
        size_bytes=1,
        mtime_ns=0,
    )


def _serve_bare(url: str, connected: Callable[[], None]) -> None:
    """What a worker would be without any of our code."""
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.exchange_declare(BARE_EXCHANGE, "fanout")
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, BARE_EXCHANGE)

    def reply(ch: BlockingChannel, method: object, properties: pika.BasicProperties, body: bytes) -> None:
        vector = json.loads(body)["vector"]
        answer = {
            "name": queue,
            "distance": vector[0],
            "tracks": 10,
            "host": "127.0.0.1",
            "port": 7711,
            "ticket": queue,
        }
        out = pika.BasicProperties(correlation_id=properties.correlation_id)
        ch.basic_publish("", properties.reply_to, json.dumps(answer).encode(), out)

    channel.basic_consume(queue, reply, auto_ack=True)
    connected()
    channel.start_consuming()


class _BareAsker:
    """What a requester would be without any of our code."""

    def __init__(self, url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.basic_consume(self._queue, self._take, auto_ack=True)
        self._answers: list[dict[str, Any]] = []
        self._round = 0

    def ask(self, vector: list[float], *, expected: int) -> int:
        self._answers.clear()
        self._round += 1
        properties = pika.BasicProperties(reply_to=self._queue, correlation_id=str(self._round))
        body = json.dumps({"genre": "jazz", "vector": vector}).encode()
        self._channel.basic_publish(BARE_EXCHANGE, "", body, properties)
        while len(self._answers) < expected:
            self._connection.process_data_events(time_limit=30)
        return len(self._answers)

    def close(self) -> None:
        self._connection.close()

    def _take(self, channel: BlockingChannel, method: object, properties: pika.BasicProperties, body: bytes) -> None:
        if properties.correlation_id == str(self._round):
            self._answers.append(json.loads(body))


if __name__ == "__main__":
    main()

"""dnai tap on a real firehose."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dnai.broker.topology import REQUESTS
from dnai.recommend.messages import Offer
from dnai.tracks import Genre

if TYPE_CHECKING:
    from tests.broker.conftest import MakeProvider, Parts, Publish, Vectors
    from tests.conftest import Circle, Eventually

TICKET = "ticket-that-nobody-may-see"


class RunningTap:
    """`dnai tap` as a process."""

    def __init__(self, url: str, directory: Path, *options: str) -> None:
        self._out = directory / f"tap{len(options)}.out"
        self._err = directory / f"tap{len(options)}.err"
        environment = {**os.environ, "DNAI_BROKER": url, "DNAI_DATA_DIR": str(directory)}
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dnai.cli", "tap", *options],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**environment, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def out(self) -> str:
        """What it has printed."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it has said on stderr."""
        return self._err.read_text()

    def end(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


@pytest.fixture
def taps(circle: Circle, tmp_path: Path, eventually: Eventually) -> Iterator[tuple[RunningTap, RunningTap]]:
    """A tap for people and one for programs, with the firehose on."""
    circle.broker.rabbitmqctl("trace_on", "-p", circle.vhost)
    running = [RunningTap(circle.tap_url, tmp_path), RunningTap(circle.tap_url, tmp_path, "--json")]
    try:
        for tap in running:
            eventually(lambda tap=tap: "tap ready" in tap.err, "the tap to be ready", timeout_s=30)
        yield running[0], running[1]
    finally:
        for tap in running:
            tap.process.kill()
            tap.process.wait()
        circle.broker.rabbitmqctl("trace_off", "-p", circle.vhost)


def test_the_tap_shows_a_request_with_offers_declines_and_troubles(
    circle: Circle,
    parts: Parts,
    taps: tuple[RunningTap, RunningTap],
    make_provider: MakeProvider,
    publish: Publish,
    vectors: Vectors,
    eventually: Eventually,
) -> None:
    """One block a request, in words and as JSON; what is malformed, late, foreign or again is said; no ticket is."""
    provider = make_provider("Bob\x1b[31m's", {Genre.JAZZ: 1.0}, issue_ticket=lambda _user, _query: TICKET)
    parts.worker(circle.url("bob"), provider)
    parts.worker(circle.url("carl"), make_provider("Carl's", {Genre.ROCK: 1.0}))
    eves = parts.channel(circle.url("eve"))
    eves.queue_declare("eve.q", exclusive=True)
    eves.queue_bind("eve.q", REQUESTS)
    scatter = parts.scatter(circle.url("anna"), deadline_s=2.0)
    eventually(lambda: len(scatter.who()) == 2, "two hellos")
    result = scatter.ask(Genre.JAZZ, vectors(0.0))
    seen: list[Any] = []

    def request_has_come() -> bool:
        seen.append(eves.basic_get("eve.q", auto_ack=True)[1])
        return seen[-1] is not None and seen[-1].type == "dnai.request"

    eventually(request_has_come, "the request in eve's queue")
    key, correlation_id = seen[-1].reply_to, seen[-1].correlation_id
    assert correlation_id == result.correlation_id
    bad = b'{"ticket": "%s", "mean_distance": -1}' % TICKET.encode()
    publish("eve", bad, key=key, type="dnai.offer", correlation_id=correlation_id)
    publish("eve", bad, key=key, type=TICKET, correlation_id=correlation_id)
    offer = Offer("e" * 16, "Eve", "test26", "m", 0.5, 7, "127.0.0.1", 1, TICKET)
    publish("eve", offer, key=key, correlation_id=correlation_id)
    publish("eve", offer, key=key, correlation_id=correlation_id)
    publish("eve", offer, key=key, correlation_id="nobody-asked-that")
    publish("eve", offer, key=key, correlation_id=correlation_id, user_id=None)
    words, programs = taps
    eventually(lambda: correlation_id in words.out, "the block in words", timeout_s=10)
    eventually(lambda: correlation_id in programs.out, "the block as JSON", timeout_s=10)
    publish("eve", offer, key=key, correlation_id=correlation_id)
    eventually(lambda: '"problem": "late"' in programs.out.splitlines()[-1], "the late offer", timeout_s=10)
    assert TICKET not in words.out + words.err + programs.out + programs.err
    assert "\x1b" not in words.out
    records = [json.loads(line) for line in programs.out.splitlines()]
    block = next(record for record in records if record.get("genre"))
    assert (block["correlation_id"], block["requester"], block["genre"]) == (correlation_id, "anna", "jazz")
    assert block["deadline_s"] == 2.0
    assert [(one["user"], one["provider"], one["tracks"], one["late"]) for one in block["offers"]] == [
        ("eve", "Eve", 7, False),
        ("bob", "Bob[31m's", 3, False),
    ]
    assert block["offers"][1]["distance"] == pytest.approx(26**0.5)
    assert 0 < block["offers"][1]["latency_ms"] < 2000
    assert [(one["user"], one["reason"]) for one in block["declines"]] == [("carl", "no_tracks")]
    assert [(one["problem"], one["user"]) for one in block["problems"]] == [
        ("malformed", "eve"),
        ("malformed", "eve"),
        ("again", "eve"),
        ("unsigned", "eve"),
    ]
    strays = [(one["problem"], one["user"]) for one in records if "problem" in one]
    assert strays == [("foreign", "eve"), ("late", "eve")]
    assert "jazz, asked by anna" in words.out
    assert "Carl's (carl): declined, no_tracks" in words.out
    assert words.end() == 0
    assert programs.end() == 0


def test_the_tap_is_no_worker(
    circle: Circle, parts: Parts, taps: tuple[RunningTap, RunningTap], vectors: Vectors
) -> None:
    """With nobody but taps on the broker, nobody is there to answer, and that is known at once."""
    result = parts.scatter(circle.url("anna"), deadline_s=20.0).ask(Genre.JAZZ, vectors(0.0))
    assert result.nobody_else
    assert result.elapsed_s < 2.0


def test_the_tap_says_what_may_be_wrong_when_it_sees_nothing(
    circle: Circle, tmp_path: Path, eventually: Eventually
) -> None:
    """With the firehose off, a hint names the command that switches it on."""
    tap = RunningTap(circle.tap_url, tmp_path)
    try:
        eventually(lambda: f"trace_on -p {circle.vhost}" in tap.err, "the hint", timeout_s=40)
        assert tap.end() == 0
    finally:
        tap.process.kill()
        tap.process.wait()


def test_a_tap_with_a_members_user_is_told_to_get_its_own(circle: Circle, tmp_path: Path) -> None:
    """Exit code 1, and what to do."""
    tap = RunningTap(circle.url("anna"), tmp_path)
    try:
        assert tap.process.wait(timeout=40) == 1
        assert "dnai member NAME --tap" in tap.err
    finally:
        tap.process.kill()
        tap.process.wait()

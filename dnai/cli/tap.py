"""``dnai tap``: shows the requests and offers that pass through the broker."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import click

from dnai.broker.connection import parse_url
from dnai.broker.tap import Tap
from dnai.broker.tap_log import TapBlock, TapLog, TapProblem
from dnai.command_line import settings_options
from dnai.config import Settings

HINT_AFTER_S = 10.0

_POLL_S = 0.1


@click.command()
@settings_options("broker", "broker_ca")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def tap_command(settings: Settings, as_json: bool) -> None:
    """Show every request on the broker with its offers, once its deadline is over.

    It reads the broker's firehose, which the operator switches on and off with rabbitmqctl trace_on and
    trace_off, with a user made by dnai member NAME --tap. Tickets are not shown.
    """
    stop = threading.Event()

    def ask_to_stop(signal_number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    url = settings.broker_url
    with Tap(url, ca_file=settings.broker_ca) as tap:
        click.echo("tap ready", err=True)
        for event in _events(tap, stop, vhost=parse_url(url).vhost):
            click.echo(event_json(event) if as_json else event_text(event))


def _events(tap: Tap, stop: threading.Event, *, vhost: str) -> Iterator[TapBlock | TapProblem]:
    log = TapLog()
    hint_at: float | None = time.monotonic() + HINT_AFTER_S
    while not stop.is_set():
        seen = tap.read(timeout_s=_POLL_S)
        if seen is not None:
            log.take(seen.message, now=seen.now, time=seen.time)
            hint_at = None
        yield from log.strays()
        yield from log.finished(now=time.monotonic())
        if hint_at is not None and time.monotonic() > hint_at:
            hint_at = None
            click.echo(
                f"nothing seen in {HINT_AFTER_S:.0f} s: either nobody asks, or the firehose is off; the operator "
                f"switches it on with rabbitmqctl trace_on -p {vhost}, after each restart of the broker",
                err=True,
            )
    yield from log.all()


def event_json(event: TapBlock | TapProblem) -> str:
    """Return a block or a stray problem as one line of JSON."""
    return json.dumps(_problem_record(event) if isinstance(event, TapProblem) else _block_record(event))


def event_text(event: TapBlock | TapProblem) -> str:
    """Return a block or a stray problem as people read it."""
    if isinstance(event, TapProblem):
        return f"{event.time:%H:%M:%S}  {_problem_line(event)}  (request {event.correlation_id or '-'})"
    lines = [f"{event.time:%H:%M:%S}  {event.genre}, asked by {event.requester}  (request {event.correlation_id})"]
    for offer in event.offers:
        late = "  late" if offer.is_late else ""
        tracks = f"{offer.tracks} of {offer.collection or '?'} tracks"
        lines.append(
            f"    {offer.name} ({offer.user_id}): distance {offer.distance:.3f}, {tracks}, "
            f"{offer.latency_s * 1000:.1f} ms{late}"
        )
    for decline in event.declines:
        late = "  late" if decline.is_late else ""
        latency_ms = decline.latency_s * 1000
        lines.append(f"    {decline.name} ({decline.user_id}): declined, {decline.reason}, {latency_ms:.1f} ms{late}")
    lines += [f"    {_problem_line(problem)}" for problem in event.problems]
    if len(lines) == 1:
        lines.append("    no answer")
    return "\n".join(lines)


def _problem_line(problem: TapProblem) -> str:
    return f"! {problem.kind}, published by {problem.user_id or '?'}: {problem.why}"


def _block_record(block: TapBlock) -> dict[str, object]:
    return {
        "time": block.time.isoformat(timespec="milliseconds"),
        "correlation_id": block.correlation_id,
        "requester": block.requester,
        "genre": block.genre,
        "deadline_s": block.deadline_s,
        "offers": [
            {
                "user": offer.user_id,
                "provider": offer.name,
                "distance": offer.distance,
                "collection": offer.collection,
                "tracks": offer.tracks,
                "latency_ms": round(offer.latency_s * 1000, 2),
                "late": offer.is_late,
            }
            for offer in block.offers
        ],
        "declines": [
            {
                "user": decline.user_id,
                "provider": decline.name,
                "reason": decline.reason,
                "latency_ms": round(decline.latency_s * 1000, 2),
                "late": decline.is_late,
            }
            for decline in block.declines
        ],
        "problems": [_problem_record(problem) for problem in block.problems],
    }


def _problem_record(problem: TapProblem) -> dict[str, object]:
    return {
        "time": problem.time.isoformat(timespec="milliseconds"),
        "problem": problem.kind,
        "user": problem.user_id,
        "correlation_id": problem.correlation_id,
        "why": problem.why,
    }

"""How far a scan is: a bar on a terminal, plain lines elsewhere, or events for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, Protocol

import click
import msgspec
from tqdm import tqdm

from dnai.library.scanner import ScanProgress, ScanStep, ScanSummary
from dnai.text import clean_text

_LINE_INTERVAL_S = 2.0
_EVENT_INTERVAL_S = 0.2
_STEPS = {ScanStep.NEW: "scanning", ScanStep.UPDATE: "bringing up to date"}


class Display(Protocol):
    """Shows what a scan does."""

    def show(self, progress: ScanProgress) -> None:
        """Show how far it is."""

    def say(self, text: str) -> None:
        """Say what is waited for."""

    def skip(self, path: str, reason: str) -> None:
        """Name a file that cannot be used."""

    def finish(self, summary: ScanSummary, *, place: str) -> None:
        """Say what came of it; `place` is the catalogue's."""


@contextmanager
def open_display(*, as_json: bool) -> Iterator[Display]:
    """Give what fits the place that it is shown at."""
    if as_json:
        yield Events()
    elif sys.stderr.isatty():
        with tqdm(unit=" tracks", file=sys.stderr, dynamic_ncols=True, leave=False) as bar:
            yield Bar(bar)
    else:
        yield Lines()


def describe_summary(summary: ScanSummary) -> str:
    """Return what a scan did, in words; what did not happen is only said of the ordinary."""
    parts = [
        f"{summary.analysed} analysed",
        f"{summary.unchanged} unchanged",
        f"{summary.failed} failed",
        f"{summary.dropped} dropped",
    ]
    others = {
        "recognised under new names": summary.recognised,
        "brought up to date": summary.updated,
        "on a disk that is away": summary.absent,
        "still being written": summary.unsettled,
    }
    parts += [f"{count} {what}" for what, count in others.items() if count]
    return ", ".join(parts)


class Pace:
    """How fast the present step of a scan is, from its first outcome on: before that comes the warming up."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._step: ScanStep | None = None
        self._began: tuple[float, ScanProgress] | None = None

    def note(self, progress: ScanProgress) -> None:
        """Follow the progress; a new step, or one that begins anew, has a pace of its own."""
        if progress.step is not self._step or not progress.done:
            self._step, self._began = progress.step, None
        if progress.done and self._began is None:
            self._began = (self._clock(), progress)

    def left_s(self, progress: ScanProgress) -> float | None:
        """Return how long it still takes, in seconds, or None while too little is done to tell."""
        if self._began is None or progress.done <= self._began[1].done:
            return None
        since, first = self._began
        return (self._clock() - since) / (progress.done - first.done) * (progress.total - progress.done)

    def speed(self, progress: ScanProgress) -> float | None:
        """Return the minutes of music that are analysed in a second, or None while too little is done to tell."""
        if self._began is None or progress.done <= self._began[1].done:
            return None
        since, first = self._began
        elapsed_s = self._clock() - since
        return (progress.heard_s - first.heard_s) / 60 / elapsed_s if elapsed_s > 0 else None


class _Words:
    """What bar and lines say alike."""

    def skip(self, path: str, reason: str) -> None:
        click.echo(f"skipped {path}: {reason}", err=True)

    def finish(self, summary: ScanSummary, *, place: str) -> None:
        click.echo(f"{describe_summary(summary)}: {place}")


class Bar(_Words):
    """Progress on a terminal: one bar, with the speed and the name of the file in hand."""

    def __init__(self, bar: tqdm[NoReturn]) -> None:
        self._bar = bar
        self._step: ScanStep | None = None
        self._pace = Pace()

    def show(self, progress: ScanProgress) -> None:
        """Move the bar."""
        self._pace.note(progress)
        if self._step is not progress.step or self._bar.total != progress.total:
            self._step = progress.step
            self._bar.reset(total=progress.total)
        doing = f"{_STEPS[progress.step]}: {clean_text(progress.current, max_chars=40)}"
        self._bar.set_description_str(doing, refresh=False)
        speed = self._pace.speed(progress)
        self._bar.set_postfix_str(f"{speed:.1f} min of music/s" if speed else "", refresh=False)
        self._bar.update(progress.done - self._bar.n)
        self._bar.refresh()

    def say(self, text: str) -> None:
        """Write it in place of a file's name."""
        self._bar.set_description_str(clean_text(text, max_chars=100))

    def finish(self, summary: ScanSummary, *, place: str) -> None:
        """Take the bar away, and say what came of it."""
        self._bar.clear()
        super().finish(summary, place=place)


class Lines(_Words):
    """Progress where there is no terminal: ``scanning: 3 of 12 tracks, about 00:20 left: Name``."""

    def __init__(self) -> None:
        self._shown_at = -_LINE_INTERVAL_S
        self._pace = Pace()
        self._latest = ScanProgress(0, 0, "")

    def show(self, progress: ScanProgress) -> None:
        """Write a line every few seconds, and one at the end."""
        self._pace.note(progress)
        self._latest = progress
        now = time.monotonic()
        if not progress.total or (now - self._shown_at < _LINE_INTERVAL_S and progress.done < progress.total):
            return
        self._shown_at = now
        self._write(progress, progress.current)

    def say(self, text: str) -> None:
        """Write it at once."""
        click.echo(text, err=True)

    def _write(self, progress: ScanProgress, name: str) -> None:
        left_s, speed = self._pace.left_s(progress), self._pace.speed(progress)
        left = f", about {tqdm.format_interval(round(left_s))} left" if left_s else ""
        pace = f", {speed:.1f} minutes of music a second" if speed else ""
        name = f": {clean_text(name, max_chars=60)}" if name else ""
        click.echo(f"{_STEPS[progress.step]}: {progress.done} of {progress.total} tracks{pace}{left}{name}", err=True)


class Events:
    """Progress for programs: one JSON object a line on stdout, each with its ``event``."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._sent_at = -_EVENT_INTERVAL_S

    def show(self, progress: ScanProgress) -> None:
        """Send where it is, a few times a second, and at the end."""
        self._pace.note(progress)
        now = time.monotonic()
        if not progress.total or (now - self._sent_at < _EVENT_INTERVAL_S and progress.done < progress.total):
            return
        self._sent_at = now
        speed, left_s = self._pace.speed(progress), self._pace.left_s(progress)
        _send(
            "progress",
            step=progress.step,
            done=progress.done,
            total=progress.total,
            file=_utf8(progress.current),
            music_s=round(progress.heard_s, 3),
            minutes_per_s=None if speed is None else round(speed, 3),
            left_s=None if left_s is None else round(left_s, 1),
        )

    def say(self, text: str) -> None:
        """Send what is waited for."""
        _send("waiting", text=text)

    def skip(self, path: str, reason: str) -> None:
        """Send a file that cannot be used."""
        _send("skipped", path=_utf8(path), reason=reason)

    def finish(self, summary: ScanSummary, *, place: str) -> None:
        """Send what came of it."""
        counts = {name: getattr(summary, name) for name in ScanSummary.__slots__}
        _send("finished", **counts, catalogue=_utf8(place))


def _send(event: str, **values: object) -> None:
    click.echo(msgspec.json.encode({"event": event, **values}).decode())


def _utf8(text: str) -> str:
    """A name as JSON can hold it: bytes that are not UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()

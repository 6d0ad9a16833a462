"""How far the scan of the listener's own music is, for the page: in words, and to every tab while it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Literal

import msgspec
from flask_socketio import SocketIO

from dnai.library.scan_state import ScanOutcome, ScanPhase, ScanState, ScanStateReader
from dnai.text import clean_text
from web.payloads import sent
from web.tabs import Tabs

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S = 0.5
_SEPARATOR = " · "


class ScanShown(msgspec.Struct, frozen=True):
    """``scan``: how far the scan is, as the page shows it.

    `done` of `total` is the bar; there is none when `total` is 0, and none that moves while `phase` is
    ``preparing``. `line` comes first, `facts` and `current`, a file's name, are the small print.
    """

    phase: Literal["none", "preparing", "running", "ended"]
    line: str = ""
    facts: str = ""
    current: str = ""
    done: int = 0
    total: int = 0


NO_SCAN = ScanShown(phase="none")


def scan_shown(state: ScanState | None) -> ScanShown:
    """Return the state of a scan for the page."""
    if state is None:
        return NO_SCAN
    if state.phase is ScanPhase.ENDED:
        why = "dnai tracks --failed says why" if state.outcome.unusable else ""
        return ScanShown(phase="ended", line=_outcome_line(state.outcome), facts=why)
    if state.phase is ScanPhase.PREPARING:
        return ScanShown(phase="preparing", line="Scanning your music: preparing the analysis")
    doing = "Scanning your music" if state.phase is ScanPhase.NEW else "Bringing your music up to date"
    facts = [_speed(state.minutes_per_s), _time_left(state.left_s) if state.done < state.total else ""]
    return ScanShown(
        phase="running",
        line=f"{doing}: {state.done:,} of {_counted(state.total, 'track')}",
        facts=_SEPARATOR.join(fact for fact in facts if fact),
        current=clean_text(state.current),
        done=state.done,
        total=state.total,
    )


class ScanWatch:
    """A thread that looks at the scan while a tab is there, and tells each tab what it has not been told yet.

    Parameters
    ----------
    reader
        Of the listener's own catalogue.
    tabs
        The pages that are open.
    tell
        Sends what is shown to the page of a connection.
    """

    def __init__(self, reader: ScanStateReader, tabs: Tabs, *, tell: Callable[[str, ScanShown], None]) -> None:
        self._reader = reader
        self._tabs = tabs
        self._tell = tell
        self._told: dict[str, ScanShown] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dnai-scan-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()

    def look(self) -> None:
        """Look once; a page that has just been opened knows of no scan."""
        present = [tab.sid for tab in self._tabs.connected() if tab.sid is not None]
        self._told = {sid: self._told.get(sid, NO_SCAN) for sid in present}
        shown = scan_shown(self._reader.current()) if present else NO_SCAN
        for sid in present:
            if self._told[sid] != shown:
                self._told[sid] = shown
                self._tell(sid, shown)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_INTERVAL_S):
            try:
                self.look()
            except Exception:
                logger.exception("the scan could not be looked at; the next look comes")


def tell_over(socketio: SocketIO) -> Callable[[str, ScanShown], None]:
    """Return what sends a ``scan`` event to the page of a connection."""
    return lambda sid, shown: socketio.emit("scan", sent(shown), to=sid)


def _outcome_line(outcome: ScanOutcome) -> str:
    """What came of a scan; what did not happen is not said."""
    parts = {
        "new or changed": outcome.new,
        "under new names": outcome.recognised,
        "brought up to date": outcome.updated,
        "gone": outcome.dropped,
        "could not be used": outcome.unusable,
    }
    return f"Scanned: {', '.join(f'{count:,} {what}' for what, count in parts.items() if count)}"


def _speed(minutes_per_s: float | None) -> str:
    return "" if minutes_per_s is None else f"{minutes_per_s:.1f} min of music a second"


def _time_left(left_s: float | None) -> str:
    """How long it still takes, as exactly as it can be known."""
    if left_s is None:
        return ""
    minutes = round(left_s / 60)
    if minutes < 1:
        return "less than a minute left"
    if minutes < 60:
        return f"about {minutes} min left"
    hours, minutes = divmod(minutes, 60)
    return f"about {hours:,} h left" if hours >= 10 or not minutes else f"about {hours} h {minutes} min left"


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"

"""The open pages: each tab has a thread that takes its events in order, and is forgotten some time after it is gone."""

from __future__ import annotations

import logging
import queue
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dnai.errors import UsageError

logger = logging.getLogger(__name__)

MAX_TABS = 64
GONE_AFTER_S = 300.0
"""How long a tab that has gone is remembered, so that a reload or a lost connection costs nothing."""

MAX_WAITING_EVENTS = 50
MAX_HISTORY = 60

MESSAGES_AT_ONCE = 8
MESSAGES_PER_S = 1.0

_TAB_ID = re.compile(r"[0-9a-f]{32}")


class RateLimit:
    """Lets `burst` things pass at once, and `per_s` a second from then on."""

    def __init__(self, *, burst: float, per_s: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._left = burst
        self._at = clock()

    def passes(self) -> bool:
        """Return whether one more may pass now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Mailbox:
    """Runs jobs one after the other in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_WAITING_EVENTS)
        # A daemon: a search that hangs on a dead peer must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, job: Callable[[], None]) -> bool:
        """Add a job; return False when too many are waiting."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Let the thread end; jobs that wait are dropped."""
        while True:
            try:
                self._jobs.put_nowait(None)
            except queue.Full:
                try:
                    self._jobs.get_nowait()
                except queue.Empty:
                    continue
            else:
                return

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                logger.exception("an event of a tab failed")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the chat; `kind` is ``you``, ``bot``, ``note`` or ``trouble``."""

    kind: str
    text: str


@dataclass
class Tab:
    """One open page. `sid` is its connection, None while it is gone; `load` is another after each reload."""

    tab_id: str
    load: str
    sid: str | None
    mailbox: Mailbox
    messages: RateLimit
    gone_since: float | None = None
    history: deque[Line] = field(default_factory=lambda: deque(maxlen=MAX_HISTORY))
    on_drop: Callable[[], None] = lambda: None


class Tabs:
    """The tabs by their id and by their connection; thread-safe."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_id: dict[str, Tab] = {}
        self._lock = threading.Lock()

    def arrive(self, tab_id: str, *, load: str, sid: str, equip: Callable[[Tab], None]) -> tuple[Tab, bool]:
        """Return the tab of a new connection, and whether its page was loaded anew.

        A page that was loaded anew while its id is still connected elsewhere is a duplicated tab, and
        gets an id of its own. `equip` completes a tab that is new.

        Raises
        ------
        UsageError
            When an id is malformed, or too many pages are open.
        """
        if not _TAB_ID.fullmatch(tab_id) or not _TAB_ID.fullmatch(load):
            raise UsageError("the page sent no valid id")
        dropped: list[Tab] = []
        with self._lock:
            tab = self._by_id.get(tab_id)
            if tab is not None and tab.sid is not None and tab.load != load:
                tab, tab_id = None, secrets.token_hex(16)
            loaded_anew = tab is None or tab.load != load
            if tab is None:
                dropped = self._make_room()
                tab = self._add(tab_id, load, sid, equip)
            tab.load, tab.sid, tab.gone_since = load, sid, None
        _end(dropped)
        return tab, loaded_anew

    def leave(self, sid: str) -> None:
        """Note that a connection is over."""
        with self._lock:
            tab = next((tab for tab in self._by_id.values() if tab.sid == sid), None)
            if tab is not None:
                tab.sid, tab.gone_since = None, self._clock()

    def of(self, sid: str) -> Tab | None:
        """Return the tab of a connection, or None."""
        with self._lock:
            return next((tab for tab in self._by_id.values() if tab.sid == sid), None)

    def connected(self) -> list[Tab]:
        """Return the tabs that are there now."""
        with self._lock:
            return [tab for tab in self._by_id.values() if tab.sid is not None]

    def sweep(self) -> int:
        """Forget the tabs that have been gone for long; return how many."""
        before = self._clock() - GONE_AFTER_S
        with self._lock:
            gone = [tab for tab in self._by_id.values() if tab.gone_since is not None and tab.gone_since < before]
            for tab in gone:
                del self._by_id[tab.tab_id]
        _end(gone)
        return len(gone)

    def close(self) -> None:
        """Forget all tabs."""
        with self._lock:
            tabs = list(self._by_id.values())
            self._by_id.clear()
        _end(tabs)

    def _add(self, tab_id: str, load: str, sid: str, equip: Callable[[Tab], None]) -> Tab:
        limit = RateLimit(burst=MESSAGES_AT_ONCE, per_s=MESSAGES_PER_S, clock=self._clock)
        tab = Tab(tab_id=tab_id, load=load, sid=sid, mailbox=Mailbox(f"tab-{tab_id[:6]}"), messages=limit)
        equip(tab)
        self._by_id[tab_id] = tab
        return tab

    def _make_room(self) -> list[Tab]:
        """Take out the tab that has been gone for longest, when there are too many."""
        if len(self._by_id) < MAX_TABS:
            return []
        gone = [tab for tab in self._by_id.values() if tab.gone_since is not None]
        if not gone:
            raise UsageError(f"{MAX_TABS} pages are open already: close one and reload")
        oldest = min(gone, key=lambda tab: tab.gone_since or 0.0)
        return [self._by_id.pop(oldest.tab_id)]


def _end(tabs: list[Tab]) -> None:
    """End what these tabs were doing; not under the lock, for it may take a while."""
    for tab in tabs:
        tab.mailbox.close()
        tab.on_drop()

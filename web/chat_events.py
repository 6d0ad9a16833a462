"""Socket.IO between page and app: what the page sends goes to its tab's thread, in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flask import request
from flask_socketio import SocketIO

from dnai.chatbot.dialogue import Dialogue
from dnai.errors import ProtocolError, UsageError
from dnai.text import clean_text
from web import wording
from web.listener import Listener
from web.payloads import (
    MAX_MESSAGE_CHARS,
    Arrival,
    CircleShown,
    Command,
    Failed,
    More,
    Now,
    PlaylistShown,
    Say,
    State,
    StatusShown,
    received,
    sent,
)
from web.streams import Streams
from web.tabs import Line, Tab, Tabs
from web.visit import Visit

logger = logging.getLogger(__name__)

GREETING = (
    "Hello! Name a genre or a song, from your own collection or from your peers, "
    "and I find whose music is nearest to your taste. Say “help” for all that I understand."
)
TOO_FAST = "That was a lot at once. Give me a moment, then say it again."

_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class TabPage:
    """The page of one tab; what is said while it is gone stays in the history."""

    def __init__(self, socketio: SocketIO, tab: Tab) -> None:
        self._socketio = socketio
        self._tab = tab

    def line(self, kind: str, text: str) -> None:
        """Add a line to the chat."""
        line = Line(kind, text)
        self._tab.history.append(line)
        self._emit("line", {"kind": line.kind, "text": line.text})

    def circle(self, shown: CircleShown) -> None:
        """Show who offered what."""
        self._emit("circle", sent(shown))

    def playlist(self, shown: PlaylistShown) -> None:
        """Hand the player a playlist."""
        self._emit("playlist", sent(shown))

    def command(self, command: Command) -> None:
        """Let the player do something."""
        self._emit("command", sent(command))

    def quiet(self) -> None:
        """Say that the answer is complete."""
        self._emit("quiet", None)

    def _emit(self, event: str, data: Any) -> None:  # noqa: ANN401 - plain JSON data
        if self._tab.sid is not None:
            self._socketio.emit(event, data, to=self._tab.sid)


class ChatEvents:
    """The handlers of the page's events.

    Parameters
    ----------
    socketio
        Already has its app.
    dialogue, listener, streams, tabs
        Shared by all pages.
    """

    def __init__(
        self, socketio: SocketIO, *, dialogue: Dialogue, listener: Listener, streams: Streams, tabs: Tabs
    ) -> None:
        self._socketio = socketio
        self._dialogue = dialogue
        self._listener = listener
        self._streams = streams
        self._tabs = tabs
        self._visits: dict[str, Visit] = {}
        self._last_status: StatusShown | None = None

    @property
    def socketio(self) -> SocketIO:
        """The line to the pages."""
        return self._socketio

    def register(self) -> None:
        """Have Socket.IO call the handlers."""
        on_event = self._socketio.on_event
        on_event("connect", self._connect)
        on_event("disconnect", self._disconnect)
        on_event("say", self._say)
        on_event("now", self._handler(Now, lambda visit, now: visit.now(now)))
        on_event("state", self._handler(State, lambda visit, state: visit.playing(state.playing)))
        on_event("more", self._handler(More, lambda visit, more: visit.more(more)))
        on_event("failed", self._handler(Failed, lambda visit, failed: visit.failed(failed)))

    def broadcast_status(self) -> None:
        """Tell all pages when the broker, the others or the own collection have changed."""
        status = self._status()
        if status != self._last_status:
            self._last_status = status
            for tab in self._tabs.connected():
                self._socketio.emit("status", sent(status), to=tab.sid)

    def _connect(self, auth: object = None) -> bool:
        sid = _sid()
        try:
            arrival = received(auth, Arrival)
            tab, loaded_anew = self._tabs.arrive(arrival.tab, load=arrival.load, sid=sid, equip=self._equip)
        except (ProtocolError, UsageError) as error:
            logger.warning("a page was turned away: %s", error)
            return False
        tab.mailbox.put(lambda: self._welcome(tab, is_new=loaded_anew))
        return True

    def _disconnect(self, *_reason: object) -> None:
        self._tabs.leave(_sid())

    def _welcome(self, tab: Tab, *, is_new: bool) -> None:
        if tab.sid is None:
            return
        if not tab.history:
            tab.history.append(Line("bot", GREETING))
        history = [{"kind": line.kind, "text": line.text} for line in tuple(tab.history)]
        self._socketio.emit("welcome", {"tab": tab.tab_id, "is_new": is_new, "history": history}, to=tab.sid)
        self._socketio.emit("status", sent(self._status()), to=tab.sid)
        if is_new:
            self._visits[tab.tab_id].reload()

    def _say(self, data: object = None) -> None:
        tab = self._tabs.of(_sid())
        if tab is None:
            return
        page = TabPage(self._socketio, tab)
        try:
            text = clean_text(received(data, Say).text, max_chars=MAX_MESSAGE_CHARS)
        except ProtocolError as error:
            logger.warning("a message was not read: %s", error)
            page.line("trouble", f"I read at most {MAX_MESSAGE_CHARS} characters at once.")
            page.quiet()
            return
        if not tab.messages.passes() or not tab.mailbox.put(lambda: self._answer(tab, page, text)):
            page.line("trouble", TOO_FAST)
            page.quiet()

    def _answer(self, tab: Tab, page: TabPage, text: str) -> None:
        tab.history.append(Line("you", text))
        try:
            self._visits[tab.tab_id].say(text)
        except Exception:
            logger.exception("a message could not be answered")
            page.line("trouble", "Something went wrong here, and I wrote it to the log. Try it another way.")
        finally:
            page.quiet()

    def _handler(self, kind: type[_Kind], act: Callable[[Visit, _Kind], None]) -> Callable[[object], None]:
        def handle(data: object = None) -> None:
            tab = self._tabs.of(_sid())
            if tab is None:
                return
            try:
                message = received(data, kind)
            except ProtocolError as error:
                logger.warning("an event was dropped: %s", error)
                return
            _post(tab, lambda: act(self._visits[tab.tab_id], message))

        return handle

    def _equip(self, tab: Tab) -> None:
        visit = Visit(
            self._dialogue.conversation(),
            listener=self._listener,
            streams=self._streams,
            page=TabPage(self._socketio, tab),
            tab_id=tab.tab_id,
            later=lambda job: _post(tab, job),
        )
        self._visits[tab.tab_id] = visit
        tab.on_drop = lambda: self._drop(tab.tab_id)

    def _drop(self, tab_id: str) -> None:
        visit = self._visits.pop(tab_id, None)
        if visit is not None:
            visit.close()

    def _status(self) -> StatusShown:
        others = self._listener.who()
        text = wording.status_line(
            has_broker=self._listener.has_broker,
            connected=others is not None,
            others=others or (),
            own=self._listener.own_count(),
        )
        return StatusShown(state="good" if others else "bad" if others is None else "alone", text=text)


def _post(tab: Tab, job: Callable[[], None]) -> None:
    if not tab.mailbox.put(job):
        logger.warning("tab %s has too much to do; one event was dropped", tab.tab_id[:6])


def _sid() -> str:
    return str(request.sid)  # type: ignore[attr-defined]  # Flask-SocketIO adds it

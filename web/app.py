"""The listener's web app, put together: page, login, audio and chat behind one gate."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_socketio import SocketIO
from werkzeug.wrappers import Response

from dnai.audio.converted import ConvertedTracks
from dnai.audio.covers import Covers
from dnai.broker.scatter import Scatter
from dnai.chatbot.dialogue import Dialogue
from dnai.config import Address, Settings
from dnai.errors import CatalogueError
from dnai.library.collection import LiveCollection
from dnai.library.models import load_models
from dnai.library.scan_state import ScanStateReader
from dnai.stream.client import PeerClient
from dnai.tracks import Track
from web.audio import audio_blueprint
from web.chat_events import ChatEvents
from web.circle import KeptCircle
from web.covers import cover_blueprint
from web.credits import Credit
from web.listener import Listener
from web.login import GuessLimiter, has_entered, login_blueprint
from web.payloads import MAX_MESSAGE_CHARS
from web.peers import address_rule
from web.scans import ScanWatch, tell_over
from web.security import SECURITY_HEADERS, Gate, HostList
from web.server import Served
from web.streams import Streams
from web.tabs import Tabs

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

logger = logging.getLogger(__name__)

MAX_EVENT_BYTES = 16 * 1024
MAX_FORM_BYTES = 16 * 1024
FIRST_CONNECT_S = 1.5
"""How long the start waits for the broker; it is gone on trying afterwards."""

STATUS_INTERVAL_S = 1.0
_OPEN_ENDPOINTS = frozenset({"login.ask", "login.check", "static"})


@dataclass(frozen=True)
class Parts:
    """What the app is made of, shared by all pages."""

    listener: Listener
    dialogue: Dialogue
    streams: Streams
    tabs: Tabs


def create_app(
    parts: Parts,
    *,
    listen: Address,
    password: str | None = None,
    host_names: Sequence[str] = (),
    credits: Sequence[Credit] = (),
) -> tuple[Flask, ChatEvents]:
    """Return the Flask app and its chat.

    Parameters
    ----------
    parts
        What it is made of.
    listen
        Where it is served, for the list of host names.
    password
        Asked for before anything else is shown; None for a page on loopback.
    host_names
        Further names under which the page may be opened.
    credits
        Who made the music, shown on the page.
    """
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secrets.token_bytes(32),
        SESSION_COOKIE_NAME="dnai",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES,
    )
    app.register_blueprint(_page_blueprint(credits, has_password=password is not None))
    app.register_blueprint(audio_blueprint(parts.streams))
    app.register_blueprint(cover_blueprint(parts.streams))
    if password is not None:
        app.register_blueprint(login_blueprint(password, limiter=GuessLimiter(clock=time.monotonic)))
        app.before_request(_send_to_login)
    app.after_request(_with_security_headers)
    chat = _add_chat(app, parts)
    may_enter = partial(_socket_may_enter, app) if password is not None else _anybody
    app.wsgi_app = Gate(app.wsgi_app, hosts=HostList(listen, names=host_names), may_enter=may_enter)  # type: ignore[method-assign]
    return app, chat


def load_app(settings: Settings, *, listen: Address, credits: Sequence[Credit]) -> Served:
    """Put the whole app together from `settings`, connect it, and start its housekeeping.

    Raises
    ------
    DnaiError
        When a model or the chatbot's memory cannot be used. That the broker cannot be reached is
        no error: the page says so.
    """
    models = load_models(settings.model_dirs)
    collection = LiveCollection(settings.catalogue_path, models, use_tags=settings.use_tags)
    circle = _circle(settings)
    peers = PeerClient(allow=address_rule(settings))
    converted = ConvertedTracks(settings.converted_dir)
    listener = Listener(
        collection=collection,
        models=models,
        circle=circle,
        peers=peers,
        clock=time.monotonic,
        converted=converted,
        covers=Covers(),
    )
    dialogue = Dialogue(memory=settings.chat_memory_path, collection=partial(_own_tracks, listener))
    parts = Parts(listener=listener, dialogue=dialogue, streams=Streams(), tabs=Tabs(clock=time.monotonic))
    password = None if settings.web_password is None else settings.web_password.get_secret_value()
    app, chat = create_app(parts, listen=listen, password=password, host_names=settings.web_hosts, credits=credits)
    if circle is not None:
        circle.start(wait_s=FIRST_CONNECT_S)
    housekeeping = Housekeeping(chat, parts.tabs)
    housekeeping.start()
    scan_watch = ScanWatch(ScanStateReader(settings.catalogue_path), parts.tabs, tell=tell_over(chat.socketio))
    scan_watch.start()

    def close() -> None:
        housekeeping.stop()
        scan_watch.stop()
        parts.tabs.close()
        parts.streams.close_all()
        peers.close()
        converted.close()
        if circle is not None:
            circle.close()
        dialogue.close()
        collection.close()

    return Served(wsgi=app, close=close)


class Housekeeping:
    """A thread that tells the pages who is there, and forgets tabs that have gone."""

    def __init__(self, chat: ChatEvents, tabs: Tabs) -> None:
        self._chat = chat
        self._tabs = tabs
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dnai-housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(STATUS_INTERVAL_S):
            try:
                self._tabs.sweep()
                self._chat.broadcast_status()
            except Exception:
                logger.exception("housekeeping failed, and goes on")


def _page_blueprint(credits: Sequence[Credit], *, has_password: bool) -> Blueprint:
    blueprint = Blueprint("page", __name__)

    def index() -> ResponseReturnValue:
        return render_template(
            "index.html", credits=credits, has_password=has_password, max_message_chars=MAX_MESSAGE_CHARS
        )

    def health() -> ResponseReturnValue:
        return {"status": "ok"}

    blueprint.add_url_rule("/", "index", index, methods=["GET"])
    blueprint.add_url_rule("/health", "health", health, methods=["GET"])
    return blueprint


def _add_chat(app: Flask, parts: Parts) -> ChatEvents:
    socketio = SocketIO(
        app,
        async_mode="threading",
        async_handlers=False,  # in order; what takes long is done in the tab's thread
        transports=["websocket"],
        cors_allowed_origins=[],  # the gate checks the origin, and more strictly
        max_http_buffer_size=MAX_EVENT_BYTES,
        manage_session=False,
        ping_interval=20,
        ping_timeout=20,
    )
    chat = ChatEvents(
        socketio, dialogue=parts.dialogue, listener=parts.listener, streams=parts.streams, tabs=parts.tabs
    )
    chat.register()
    return chat


def _send_to_login() -> ResponseReturnValue | None:
    if request.endpoint in _OPEN_ENDPOINTS or request.endpoint == "page.health" or has_entered():
        return None
    if request.method == "GET" and request.endpoint == "page.index":
        return redirect(url_for("login.ask"))
    return "Log in first.\n", 401, {"Content-Type": "text/plain; charset=utf-8"}


def _socket_may_enter(app: Flask, environ: WSGIEnvironment) -> bool:
    with app.request_context(environ):
        return has_entered()


def _anybody(_environ: WSGIEnvironment) -> bool:
    return True


def _with_security_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS:
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _circle(settings: Settings) -> KeptCircle | None:
    if settings.broker is None:
        return None
    url = settings.broker_url
    return KeptCircle(partial(Scatter, url, ca_file=settings.broker_ca, deadline_s=settings.deadline_s))


def _own_tracks(listener: Listener) -> Sequence[Track]:
    """Return the titles that the chatbot may recognise; none while the catalogue cannot be read."""
    try:
        return listener.own_tracks()
    except CatalogueError as error:
        logger.warning("the chatbot knows no titles: %s", error)
        return ()

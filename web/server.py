"""Serving the web app for real: gunicorn with one process and many threads.

Each open page holds one thread for its WebSocket, and each track on its way another. Gunicorn sets
``TCP_NODELAY`` on its sockets; a server that does not answers each small message 44 ms late.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError
from gunicorn.workers.gthread import ThreadWorker

from dnai.config import Address
from dnai.errors import ConfigurationError, DnaiError
from web.security import SAFE_METHODS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)

THREADS = 160
"""Pages times two and some more: a page has a WebSocket and, mostly, one track on its way."""

STOP_S = 1
"""How long requests may still take after SIGTERM before they are cut, seconds."""

REQUEST_S = 5.0
"""How long a request may take to arrive, seconds."""

_CLOSE_S = 0.5
_BACKLOG = 128


@dataclass(frozen=True)
class Served:
    """A web app as it is served, and what ends its broker connection, its streams and its threads."""

    wsgi: WSGIApplication
    close: Callable[[], None]


def bind(listen: Address) -> socket.socket:
    """Return a listening socket on `listen`; port 0 takes any free port.

    Raises
    ------
    ConfigurationError
        When the address cannot be had, for instance because the port is in use.
    """
    try:
        info = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise ConfigurationError(f"cannot listen on {listen}: {listen.host} is not known here") from error
    listening = socket.socket(info[0], socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(info[4])
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigurationError(f"cannot listen on {listen}: {_why(error)}") from error
    return listening


def bound_address(listening: socket.socket) -> Address:
    """Return where `listening` listens, with its real port."""
    host, port = listening.getsockname()[:2]
    return Address(host=host, port=port)


def serve(listening: socket.socket, load: Callable[[], Served], *, on_ready: Callable[[], None]) -> NoReturn:
    """Serve until SIGTERM or SIGINT, then end this process.

    Parameters
    ----------
    listening
        A socket from :func:`bind`; it is closed at the end.
    load
        Puts the app together. It is called in the process that serves, after it was forked off, so
        that the threads of the broker and of the peers run there.
    on_ready
        Called in that process when the app is loaded and requests are about to be taken.
    """
    own_pid = os.getpid()
    status = 0
    try:
        _Server(listening, load, on_ready).run()
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1
    # The process that was forked off comes by here, too, when its app cannot be loaded: its status
    # tells gunicorn not to start it again and again.
    _leave(min(status, 1) if os.getpid() == own_pid else status)


def _leave(status: int) -> NoReturn:
    """End the process at once: all is closed, and taking large libraries down takes seconds on a busy machine."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _leave_when_served(_arbiter: object, worker: Any) -> None:  # noqa: ANN401 - gunicorn's own
    """End the serving process; one that could not start keeps the status that says so."""
    if worker.booted:
        _leave(0)


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use already; stop what uses it, or choose another with --listen HOST:PORT"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "ports below 1024 need more rights; choose another with --listen HOST:PORT"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address"
    return error.strerror or str(error)


class _Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn, set up from here alone: no configuration file, no environment, no control socket."""

    def __init__(self, listening: socket.socket, load: Callable[[], Served], on_ready: Callable[[], None]) -> None:
        # Gunicorn takes the descriptor over and closes it.
        self._descriptor = listening.detach()
        self._load = load
        self._on_ready = on_ready
        self.served: Served | None = None
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": [f"fd://{self._descriptor}"],
            "workers": 1,
            "threads": THREADS,
            "worker_class": _Worker,
            "worker_connections": 4 * THREADS,
            "graceful_timeout": STOP_S,
            "timeout": 60,
            "keepalive": 15,
            "preload_app": False,
            "control_socket_disable": True,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "proc_name": "dnai-web",
            "post_worker_init": lambda _worker: self._on_ready(),
            "worker_exit": _leave_when_served,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        try:
            self.served = self._load()
        except DnaiError as error:
            raise AppImportError(f"dnai: {error}") from error
        return self.served.wsgi


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's thread worker, which on SIGTERM also ends WebSockets and tracks on their way.

    These never end by themselves, and a thread that waits for a browser would hold the process up. A
    request that does not come in time is cut: some hundreds of them, half sent, would take all threads.
    """

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - gunicorn's own
        super().__init__(*arguments)
        self._serving: set[Any] = set()
        self._due: dict[Any, float] = {}
        self._serving_lock = threading.Lock()

    def handle(self, conn: Any) -> Any:  # noqa: ANN401 - gunicorn's own
        with self._noted(conn):
            return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:  # noqa: ANN401 - gunicorn's own
        if req.method in SAFE_METHODS:  # others have a body, which may be as long in coming
            with self._serving_lock:
                self._due.pop(conn, None)
        return super().handle_request(req, conn)

    def notify(self) -> None:
        """Cut what is overdue; gunicorn calls this once a second."""
        super().notify()
        now = time.monotonic()
        with self._serving_lock:
            overdue = [conn for conn, due in self._due.items() if due < now]
        for conn in overdue:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                conn.sock.shutdown(socket.SHUT_RDWR)

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ANN401 - gunicorn's own
        if self.alive:
            threading.Thread(target=self._end_everything, name="dnai-web-stop", daemon=True).start()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:  # noqa: ANN401 - gunicorn's own
        # Ctrl-C: the same, since there is nothing quicker that is also clean.
        self.handle_exit(sig, frame)

    @contextlib.contextmanager
    def _noted(self, conn: Any) -> Iterator[None]:  # noqa: ANN401 - gunicorn's own
        with self._serving_lock:
            self._serving.add(conn)
            self._due[conn] = time.monotonic() + REQUEST_S
        try:
            yield
        finally:
            with self._serving_lock:
                self._serving.discard(conn)
                self._due.pop(conn, None)

    def _end_everything(self) -> None:
        served = self.app.served
        if served is not None:
            closing = threading.Thread(target=served.close, name="dnai-web-close", daemon=True)
            closing.start()
            closing.join(_CLOSE_S)
        with self._serving_lock:
            connections = list(self._serving)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        self.method_queue.defer(self._end_idle)

    def _end_idle(self) -> None:
        """Let the connections on which nothing is under way run out now.

        The loop itself closes them, after it has seen to all that it was just woken for.
        """
        for connection in (*self.keepalived_conns, *self.pending_conns):
            connection.timeout = 0.0

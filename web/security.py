"""Who may talk to the web app: host names, origins, and what the browser is told to refuse.

A page of somebody else's, open in the same browser, can send requests to loopback; a name that
somebody else rebinds to 127.0.0.1 can even read the answers. So each request must name a host on
our list, and whatever changes anything, or opens Socket.IO, must come from our own page.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from dnai.config import Address
from dnai.errors import ConfigurationError
from dnai.text import clean_text

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

SOCKET_PATH = "/socket.io"
SAFE_METHODS = frozenset({"GET", "HEAD"})
LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)

_HOST_HEADER = re.compile(r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")

SECURITY_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Not no-referrer: with that, a browser sends "Origin: null" with our own login form.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)


def check_listen(listen: Address, *, has_password: bool) -> None:
    """Refuse to serve other machines without a password.

    Raises
    ------
    ConfigurationError
        When `listen` is reachable from other machines and no password is set.
    """
    if not listen.is_loopback and not has_password:
        raise ConfigurationError(
            f"the page on {listen} would be open to other machines: set a password with DNAI_WEB_PASSWORD "
            "or --password-file, or listen on 127.0.0.1"
        )


class HostList:
    """The host names under which the page may be opened.

    Parameters
    ----------
    listen
        Where the app listens. When that is every address of the machine, the address that a
        connection came to is on the list as well: an IP literal cannot be rebound.
    names
        Further names, from the setting ``web_hosts``.
    """

    def __init__(self, listen: Address, *, names: Iterable[str] = ()) -> None:
        self._names = LOOPBACK_NAMES | {_bare_host(listen.host)} | {_bare_host(name) for name in names}
        self._any_local = _is_unspecified(listen.host)

    def allows(self, host_header: str, *, local_address: str | None) -> bool:
        """Return whether a request for `host_header` that arrived at `local_address` is for us."""
        host = _host_of(host_header)
        if host is None:
            return False
        return host in self._names or (self._any_local and local_address is not None and host == local_address)


def is_own_origin(origin: str | None, host_header: str) -> bool:
    """Return whether `origin` is the page that `host_header` names; TLS may end before us."""
    return origin in {f"http://{host_header}", f"https://{host_header}"}


class Gate:
    """WSGI middleware around the whole app, Socket.IO included.

    Parameters
    ----------
    app
        What is behind the gate.
    hosts
        The names that are ours.
    may_enter
        Whether a request for Socket.IO is from somebody who is logged in.
    """

    def __init__(self, app: WSGIApplication, *, hosts: HostList, may_enter: Callable[[WSGIEnvironment], bool]) -> None:
        self._app = app
        self._hosts = hosts
        self._may_enter = may_enter

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let the request through, or say in one line why not."""
        refusal = self._refusal(environ)
        if refusal is None:
            return self._app(environ, start_response)
        status, reason = refusal
        logger.warning("refused %s %s: %s", environ["REQUEST_METHOD"], clean_text(environ["PATH_INFO"]), reason)
        body = f"{reason}\n".encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", [*headers, *SECURITY_HEADERS])
        return [body]

    def _refusal(self, environ: WSGIEnvironment) -> tuple[HTTPStatus, str] | None:
        host_header = environ.get("HTTP_HOST", "")
        if not self._hosts.allows(host_header, local_address=_local_address(environ)):
            name = clean_text(host_header, max_chars=80)
            return HTTPStatus.MISDIRECTED_REQUEST, (
                f"This app does not answer to the name {name!r}. "
                "Open it under its own address, or add the name to the setting web_hosts."
            )
        is_socket = environ["PATH_INFO"].startswith(SOCKET_PATH)
        if (is_socket or environ["REQUEST_METHOD"] not in SAFE_METHODS) and not is_own_origin(
            environ.get("HTTP_ORIGIN"), host_header
        ):
            return HTTPStatus.FORBIDDEN, "Only this app's own page may do that: the request came from elsewhere."
        if is_socket and not self._may_enter(environ):
            return HTTPStatus.UNAUTHORIZED, "Log in first."
        return None


def _host_of(host_header: str) -> str | None:
    """Return the host in a Host header, bare and in lower case, or None when it is none."""
    parts = _HOST_HEADER.fullmatch(host_header)
    return _bare_host(parts["host"]) if parts else None


def _bare_host(name: str) -> str:
    return name.strip().strip("[]").rstrip(".").lower()


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _local_address(environ: WSGIEnvironment) -> str | None:
    """Return the address of ours that the connection came to, as gunicorn knows it."""
    connection = environ.get("gunicorn.socket")
    if connection is None:
        return None
    try:
        local = str(connection.getsockname()[0])
    except OSError:  # the client has gone
        return None
    mapped = getattr(ipaddress.ip_address(local), "ipv4_mapped", None)
    return str(mapped) if mapped else local

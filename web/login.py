"""The password of a page that other machines can reach."""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from flask import Blueprint, Response, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

GUESSES = 5
"""Wrong passwords from one address within `WINDOW_S` before it has to wait."""

ALL_GUESSES = 50
"""Wrong passwords from everywhere within `WINDOW_S` before everybody has to wait."""

WINDOW_S = 60.0

_MAX_ADDRESSES = 1000
_MAX_PASSWORD_CHARS = 1000
_SESSION_KEY = "entered"


@dataclass
class GuessLimiter:
    """Counts wrong passwords, for each address and in all; thread-safe, and bounded in memory."""

    clock: Callable[[], float]
    _by_address: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    _all: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def guess(self, address: str) -> float:
        """Return how many seconds `address` must wait before it may guess; 0 when it may now.

        Then the guess counts as a wrong one, until `right` is called: many at the same moment are many.
        """
        with self._lock:
            wait_s = self._wait_s(address)
            if wait_s == 0:
                self._count(address)
            return wait_s

    def right(self, address: str) -> None:
        """Forget the guesses of `address`: the latest was the password."""
        with self._lock:
            self._by_address.pop(address, None)
            if self._all:
                self._all.pop()

    def _wait_s(self, address: str) -> float:
        now = self.clock()
        own = self._by_address.get(address, deque())
        return max(_wait(own, GUESSES, now), _wait(self._all, ALL_GUESSES, now))

    def _count(self, address: str) -> None:
        now = self.clock()
        own = self._by_address.setdefault(address, deque(maxlen=GUESSES))
        self._by_address.move_to_end(address)
        own.append(now)
        self._all.append(now)
        if len(self._all) > ALL_GUESSES:
            self._all.popleft()
        if len(self._by_address) > _MAX_ADDRESSES:
            self._by_address.popitem(last=False)


def _wait(guesses: deque[float], limit: int, now: float) -> float:
    if len(guesses) < limit:
        return 0.0
    return max(0.0, guesses[0] + WINDOW_S - now)


def has_entered() -> bool:
    """Return whether the request's session has given the password."""
    return session.get(_SESSION_KEY) is True


def login_blueprint(password: str, *, limiter: GuessLimiter) -> Blueprint:
    """Return the routes of the login page: ``/login`` and ``/logout``."""
    blueprint = Blueprint("login", __name__)

    def ask() -> ResponseReturnValue:
        return redirect(url_for("page.index")) if has_entered() else _login_page()

    def check() -> ResponseReturnValue:
        address = request.remote_addr or "unknown"
        wait_s = limiter.guess(address)
        if wait_s > 0:
            page = _login_page(f"Too many wrong passwords. Try again in {wait_s:.0f} seconds.")
            page.status_code = HTTPStatus.TOO_MANY_REQUESTS
            page.headers["Retry-After"] = str(max(1, round(wait_s)))
            return page
        if not _same(request.form.get("password", ""), password):
            page = _login_page("That is not the password.")
            page.status_code = HTTPStatus.UNAUTHORIZED
            return page
        limiter.right(address)
        session.clear()
        session[_SESSION_KEY] = True
        return redirect(url_for("page.index"), HTTPStatus.SEE_OTHER)

    def leave() -> ResponseReturnValue:
        session.clear()
        return redirect(url_for("login.ask"), HTTPStatus.SEE_OTHER)

    blueprint.add_url_rule("/login", "ask", ask, methods=["GET"])
    blueprint.add_url_rule("/login", "check", check, methods=["POST"])
    blueprint.add_url_rule("/logout", "leave", leave, methods=["POST"])
    return blueprint


def _login_page(problem: str = "") -> Response:
    return make_response(render_template("login.html", problem=problem))


def _same(given: str, expected: str) -> bool:
    """Compare in a time that does not tell how much of the password is right."""
    return hmac.compare_digest(given[:_MAX_PASSWORD_CHARS].encode(), expected.encode())

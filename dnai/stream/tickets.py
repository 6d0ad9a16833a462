"""Tickets: what an offer gives to the one listener that it is for.

A ticket is random, stands for one request of one user, opens one session, and is good for a short
time. Issuing is on the way of every request, so it does no more than draw a random number and put
it into two dictionaries.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from dnai.stream.payloads import Refusal

Q = TypeVar("Q")

TICKET_LIFE_S = 60.0
MAX_TICKETS = 4096
MAX_TICKETS_PER_USER = 64

_TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class Grant(Generic[Q]):
    """What a ticket stood for: whose it was, and what was asked."""

    user_id: str
    query: Q


@dataclass(frozen=True, slots=True)
class _OpenTicket(Generic[Q]):
    grant: Grant[Q]
    issued_at: float


class TicketDesk(Generic[Q]):
    """Issues tickets and takes them back, each once; safe to use from several threads.

    Parameters
    ----------
    ticket_life_s
        How long a ticket opens a session, in seconds.
    max_tickets, max_tickets_per_user
        How many open tickets are kept; above that, the oldest (of the user, or of all) is dropped.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self,
        *,
        ticket_life_s: float = TICKET_LIFE_S,
        max_tickets: int = MAX_TICKETS,
        max_tickets_per_user: int = MAX_TICKETS_PER_USER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ticket_life_s = ticket_life_s
        self._max_tickets = max_tickets
        self._max_tickets_per_user = max_tickets_per_user
        self._clock = clock
        self._lock = threading.Lock()
        # Both in the order of issue, so that the first is the oldest; a plain dict is slow in finding its first.
        self._open: OrderedDict[str, _OpenTicket[Q]] = OrderedDict()
        self._by_user: defaultdict[str, OrderedDict[str, None]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        return len(self._open)

    def issue(self, user_id: str, query: Q) -> str:
        """Return a new ticket that opens one session for what `query` asks."""
        ticket = secrets.token_urlsafe(_TOKEN_BYTES)
        opened = _OpenTicket(Grant(user_id, query), self._clock())
        with self._lock:
            self._make_room(user_id, opened.issued_at)
            self._open[ticket] = opened
            self._by_user[user_id][ticket] = None
        return ticket

    def redeem(self, ticket: str) -> Grant[Q] | Refusal:
        """Return what `ticket` stands for, and take it back; a refusal when it is unknown, used or too old."""
        with self._lock:
            found = self._open.get(ticket)
            if found is None:
                return Refusal.BAD_TICKET
            self._forget(ticket)
        if self._clock() - found.issued_at > self._ticket_life_s:
            return Refusal.EXPIRED
        return found.grant

    def _make_room(self, user_id: str, now: float) -> None:
        # An expired ticket stays for one life more, so that a late listener is told what is wrong.
        while self._open and now - self._open[oldest := next(iter(self._open))].issued_at > 2 * self._ticket_life_s:
            self._forget(oldest)
        own = self._by_user.get(user_id)
        if own and len(own) >= self._max_tickets_per_user:
            self._forget(next(iter(own)))
        if len(self._open) >= self._max_tickets:
            self._forget(next(iter(self._open)))

    def _forget(self, ticket: str) -> None:
        user_id = self._open.pop(ticket).grant.user_id
        own = self._by_user[user_id]
        del own[ticket]
        if not own:
            del self._by_user[user_id]

"""Tickets are good once, for a short time, and never too many."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from dnai.stream.payloads import Refusal
from dnai.stream.tickets import Grant, TicketDesk


@pytest.fixture
def desk(clock: Callable[[], float]) -> TicketDesk[str]:
    return TicketDesk(clock=clock, max_tickets=6, max_tickets_per_user=3)


def test_redeem_returns_what_was_issued_once(desk: TicketDesk[str]) -> None:
    """A ticket gives back its user and query, and nothing the second time."""
    ticket = desk.issue("ann", "jazz")
    assert desk.redeem(ticket) == Grant("ann", "jazz")
    assert desk.redeem(ticket) is Refusal.BAD_TICKET
    assert len(desk) == 0


def test_ticket_fits_the_wire(desk: TicketDesk[str]) -> None:
    """A ticket is of the form that an offer may carry, and no two are alike."""
    tickets = {desk.issue(f"user{n}", "jazz") for n in range(100)}
    assert len(tickets) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", ticket) for ticket in tickets)


@pytest.mark.parametrize("made_up", ["", "a" * 32, "é", "\x00"])
def test_made_up_ticket_is_refused(desk: TicketDesk[str], made_up: str) -> None:
    """What was never issued opens nothing."""
    desk.issue("ann", "jazz")
    assert desk.redeem(made_up) is Refusal.BAD_TICKET


def test_ticket_expires(desk: TicketDesk[str], clock: Any) -> None:
    """A ticket is good until its time is over, and then said to be too old."""
    good, late = desk.issue("ann", "jazz"), desk.issue("ann", "jazz")
    clock.now += 60.0
    assert desk.redeem(good) == Grant("ann", "jazz")
    clock.now += 0.1
    assert desk.redeem(late) is Refusal.EXPIRED
    assert desk.redeem(late) is Refusal.BAD_TICKET


def test_expired_tickets_are_forgotten(desk: TicketDesk[str], clock: Any) -> None:
    """Tickets that nobody used do not pile up."""
    for user in "abc":
        desk.issue(user, "jazz")
    clock.now += 121.0
    desk.issue("ann", "jazz")
    assert len(desk) == 1


def test_a_users_oldest_ticket_makes_room(desk: TicketDesk[str]) -> None:
    """Above the bound of one user, that user's oldest ticket goes and nobody else's."""
    other = desk.issue("bob", "jazz")
    tickets = [desk.issue("ann", "jazz") for _ in range(4)]
    assert desk.redeem(tickets[0]) is Refusal.BAD_TICKET
    assert all(isinstance(desk.redeem(ticket), Grant) for ticket in [*tickets[1:], other])


def test_the_oldest_of_all_makes_room(desk: TicketDesk[str]) -> None:
    """Above the bound of all, the oldest ticket of anybody goes."""
    tickets = [desk.issue(f"user{n}", "jazz") for n in range(7)]
    assert len(desk) == 6
    assert desk.redeem(tickets[0]) is Refusal.BAD_TICKET
    assert isinstance(desk.redeem(tickets[1]), Grant)


def test_threads_issue_while_others_redeem() -> None:
    """Every ticket is taken exactly once, however many threads try."""
    desk: TicketDesk[int] = TicketDesk(max_tickets_per_user=10_000)
    tickets = [desk.issue("ann", number) for number in range(500)]
    taken: list[int] = []

    def take() -> None:
        for ticket in tickets:
            desk.issue("bob", 0)
            if isinstance(grant := desk.redeem(ticket), Grant):
                taken.append(grant.query)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(taken) == list(range(500))

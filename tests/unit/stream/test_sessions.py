"""Sessions give out random ids, are taken up again with their secret, and are bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dnai.stream.payloads import Refusal
from dnai.stream.sessions import SessionBook, StreamSession
from dnai.tracks import Track


@pytest.fixture
def book(clock: Callable[[], float]) -> SessionBook:
    return SessionBook(clock=clock, max_sessions=4, max_sessions_per_user=2)


@pytest.fixture
def offered(make_track: Callable[..., Track]) -> list[tuple[Track, float]]:
    return [(make_track(), 0.5)]


def test_track_ids_are_random_for_each_session(book: SessionBook, offered: list[tuple[Track, float]]) -> None:
    """The same track has another id in another session, and no more than 25 tracks are given."""
    first, second = book.open("ann", offered * 30), book.open("bob", offered)
    assert len(first.tracks) == 25
    assert not set(first.tracks) & set(second.tracks)


def test_resume_needs_id_and_secret(book: SessionBook, offered: list[tuple[Track, float]]) -> None:
    """A session is found again with its own secret only."""
    session, other = book.open("ann", offered), book.open("bob", offered)
    assert book.resume(session.session_id, session.secret) is session
    assert book.resume(session.session_id, other.secret) is Refusal.BAD_TICKET
    assert book.resume("x" * 24, session.secret) is Refusal.BAD_TICKET


def test_session_ends_after_half_an_hour_without_use(
    book: SessionBook, offered: list[tuple[Track, float]], clock: Any
) -> None:
    """Use keeps a session; thirty idle minutes end it."""
    session = book.open("ann", offered)
    for _ in range(3):
        clock.now += 1799
        assert book.touch(session)
    clock.now += 1801
    assert not book.touch(session)
    assert book.resume(session.session_id, session.secret) is Refusal.EXPIRED
    book.close_idle()
    assert len(book) == 0
    assert book.resume(session.session_id, session.secret) is Refusal.BAD_TICKET


def test_closed_session_is_over(book: SessionBook, offered: list[tuple[Track, float]]) -> None:
    """A closed session is not used or taken up again."""
    session = book.open("ann", offered)
    book.close(session)
    book.close(session)
    assert session not in book
    assert not book.touch(session)


def test_a_users_least_used_session_makes_room(
    book: SessionBook, offered: list[tuple[Track, float]], clock: Any
) -> None:
    """One user's third session ends the one of the two that was used longer ago."""
    first, second = book.open("ann", offered), book.open("ann", offered)
    clock.now += 1
    book.touch(first)
    third = book.open("ann", offered)
    assert isinstance(third, StreamSession)
    assert (first in book, second in book) == (True, False)


def test_newcomer_is_refused_while_all_play(book: SessionBook, offered: list[tuple[Track, float]], clock: Any) -> None:
    """Where all places are in use nobody's song is cut off; after an idle minute a place is free."""
    sessions = [book.open(f"user{n}", offered) for n in range(4)]
    clock.now += 59
    assert book.open("late", offered) is Refusal.BUSY
    for session in sessions[1:]:
        book.touch(session)
    clock.now += 1
    assert isinstance(book.open("late", offered), StreamSession)
    assert sessions[0] not in book


def test_no_tracks_no_session(book: SessionBook) -> None:
    """A session without tracks is not opened."""
    assert book.open("ann", []) is Refusal.NO_TRACKS


def test_secret_is_not_in_the_repr(book: SessionBook, offered: list[tuple[Track, float]]) -> None:
    """What a log line shows of a session opens nothing."""
    session = book.open("ann", offered)
    assert session.secret not in repr(session)
    assert session.session_id not in repr(session)

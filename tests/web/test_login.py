"""Guessing passwords."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.web.conftest import Clock
from web.login import ALL_GUESSES, GUESSES, WINDOW_S, GuessLimiter


def test_after_some_wrong_guesses_an_address_has_to_wait() -> None:
    """The fifth wrong password within a minute closes the door until the first is a minute old."""
    clock = Clock()
    limiter = GuessLimiter(clock=clock)
    for _ in range(GUESSES):
        assert limiter.guess("10.0.0.1") == 0
        clock.now += 1.0
    assert limiter.guess("10.0.0.1") == WINDOW_S - GUESSES
    assert limiter.guess("10.0.0.2") == 0
    clock.now += WINDOW_S - GUESSES
    assert limiter.guess("10.0.0.1") == 0


def test_many_addresses_together_have_to_wait_as_well() -> None:
    """Guessing from ever new addresses is slowed down, too."""
    limiter = GuessLimiter(clock=Clock())
    for i in range(ALL_GUESSES):
        assert limiter.guess(f"10.0.1.{i}") == 0
    assert limiter.guess("10.0.2.1") == WINDOW_S


def test_guesses_at_the_same_moment_are_counted_one_by_one() -> None:
    """Whoever sends fifty at once gets as many answers as whoever sends one after the other."""
    limiter = GuessLimiter(clock=Clock())
    together = threading.Barrier(50)

    def guess(_number: int) -> float:
        together.wait(10)
        return limiter.guess("10.0.0.1")

    with ThreadPoolExecutor(50) as pool:
        waits = list(pool.map(guess, range(50)))
    assert waits.count(0) == GUESSES


def test_the_right_password_forgets_the_wrong_ones() -> None:
    """Who mistyped and then got it right starts afresh, and the guess that was right is none."""
    limiter = GuessLimiter(clock=Clock())
    for _ in range(20 * GUESSES):
        assert limiter.guess("10.0.0.1") == 0
        limiter.right("10.0.0.1")


def test_what_is_remembered_is_bounded() -> None:
    """A million addresses do not fill the memory."""
    clock = Clock()
    limiter = GuessLimiter(clock=clock)
    for i in range(5000):
        clock.now += 2.0
        assert limiter.guess(f"address {i}") == 0
    assert len(limiter._by_address) <= 1000
    assert len(limiter._all) <= ALL_GUESSES

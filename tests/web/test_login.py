"""Guessing passwords."""

from __future__ import annotations

from tests.web.conftest import Clock
from web.login import ALL_GUESSES, GUESSES, WINDOW_S, GuessLimiter


def test_after_some_wrong_guesses_an_address_has_to_wait() -> None:
    """The fifth wrong password within a minute closes the door until the first is a minute old."""
    clock = Clock()
    limiter = GuessLimiter(clock=clock)
    for _ in range(GUESSES):
        assert limiter.wait_s("10.0.0.1") == 0
        limiter.wrong("10.0.0.1")
        clock.now += 1.0
    assert limiter.wait_s("10.0.0.1") == WINDOW_S - GUESSES
    assert limiter.wait_s("10.0.0.2") == 0
    clock.now += WINDOW_S - GUESSES
    assert limiter.wait_s("10.0.0.1") == 0


def test_many_addresses_together_have_to_wait_as_well() -> None:
    """Guessing from ever new addresses is slowed down, too."""
    limiter = GuessLimiter(clock=Clock())
    for i in range(ALL_GUESSES):
        limiter.wrong(f"10.0.1.{i}")
    assert limiter.wait_s("10.0.2.1") == WINDOW_S


def test_the_right_password_forgets_the_wrong_ones() -> None:
    """Who mistyped and then got it right starts afresh."""
    limiter = GuessLimiter(clock=Clock())
    for _ in range(GUESSES):
        limiter.wrong("10.0.0.1")
    limiter.right("10.0.0.1")
    assert limiter.wait_s("10.0.0.1") == 0


def test_what_is_remembered_is_bounded() -> None:
    """A million addresses do not fill the memory."""
    limiter = GuessLimiter(clock=Clock())
    for i in range(5000):
        limiter.wrong(f"address {i}")
    assert len(limiter._by_address) <= 1000
    assert len(limiter._all) <= ALL_GUESSES

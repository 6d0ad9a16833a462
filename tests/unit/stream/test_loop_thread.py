"""The loop in a thread of its own, at its end."""

from __future__ import annotations

import asyncio

import pytest

from dnai.errors import UsageError
from dnai.stream.loop_thread import LoopThread


async def answer() -> int:
    return 42


async def nothing() -> None:
    """Say no goodbye."""


def test_what_comes_after_the_end_is_refused() -> None:
    """The caller's mistake, as an error of ours."""
    loop = LoopThread("test-loop")
    assert loop.wait(loop.submit(answer()), timeout_s=5, waiting_for="the answer") == 42
    loop.close(nothing(), timeout_s=5)
    with pytest.raises(UsageError, match="closed"):
        loop.submit(answer())


def test_what_comes_at_the_very_end_is_refused_the_same_way() -> None:
    """Another thread closes the loop between the look at it and the handing over."""
    loop = LoopThread("test-loop")
    loop._loop.call_soon_threadsafe(loop._loop.stop)
    loop._thread.join(5)
    assert not loop.is_closed
    with pytest.raises(UsageError, match="closed"):
        loop.submit(answer())


def test_closing_calls_off_what_hangs() -> None:
    """A task that never ends is cancelled, and the thread is gone."""
    loop = LoopThread("test-loop")
    cancelled = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    loop.submit(hang())
    loop.close(nothing(), timeout_s=5)
    assert cancelled == [True]
    assert not loop._thread.is_alive()

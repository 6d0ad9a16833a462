"""Tabs: who is who, in order, bounded, and forgotten in time."""

from __future__ import annotations

import threading

import pytest

from dnai.errors import UsageError
from tests.web.conftest import Clock
from web.tabs import GONE_AFTER_S, MAX_TABS, MAX_WAITING_EVENTS, Mailbox, RateLimit, Tab, Tabs


def hexadecimal(number: int) -> str:
    return f"{number:032x}"


def equipped(_tab: Tab) -> None:
    """Nothing more is needed here."""


def test_a_lost_connection_comes_back_to_its_tab() -> None:
    """The same page with the same id is the same tab, and was not loaded anew."""
    tabs = Tabs(clock=Clock())
    first, new = tabs.arrive(hexadecimal(1), load=hexadecimal(7), sid="a", equip=equipped)
    tabs.leave("a")
    again, new_again = tabs.arrive(hexadecimal(1), load=hexadecimal(7), sid="b", equip=equipped)
    assert again is first
    assert (new, new_again) == (True, False)
    assert tabs.of("b") is first
    assert tabs.of("a") is None
    tabs.close()


def test_a_reloaded_page_keeps_its_tab() -> None:
    """After a reload the conversation goes on, and the page is told that it starts empty."""
    tabs = Tabs(clock=Clock())
    first, _ = tabs.arrive(hexadecimal(1), load=hexadecimal(7), sid="a", equip=equipped)
    tabs.leave("a")
    again, loaded_anew = tabs.arrive(hexadecimal(1), load=hexadecimal(8), sid="b", equip=equipped)
    assert again is first
    assert loaded_anew
    tabs.close()


def test_a_duplicated_tab_gets_an_id_of_its_own() -> None:
    """A browser's "duplicate tab" copies the id; two open pages never share a conversation."""
    tabs = Tabs(clock=Clock())
    first, _ = tabs.arrive(hexadecimal(1), load=hexadecimal(7), sid="a", equip=equipped)
    twin, _ = tabs.arrive(hexadecimal(1), load=hexadecimal(8), sid="b", equip=equipped)
    assert twin.tab_id != first.tab_id
    assert tabs.of("a") is first
    tabs.close()


def test_a_tab_that_is_gone_for_long_is_forgotten() -> None:
    """Some minutes after it left, a tab's music is ended and its memory freed."""
    clock = Clock()
    tabs = Tabs(clock=clock)
    tab, _ = tabs.arrive(hexadecimal(1), load=hexadecimal(7), sid="a", equip=equipped)
    dropped = threading.Event()
    tab.on_drop = dropped.set
    tabs.leave("a")
    clock.now += GONE_AFTER_S
    assert tabs.sweep() == 0
    clock.now += 1.0
    assert tabs.sweep() == 1
    assert dropped.is_set()


def test_tabs_are_bounded_and_the_longest_gone_makes_room() -> None:
    """With all pages open the next one is refused; with one gone it takes that one's place."""
    tabs = Tabs(clock=Clock())
    for i in range(MAX_TABS):
        tabs.arrive(hexadecimal(i), load=hexadecimal(i), sid=f"s{i}", equip=equipped)
    with pytest.raises(UsageError, match="close one"):
        tabs.arrive(hexadecimal(900), load=hexadecimal(900), sid="late", equip=equipped)
    tabs.leave("s3")
    tab, _ = tabs.arrive(hexadecimal(900), load=hexadecimal(900), sid="late", equip=equipped)
    assert tabs.of("late") is tab
    tabs.close()


@pytest.mark.parametrize("tab_id", ["", "x", "G" * 32, "../" * 10, "a" * 33])
def test_a_malformed_id_is_refused(tab_id: str) -> None:
    """Only what our own page makes up counts as an id."""
    with pytest.raises(UsageError):
        Tabs(clock=Clock()).arrive(tab_id, load=hexadecimal(1), sid="a", equip=equipped)


def test_a_mailbox_works_in_order_and_survives_a_failing_job(caplog: pytest.LogCaptureFixture) -> None:
    """One event that fails is logged, and the next ones are still done, one after the other."""
    mailbox = Mailbox("test")
    done: list[int] = []
    finished = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError("on purpose")

    assert mailbox.put(lambda: done.append(1))
    assert mailbox.put(fail)
    assert mailbox.put(lambda: done.append(2))
    assert mailbox.put(finished.set)
    assert finished.wait(5), "the mailbox did not come to its last job"
    mailbox.close()
    assert done == [1, 2]
    assert "an event of a tab failed" in caplog.text


def test_a_mailbox_takes_only_so_many_jobs() -> None:
    """What a page sends faster than it can be done is refused, not heaped up."""
    mailbox = Mailbox("test")
    hold, started = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        hold.wait(5)

    mailbox.put(wait)
    assert started.wait(5), "the first job did not begin"
    taken = [mailbox.put(lambda: None) for _ in range(MAX_WAITING_EVENTS + 1)]
    assert taken == [True] * MAX_WAITING_EVENTS + [False]
    hold.set()
    mailbox.close()


def test_the_rate_limit_lets_a_burst_pass_and_then_one_at_a_time() -> None:
    """Three at once, then one a second."""
    clock = Clock()
    limit = RateLimit(burst=3, per_s=1, clock=clock)
    assert [limit.passes() for _ in range(4)] == [True, True, True, False]
    clock.now += 1.0
    assert [limit.passes() for _ in range(2)] == [True, False]

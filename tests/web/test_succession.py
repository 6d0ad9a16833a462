"""Who plays next, without any broker or peer."""

from __future__ import annotations

from tests.web.conftest import made_offer, made_result
from web.succession import FRESH_S, Fate, Succession

ANNA, BOB, CARL = made_offer("anna", 1.0), made_offer("bob", 2.0), made_offer("carl", 3.0)


def test_providers_play_in_the_order_of_their_distances_and_once_each() -> None:
    """After the nearest comes the second nearest, and at the end nobody."""
    succession = Succession(made_result(ANNA, BOB), gathered_at=0.0)
    heard = []
    while (following := succession.next_offer()) is not None:
        heard.append(following)
        succession.plays(following)
    assert heard == [ANNA, BOB]
    assert succession.fate(ANNA.provider) is Fate.HEARD
    assert succession.fate(BOB.provider) is Fate.PLAYING


def test_who_is_passed_over_does_not_come_again_and_the_reason_is_kept() -> None:
    """A provider that cannot be reached gives way to the next, with its reason on record."""
    succession = Succession(made_result(ANNA, BOB), gathered_at=0.0)
    passed = succession.pass_over(ANNA, reason="nobody answers there")
    assert succession.next_offer() == BOB
    assert succession.passed_over == (passed,)
    assert (passed.name, passed.reason) == ("Anna", "nobody answers there")
    assert succession.fate(ANNA.provider) is Fate.PASSED_OVER


def test_offers_grow_stale_before_their_tickets_run_out() -> None:
    """An offer is not used any more when its ticket may have expired on the way."""
    succession = Succession(made_result(ANNA), gathered_at=100.0)
    assert not succession.is_stale(100.0 + FRESH_S)
    assert succession.is_stale(100.0 + FRESH_S + 0.1)
    assert FRESH_S < 60.0


def test_a_newer_gathering_leaves_out_who_was_heard_or_failed() -> None:
    """Asked again, those that have played or failed stay out, also when they offer anew; new ones come in."""
    succession = Succession(made_result(ANNA, BOB), gathered_at=0.0)
    succession.plays(ANNA)
    succession.pass_over(BOB, reason="gone")
    succession.renew(made_result(made_offer("anna", 1.0), made_offer("bob", 2.0), CARL), gathered_at=70.0)
    assert succession.next_offer() == CARL
    assert not succession.is_stale(71.0)


def test_two_collections_of_one_user_are_two_providers() -> None:
    """Who somebody is hangs on user and collection, not on the name."""
    one, other = made_offer("anna", 1.0), made_offer("anna", 2.0, provider_id="another-collection")
    succession = Succession(made_result(one, other), gathered_at=0.0)
    succession.plays(one)
    assert succession.next_offer() == other


def test_what_is_left_to_play_shrinks() -> None:
    """Who was heard or passed over no longer counts as a rival."""
    succession = Succession(made_result(ANNA, BOB, CARL), gathered_at=0.0)
    assert succession.left_to_play == 3
    succession.plays(ANNA)
    assert succession.left_to_play == 3
    succession.pass_over(ANNA, reason="gone")
    succession.plays(BOB)
    assert succession.left_to_play == 2

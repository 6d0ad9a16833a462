"""Which of the answered requests the demo proposes."""

from __future__ import annotations

from dnai.cli.demo_requests import Answered, choose
from dnai.recommend.gather import ProviderKey


def answered(text: str, winner: str, *, tracks: int = 3, offers: int = 1, is_song: bool = False) -> Answered:
    """An answered request, won by the user `winner`."""
    return Answered(
        text=text,
        winner=ProviderKey(winner, "p" * 16),
        winner_name=winner.title(),
        tracks=tracks,
        offers=offers,
        is_song=is_song,
    )


def test_as_many_winners_as_can_be() -> None:
    """Three requests with three winners are preferred to those with most tracks."""
    answers = [answered(f"a{i}", "anna", tracks=50) for i in range(4)] + [answered("b", "ben"), answered("c", "clara")]
    assert {answer.winner_name for answer in choose(answers)} == {"Anna", "Ben", "Clara"}


def test_one_song_among_them() -> None:
    """A song is asked for when one was answered, and genres too."""
    songs = [answered(f"song {i}", "ben", is_song=True) for i in range(5)]
    genres = [answered("jazz", "ben"), answered("metal", "anna"), answered("pop", "clara")]
    chosen = choose(songs + genres)
    assert [answer.is_song for answer in chosen].count(True) == 1
    assert len({answer.winner for answer in chosen}) == 3


def test_contested_requests_are_preferred() -> None:
    """Where winners are the same, a request that several competed for shows more."""
    chosen = choose([answered("alone", "anna", tracks=9), answered("contested", "anna", offers=3)], count=1)
    assert [answer.text for answer in chosen] == ["contested"]


def test_fewer_answers_than_wanted_are_all_proposed() -> None:
    """Nothing is made up: with one answer there is one proposal, with none there is none."""
    only = answered("jazz", "anna")
    assert choose([only]) == (only,)
    assert choose([]) == ()


def test_no_request_is_proposed_twice() -> None:
    """The proposals are different requests."""
    chosen = choose([answered(text, "anna") for text in ("a", "b", "c", "d")])
    assert len({answer.text for answer in chosen}) == 3

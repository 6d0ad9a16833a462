"""Which requests the demo proposes: found by asking the circle, not typed in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from dnai.recommend.gather import GatherResult, ProviderKey
from dnai.tracks import Genre
from web.listener import Listener, Target

PROPOSED = 3
"""How many requests are proposed."""

_MAX_SONGS = 8


@dataclass(frozen=True, slots=True)
class Answered:
    """A request as a person types it, and what the circle answered: the winner, and how many others offered."""

    text: str
    winner: ProviderKey
    winner_name: str
    tracks: int
    offers: int
    is_song: bool


def ask_everything(listener: Listener) -> list[Answered]:
    """Ask the circle for each genre, and for something like each of the listener's first songs.

    Raises
    ------
    BrokerError
        When the circle cannot be asked.
    """
    songs = listener.own_tracks()[:_MAX_SONGS]
    targets = [listener.target(track=song) for song in songs] + [listener.target(genre=genre) for genre in Genre]
    answers = [_answered(target, listener.search(target).gather()) for target in targets]
    return [answer for answer in answers if answer is not None]


def request_text(target: Target) -> str:
    """Return how a person asks peers for this."""
    return f"something like {target.spoken} from peers" if target.track else f"play some {target.spoken} from peers"


def choose(answers: Sequence[Answered], *, count: int = PROPOSED) -> tuple[Answered, ...]:
    """Return at most `count` of the answered requests that together show the most.

    First as many different winners as can be, then both a song and a genre, then those that several
    providers competed for, then those with most tracks; equal ones in the order given.
    """
    size = min(count, len(answers))
    return max(itertools.combinations(answers, size), key=_worth, default=())


def _worth(chosen: tuple[Answered, ...]) -> tuple[int, ...]:
    kinds = {answer.is_song for answer in chosen}
    one_song = sum(answer.is_song for answer in chosen) == 1
    contested = sum(answer.offers > 1 for answer in chosen)
    return (
        len({answer.winner for answer in chosen}),
        len(kinds),
        one_song,
        contested,
        sum(answer.tracks for answer in chosen),
    )


def _answered(target: Target, result: GatherResult) -> Answered | None:
    if not result.offers:
        return None
    best = result.offers[0]
    return Answered(
        text=request_text(target),
        winner=best.provider,
        winner_name=best.name,
        tracks=best.tracks,
        offers=len(result.offers),
        is_song=target.track is not None,
    )

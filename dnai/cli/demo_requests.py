"""Which requests the demo proposes: found by asking the circle, not typed in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dnai.chatbot.dialogue import Conversation
from dnai.chatbot.intents import Intent, Source
from dnai.recommend.gather import ProviderKey
from dnai.tracks import Genre
from web.listener import Listener

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


def ask_everything(listener: Listener, converse: Callable[[], Conversation]) -> list[Answered]:
    """Ask the circle for something like each of the listener's first songs, and for each genre, in words.

    Each request is understood by a new conversation of the chatbot, as on the page; what it takes
    for something else, or nobody offers, is left out.

    Raises
    ------
    BrokerError
        When the circle cannot be asked.
    """
    songs = [f"something like {track.title} from peers" for track in listener.own_tracks()[:_MAX_SONGS]]
    genres = [f"play some {genre.spoken} from peers" for genre in Genre]
    answers = [_ask(text, listener, converse()) for text in songs + genres]
    return [answer for answer in answers if answer is not None]


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


def _ask(text: str, listener: Listener, conversation: Conversation) -> Answered | None:
    reply = conversation.answer(text)
    if reply.intent is not Intent.PLAY or reply.source is not Source.PEERS:
        return None
    target = listener.target(track=reply.track) if reply.track else listener.target(genre=reply.genre)
    offers = listener.search(target).gather().offers
    if not offers:
        return None
    return Answered(
        text=text,
        winner=offers[0].provider,
        winner_name=offers[0].name,
        tracks=offers[0].tracks,
        offers=len(offers),
        is_song=target.track is not None,
    )

"""Gathering the offers that answer one request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from dnai.recommend.messages import Decline, Offer
from dnai.recommend.ranking import weighed_distances
from dnai.tracks import Genre

MAX_PROVIDERS_PER_USER = 8
"""How many collections one user may offer; further ones are made up, or a mistake."""


class ProviderKey(NamedTuple):
    """Who a provider is: the broker's user, and the random id of the collection. Names are only labels."""

    user_id: str
    provider_id: str


@dataclass(frozen=True, slots=True)
class ReceivedOffer:
    """An offer as the requester has it: the message, whose it is, and when it came (steady clock, seconds).

    `weighed_distance` is what it is ranked by among the other offers, see `dnai.recommend.ranking`.
    """

    provider: ProviderKey
    name: str
    mean_distance: float
    weighed_distance: float
    tracks: int
    collection: int
    host: str
    port: int
    ticket: str = field(repr=False)
    space_id: str
    model_id: str
    latency_s: float
    received_at: float


@dataclass(frozen=True, slots=True)
class ReceivedDecline:
    """A provider said that it has nothing, and why."""

    provider: ProviderKey
    name: str
    reason: str
    latency_s: float


@dataclass(frozen=True, slots=True)
class GatherResult:
    """What came of one request. That some were silent is a result, not an error.

    `offers` are ranked, the best first, all in one feature space; `left_out` answered in another
    space, which cannot be compared; `own` came from the listener's own workers; `silent` names those
    that were present and did not answer in time.
    """

    correlation_id: str
    genre: Genre
    offers: tuple[ReceivedOffer, ...]
    left_out: tuple[ReceivedOffer, ...]
    own: tuple[ReceivedOffer, ...]
    declines: tuple[ReceivedDecline, ...]
    silent: tuple[str, ...]
    nobody_else: bool
    elapsed_s: float

    @property
    def winner(self) -> ReceivedOffer | None:
        """The best offer, or None."""
        return self.offers[0] if self.offers else None


class Gathering:
    """One request in the air.

    Parameters
    ----------
    spaces
        The ids of the feature spaces asked in, the preferred one first.
    expected
        The names of the other providers that are present, by their key.
    started_at, deadline_at
        Steady-clock seconds.
    """

    def __init__(
        self,
        *,
        correlation_id: str,
        user_id: str,
        genre: Genre,
        spaces: Iterable[str],
        expected: dict[ProviderKey, str],
        started_at: float,
        deadline_at: float,
    ) -> None:
        self.correlation_id = correlation_id
        self.deadline_at = deadline_at
        self.unroutable = False
        self._user_id = user_id
        self._genre = genre
        self._spaces = tuple(spaces)
        self._expected = dict(expected)
        self._started_at = started_at
        self._offers: list[ReceivedOffer] = []
        self._declines: list[ReceivedDecline] = []
        self._answered: set[ProviderKey] = set()
        self._missing = set(expected)

    @property
    def everybody_answered(self) -> bool:
        """Whether nobody who is present is still missing; also when the broker knew nobody to give it to."""
        return self.unroutable or not self._missing

    def expect(self, provider: ProviderKey, *, name: str) -> None:
        """Count on an answer of `provider` too."""
        if provider not in self._answered:
            self._expected[provider] = name
            self._missing.add(provider)

    def excuse(self, provider: ProviderKey) -> None:
        """Wait no longer for `provider`: it said goodbye."""
        self._missing.discard(provider)
        self._expected.pop(provider, None)

    def is_crowded(self, provider: ProviderKey) -> bool:
        """Whether the user of a provider that nobody counts on has sent as many answers as are taken of one user."""
        if provider in self._expected or provider in self._answered:
            return False
        return sum(other.user_id == provider.user_id for other in self._answered) >= MAX_PROVIDERS_PER_USER

    def take(self, answer: Offer | Decline, *, provider: ProviderKey, now: float) -> bool:
        """Take an answer in; return False when this provider has answered before."""
        if provider in self._answered:
            return False
        self._answered.add(provider)
        self._missing.discard(provider)
        if isinstance(answer, Offer):
            self._offers.append(self._received(answer, provider, now))
        elif provider.user_id != self._user_id:
            latency_s = now - self._started_at
            self._declines.append(ReceivedDecline(provider, answer.name, answer.reason, latency_s))
        return True

    def result(self, *, now: float) -> GatherResult:
        """Return what has come so far, ranked."""
        others = [offer for offer in self._offers if offer.provider.user_id != self._user_id]
        space_id = next((s for s in self._spaces if any(offer.space_id == s for offer in others)), None)
        return GatherResult(
            correlation_id=self.correlation_id,
            genre=self._genre,
            offers=_ranked([offer for offer in others if offer.space_id == space_id]),
            left_out=tuple(offer for offer in others if offer.space_id != space_id),
            own=tuple(offer for offer in self._offers if offer.provider.user_id == self._user_id),
            declines=tuple(self._declines),
            silent=tuple(sorted(self._expected[provider] for provider in self._missing)),
            nobody_else=self.unroutable or not (others or self._declines or self._expected),
            elapsed_s=now - self._started_at,
        )

    def _received(self, offer: Offer, provider: ProviderKey, now: float) -> ReceivedOffer:
        return ReceivedOffer(
            provider=provider,
            name=offer.name,
            mean_distance=offer.mean_distance,
            weighed_distance=offer.mean_distance,
            tracks=offer.tracks,
            collection=offer.collection,
            host=offer.host,
            port=offer.port,
            ticket=offer.ticket,
            space_id=offer.space_id,
            model_id=offer.model_id,
            latency_s=now - self._started_at,
            received_at=now,
        )


def _ranked(offers: Sequence[ReceivedOffer]) -> tuple[ReceivedOffer, ...]:
    """The offers of one space with their weighed distances, the best first."""
    columns = ([o.mean_distance for o in offers], [o.tracks for o in offers], [o.collection for o in offers])
    weighed = weighed_distances(*(np.array(column) for column in columns))
    known = [replace(one, weighed_distance=float(distance)) for one, distance in zip(offers, weighed, strict=True)]
    return tuple(sorted(known, key=lambda one: (one.weighed_distance, one.mean_distance, one.provider)))

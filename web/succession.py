"""Who plays next: decisions over the offers of one wish, without any input or output."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dnai.recommend.gather import GatherResult, ProviderKey, ReceivedOffer

FRESH_S = 45.0
"""How old an offer may be when its ticket is used: tickets open a session for 60 s."""


class Fate(StrEnum):
    """What became of an offer."""

    WAITING = "waiting"
    PLAYING = "playing"
    HEARD = "heard"
    PASSED_OVER = "passed over"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A provider that was asked to play and could not, and why."""

    provider: ProviderKey
    name: str
    reason: str


class Succession:
    """The providers of one wish, the nearest first; each plays once.

    It holds the latest gathering. When that has become too old for its tickets, whoever drives this
    asks the circle again and hands the result to `renew`: providers that have played, or have
    failed, stay out.
    """

    def __init__(self, result: GatherResult, *, gathered_at: float, fresh_s: float = FRESH_S) -> None:
        self._result = result
        self._gathered_at = gathered_at
        self._fresh_s = fresh_s
        self._fates: dict[ProviderKey, Fate] = {}
        self._passed_over: list[PassedOver] = []

    @property
    def result(self) -> GatherResult:
        """The latest gathering."""
        return self._result

    @property
    def passed_over(self) -> tuple[PassedOver, ...]:
        """Everybody who was passed over, in order."""
        return tuple(self._passed_over)

    def is_stale(self, now: float) -> bool:
        """Return whether the tickets may have run out."""
        return now - self._gathered_at > self._fresh_s

    def renew(self, result: GatherResult, *, gathered_at: float) -> None:
        """Go on with a newer gathering of the same wish."""
        self._result = result
        self._gathered_at = gathered_at

    def fate(self, provider: ProviderKey) -> Fate:
        """Return what became of the offer of `provider`."""
        return self._fates.get(provider, Fate.WAITING)

    def next_offer(self) -> ReceivedOffer | None:
        """Return the nearest offer of a provider that has not had its turn, or None."""
        return next((offer for offer in self._result.offers if offer.provider not in self._fates), None)

    @property
    def left_to_play(self) -> int:
        """How many offers play or wait, without those that were heard or passed over."""
        left = {Fate.WAITING, Fate.PLAYING}
        return sum(1 for offer in self._result.offers if self.fate(offer.provider) in left)

    def plays(self, offer: ReceivedOffer) -> None:
        """Note that `offer` plays now; whoever played before has been heard."""
        for provider, fate in self._fates.items():
            if fate is Fate.PLAYING:
                self._fates[provider] = Fate.HEARD
        self._fates[offer.provider] = Fate.PLAYING

    def pass_over(self, offer: ReceivedOffer, *, reason: str) -> PassedOver:
        """Note that `offer` could not play, or not go on playing."""
        passed = PassedOver(provider=offer.provider, name=offer.name, reason=reason)
        self._fates[offer.provider] = Fate.PASSED_OVER
        self._passed_over.append(passed)
        return passed

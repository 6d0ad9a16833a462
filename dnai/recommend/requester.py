"""The requester's side: who is present, which requests are in the air, and when each is over.

Nothing here talks to the broker. Whoever does hands in what arrived and the time, and takes out
what is to be sent and what is finished.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from dnai.errors import UsageError
from dnai.recommend.gather import MAX_PROVIDERS_PER_USER, Gathering, GatherResult, ProviderKey
from dnai.recommend.messages import MAX_COORDINATE, Decline, Goodbye, Hello, Message, Offer, Request
from dnai.text import clean_text
from dnai.tracks import Genre

HELLO_INTERVAL_S = 30.0
PRESENCE_LIFETIME_S = 75.0
"""How long a provider counts as present after its last sign of life: two hellos may be lost."""

MAX_PROVIDERS = 10_000
_REMEMBERED_REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class PresentProvider:
    """A provider that is there; `tracks` is what it last said."""

    provider: ProviderKey
    name: str
    tracks: int


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request to be published."""

    correlation_id: str
    request: Request
    expires_ms: int


class Presence:
    """Who is there, by their hellos; bounded for each user and in all."""

    def __init__(self, *, lifetime_s: float = PRESENCE_LIFETIME_S) -> None:
        self._lifetime_s = lifetime_s
        self._seen: OrderedDict[ProviderKey, tuple[PresentProvider, float]] = OrderedDict()

    def greet(self, provider: ProviderKey, *, name: str, tracks: int, now: float) -> bool:
        """Note a sign of life; return False when there are too many providers to note this one."""
        if provider not in self._seen and not self._has_room(provider.user_id, now):
            return False
        self._seen.pop(provider, None)
        self._seen[provider] = (PresentProvider(provider, name, tracks), now)
        return True

    def dismiss(self, provider: ProviderKey) -> None:
        """Note a goodbye."""
        self._seen.pop(provider, None)

    def forget_all(self) -> None:
        """Forget everybody, as after a lost connection."""
        self._seen.clear()

    def others(self, user_id: str, *, now: float) -> list[PresentProvider]:
        """Return the providers that are present and do not belong to `user_id`."""
        self._expire(now)
        return [present for present, _ in self._seen.values() if present.provider.user_id != user_id]

    def _has_room(self, user_id: str, now: float) -> bool:
        self._expire(now)
        same_user = sum(1 for provider in self._seen if provider.user_id == user_id)
        return len(self._seen) < MAX_PROVIDERS and same_user < MAX_PROVIDERS_PER_USER

    def _expire(self, now: float) -> None:
        """The first entry is the one heard of longest ago."""
        while self._seen:
            provider, (_, seen_at) = next(iter(self._seen.items()))
            if now - seen_at <= self._lifetime_s:
                return
            del self._seen[provider]


class Requester:
    """The protocol logic of one listener; not thread-safe: one thread drives it.

    Parameters
    ----------
    user_id
        The broker user of the listener; offers of the same user are the listener's own.
    deadline_s
        How long a request waits for those who do not answer.
    clock
        Steady seconds.
    new_id
        Gives a fresh random correlation id.
    settling_s
        For how long after a connection was made the hellos that answer "who is there" may still be
        on their way, so that silence does not yet mean that nobody is there.
    """

    def __init__(
        self,
        *,
        user_id: str,
        deadline_s: float,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        settling_s: float = 0.5,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._user_id = user_id
        self._deadline_s = deadline_s
        self._clock = clock
        self._new_id = new_id
        self._settling_s = min(settling_s, deadline_s)
        self._settled_at = clock()
        self._presence = Presence()
        self._gatherings: dict[str, Gathering] = {}
        self._recent: deque[str] = deque(maxlen=_REMEMBERED_REQUESTS)

    def connected(self) -> None:
        """Start anew on a fresh connection, just before "who is there" is asked."""
        self._presence.forget_all()
        self._recent.extend(self._gatherings)
        self._gatherings.clear()
        self._settled_at = self._clock() + self._settling_s

    def nobody_answers(self) -> None:
        """The broker gave "who is there" back: there is no worker at all."""
        self._settled_at = self._clock()

    def open(self, genre: Genre, vectors: Mapping[str, NDArray[np.float32]]) -> OutgoingRequest:
        """Start a request and return what to publish.

        Parameters
        ----------
        vectors
            A vector for each feature space, shape ``(d,)``, the preferred space first.

        Raises
        ------
        UsageError
            When there is no vector, or one holds a number that is not finite or above `MAX_COORDINATE`.
        """
        # Written so that NaN fails too.
        if not vectors or not all((np.abs(vector) <= MAX_COORDINATE).all() for vector in vectors.values()):
            raise UsageError(f"a request needs at least one vector, of numbers up to {MAX_COORDINATE:.0e}")
        now = self._clock()
        correlation_id = self._new_id()
        others = self._presence.others(self._user_id, now=now)
        self._gatherings[correlation_id] = Gathering(
            correlation_id=correlation_id,
            user_id=self._user_id,
            genre=genre,
            spaces=vectors,
            expected={present.provider: present.name for present in others},
            started_at=now,
            deadline_at=now + self._deadline_s,
        )
        request = Request(genre=genre, vectors={space_id: vector.tolist() for space_id, vector in vectors.items()})
        return OutgoingRequest(correlation_id, request, expires_ms=max(1, round(self._deadline_s * 1000)))

    def receive(self, message: Message, *, user_id: str, correlation_id: str | None) -> None:
        """Take in a message that the broker says is from `user_id`; what does not fit is counted in `dropped`."""
        if isinstance(message, Offer | Decline):
            self._receive_answer(message, ProviderKey(user_id, message.provider_id), correlation_id or "")
        elif isinstance(message, Hello):
            self._receive_hello(message, ProviderKey(user_id, message.provider_id))
        elif isinstance(message, Goodbye):
            self._receive_goodbye(ProviderKey(user_id, message.provider_id))
        else:
            self.dropped["unexpected"] += 1

    def returned(self, correlation_id: str) -> None:
        """The broker gave this request back: no worker at all is there."""
        if correlation_id in self._gatherings:
            self._gatherings[correlation_id].unroutable = True

    def finished(self) -> list[GatherResult]:
        """Take out the requests that are over, and return what came of them."""
        now = self._clock()
        over = [gathering for gathering in self._gatherings.values() if self._is_over(gathering, now)]
        for gathering in over:
            del self._gatherings[gathering.correlation_id]
            self._recent.append(gathering.correlation_id)
        return [gathering.result(now=now) for gathering in over]

    def next_deadline(self) -> float | None:
        """Return when `finished` should be called at the latest (steady seconds), or None."""
        times = [
            self._settled_at if gathering.everybody_answered else gathering.deadline_at
            for gathering in self._gatherings.values()
        ]
        return min(times, default=None)

    def present(self) -> list[PresentProvider]:
        """Return the other people's providers that are there."""
        return self._presence.others(self._user_id, now=self._clock())

    def _is_over(self, gathering: Gathering, now: float) -> bool:
        if gathering.unroutable or now >= gathering.deadline_at:
            return True
        return gathering.everybody_answered and now >= self._settled_at

    def _receive_answer(self, answer: Offer | Decline, provider: ProviderKey, correlation_id: str) -> None:
        gathering = self._gatherings.get(correlation_id)
        if gathering is None:
            self.dropped["late" if correlation_id in self._recent else "foreign"] += 1
        elif gathering.is_crowded(provider):
            self.dropped["crowded"] += 1
        elif not gathering.take(_labelled(answer), provider=provider, now=self._clock()):
            self.dropped["duplicate"] += 1

    def _receive_hello(self, hello: Hello, provider: ProviderKey) -> None:
        now = self._clock()
        name = clean_text(hello.name)
        if not self._presence.greet(provider, name=name, tracks=hello.tracks, now=now):
            self.dropped["crowded"] += 1
        elif provider.user_id != self._user_id and now < self._settled_at:
            for gathering in self._gatherings.values():
                gathering.expect(provider, name=name)

    def _receive_goodbye(self, provider: ProviderKey) -> None:
        self._presence.dismiss(provider)
        for gathering in self._gatherings.values():
            gathering.excuse(provider)


def _labelled(answer: Offer | Decline) -> Offer | Decline:
    """The same answer with its name made harmless."""
    name = clean_text(answer.name)
    return answer if name == answer.name else msgspec.structs.replace(answer, name=name)

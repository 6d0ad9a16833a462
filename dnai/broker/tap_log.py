"""What the firehose shows, put together request by request. No input or output: time is handed in.

Tickets are in no part of what comes out, and text of the members' own is made harmless.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from dnai.broker.topology import OFFERS, REQUESTS
from dnai.errors import ProtocolError
from dnai.recommend.messages import Decline, Message, Offer, Request, Who, decode, type_name
from dnai.recommend.ranking import weighed_distances
from dnai.text import clean_text

GRACE_S = 0.5
"""For how long after its deadline a request's block is kept open, for those that are late."""
DEFAULT_DEADLINE_S = 5.0
MAX_OPEN_REQUESTS = 2_000
MAX_ANSWERS = 2_000
_MAX_DEADLINE_S = 60.0

_SECRET = re.compile(r"[A-Za-z0-9_-]{16,}")


@dataclass(frozen=True, slots=True)
class TracedMessage:
    """One published message as the firehose tells it.

    `publisher` is the user whom the broker knows to have published it; `user_id`, `correlation_id`, `reply_to`,
    `expiration`, `type` and `version` are what the message itself says.
    """

    exchange: str
    routing_key: str
    publisher: str
    body: bytes = field(repr=False)
    type: str = ""
    version: object = None
    user_id: str = ""
    correlation_id: str = ""
    reply_to: str = ""
    expiration: str = ""


@dataclass(frozen=True, slots=True)
class TappedOffer:
    """An offer: whose, how far, how many tracks of how many in all, and when it came after the request, seconds."""

    user_id: str
    name: str
    distance: float
    tracks: int
    collection: int
    latency_s: float
    is_late: bool


@dataclass(frozen=True, slots=True)
class TappedDecline:
    """A provider that has nothing, and why."""

    user_id: str
    name: str
    reason: str
    latency_s: float
    is_late: bool


@dataclass(frozen=True, slots=True)
class TapProblem:
    """A message that its receiver drops: what kind of trouble, who published it, and why it is dropped.

    Kinds: malformed, unsigned, spoofed, foreign, misdirected, again, late.
    """

    time: datetime
    kind: str
    user_id: str
    correlation_id: str
    why: str


@dataclass(frozen=True, slots=True)
class TapBlock:
    """One request with all that came of it."""

    time: datetime
    correlation_id: str
    requester: str
    genre: str
    deadline_s: float
    offers: tuple[TappedOffer, ...]
    declines: tuple[TappedDecline, ...]
    problems: tuple[TapProblem, ...]


@dataclass(slots=True)
class _OpenRequest:
    time: datetime
    user_id: str
    genre: str
    reply_to: str
    started_at: float
    deadline_s: float
    offers: list[TappedOffer] = field(default_factory=list)
    declines: list[TappedDecline] = field(default_factory=list)
    problems: list[TapProblem] = field(default_factory=list)
    answered: set[tuple[str, str]] = field(default_factory=set)

    def block(self, correlation_id: str) -> TapBlock:
        return TapBlock(
            time=self.time,
            correlation_id=_shown(correlation_id),
            requester=self.user_id,
            genre=self.genre,
            deadline_s=self.deadline_s,
            offers=_ranked(self.offers),
            declines=tuple(self.declines),
            problems=tuple(self.problems),
        )


def _ranked(offers: Sequence[TappedOffer]) -> tuple[TappedOffer, ...]:
    """The offers in the order in which the requester ranks them."""
    columns = ([o.distance for o in offers], [o.tracks for o in offers], [o.collection for o in offers])
    weighed = weighed_distances(*(np.array(column) for column in columns))
    order = sorted(range(len(offers)), key=lambda i: (weighed[i], offers[i].distance))
    return tuple(offers[i] for i in order)


class TapLog:
    """Takes traced messages in; gives blocks and stray problems out."""

    def __init__(self) -> None:
        self._requests: OrderedDict[str, _OpenRequest] = OrderedDict()
        self._strays: list[TapProblem] = []
        self._closed: deque[str] = deque(maxlen=MAX_OPEN_REQUESTS)

    def take(self, traced: TracedMessage, *, now: float, time: datetime) -> None:
        """Take in a message that was seen at `now` (steady seconds), which is `time` on the clock."""
        try:
            message = _open(traced)
        except _TroubleError as error:
            self._note(traced, error.kind, str(error), time)
            return
        try:
            if isinstance(message, Request):
                self._take_request(message, traced, now, time)
            elif isinstance(message, Offer | Decline):
                self._take_answer(message, traced, now)
        except _TroubleError as error:
            self._note(traced, error.kind, str(error), time)

    def finished(self, *, now: float) -> list[TapBlock]:
        """Take out the requests whose deadline and grace are over, the earliest first."""
        over = [
            correlation_id
            for correlation_id, request in self._requests.items()
            if now - request.started_at > request.deadline_s + GRACE_S
        ]
        self._closed.extend(over)
        return [self._requests.pop(correlation_id).block(correlation_id) for correlation_id in over]

    def all(self) -> list[TapBlock]:
        """Take out every request, as at the end."""
        blocks = [request.block(correlation_id) for correlation_id, request in self._requests.items()]
        self._requests.clear()
        return blocks

    def strays(self) -> list[TapProblem]:
        """Take out the problems that belong to no open request."""
        strays, self._strays = self._strays, []
        return strays

    def _take_request(self, request: Request, traced: TracedMessage, now: float, time: datetime) -> None:
        if not traced.reply_to.startswith(traced.user_id + "."):
            raise _TroubleError("malformed", "it wants its answers sent to a key that is not the requester's own")
        if not traced.correlation_id or traced.correlation_id in self._requests:
            raise _TroubleError("malformed", "its correlation id is missing, or in use by another request")
        if len(self._requests) >= MAX_OPEN_REQUESTS:
            raise _TroubleError("crowded", f"more than {MAX_OPEN_REQUESTS} requests are open; this one is not followed")
        self._requests[traced.correlation_id] = _OpenRequest(
            time=time,
            user_id=_shown(traced.user_id),
            genre=request.genre.value,
            reply_to=traced.reply_to,
            started_at=now,
            deadline_s=_deadline_s(traced.expiration),
        )

    def _take_answer(self, answer: Offer | Decline, traced: TracedMessage, now: float) -> None:
        request = self._requests.get(traced.correlation_id)
        if request is None and traced.correlation_id in self._closed:
            raise _TroubleError("late", f"{type_name(answer)} for a request that is over")
        if request is None:
            raise _TroubleError("foreign", f"{type_name(answer)} for a request that nobody has made")
        if traced.routing_key != request.reply_to:
            raise _TroubleError("misdirected", f"{type_name(answer)} sent to a key that the request did not name")
        provider = (traced.user_id, answer.provider_id)
        if provider in request.answered:
            raise _TroubleError("again", f"{type_name(answer)} of a provider that has answered before")
        if len(request.answered) >= MAX_ANSWERS:
            raise _TroubleError("crowded", f"more than {MAX_ANSWERS} answers; this one is not shown")
        request.answered.add(provider)
        _add(answer, request, user_id=_shown(traced.user_id), latency_s=now - request.started_at)

    def _note(self, traced: TracedMessage, kind: str, why: str, time: datetime) -> None:
        problem = TapProblem(time, kind, _shown(traced.publisher), _shown(traced.correlation_id), mask(why))
        request = self._requests.get(traced.correlation_id) if traced.exchange == OFFERS else None
        if request is None:
            self._strays.append(problem)
        elif len(request.problems) < MAX_ANSWERS:
            request.problems.append(problem)


class _TroubleError(Exception):
    """Why a message is shown as a problem."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def mask(text: str) -> str:
    """Return `text` on one clean line, with all that could be a ticket replaced by an ellipsis."""
    return clean_text(_SECRET.sub("…", text))


def _open(traced: TracedMessage) -> Message:
    if not traced.user_id:
        raise _TroubleError("unsigned", "it carries no user_id")
    if traced.user_id != traced.publisher:
        raise _TroubleError("spoofed", f"it says that {_shown(traced.user_id)} sent it")
    try:
        message = decode(traced.body, message_type=traced.type, version=traced.version)
    except ProtocolError as error:
        raise _TroubleError("malformed", str(error)) from error
    expected = (Request, Who) if traced.exchange == REQUESTS else (Offer, Decline)
    if not isinstance(message, expected):
        raise _TroubleError("malformed", f"{type_name(message)} does not belong into {traced.exchange}")
    return message


def _add(answer: Offer | Decline, request: _OpenRequest, *, user_id: str, latency_s: float) -> None:
    is_late = latency_s > request.deadline_s
    name = clean_text(answer.name, max_chars=64)
    if isinstance(answer, Offer):
        numbers = (answer.mean_distance, answer.tracks, answer.collection)
        request.offers.append(TappedOffer(user_id, name, *numbers, latency_s, is_late))
    else:
        request.declines.append(TappedDecline(user_id, name, answer.reason, latency_s, is_late))


def _deadline_s(expiration: str) -> float:
    if not expiration.isascii() or not expiration.isdigit():
        return DEFAULT_DEADLINE_S
    return min(int(expiration) / 1000.0, _MAX_DEADLINE_S)


def _shown(text: str) -> str:
    return clean_text(text, max_chars=64)

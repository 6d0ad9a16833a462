"""The tap's blocks, from traced messages and a clock that the test turns."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dnai.broker.tap import read_trace
from dnai.broker.tap_log import GRACE_S, MAX_OPEN_REQUESTS, TapLog, TracedMessage, mask
from dnai.broker.topology import OFFERS, REQUESTS
from dnai.cli.tap import event_json, event_text
from dnai.recommend.messages import Decline, Message, Offer, Request, Who, encode, type_name
from dnai.tracks import Genre

TICKET = "a-ticket-of-24-characters"
NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
REQUEST = Request(genre=Genre.JAZZ, vectors={"s": [0.0]})


def offer(distance: float = 1.0, provider_id: str = "b" * 16) -> Offer:
    return Offer(provider_id, "Bob", "s", "m", distance, 4, "10.0.0.1", 7711, TICKET)


def traced(message: Message, user: str, *, correlation_id: str = "c1") -> TracedMessage:
    is_request = isinstance(message, Request | Who)
    return TracedMessage(
        exchange=REQUESTS if is_request else OFFERS,
        routing_key="" if is_request else "anna.q",
        publisher=user,
        body=encode(message),
        type=type_name(message),
        version=1,
        user_id=user,
        correlation_id=correlation_id,
        reply_to="anna.q" if is_request else "",
        expiration="1000" if is_request else "",
    )


def take(log: TapLog, message: TracedMessage, now: float) -> None:
    log.take(message, now=now, time=NOON)


def test_a_block_comes_when_deadline_and_grace_are_over() -> None:
    """Not before; with offers nearest first, latencies, and what came after the deadline marked as late."""
    log = TapLog()
    take(log, traced(REQUEST, "anna"), 10.0)
    take(log, traced(offer(2.0), "bob"), 10.002)
    take(log, traced(offer(1.0), "carl"), 10.5)
    take(log, traced(offer(0.5), "dora"), 11.2)
    take(log, traced(Decline("e" * 16, "Eve", "no_tracks"), "eve"), 10.1)
    assert log.finished(now=11.0 + GRACE_S) == []
    (block,) = log.finished(now=11.01 + GRACE_S)
    assert (block.correlation_id, block.requester, block.genre, block.deadline_s) == ("c1", "anna", "jazz", 1.0)
    assert [(one.user_id, one.is_late) for one in block.offers] == [("dora", True), ("carl", False), ("bob", False)]
    assert round(block.offers[2].latency_s, 6) == 0.002
    assert [one.reason for one in block.declines] == ["no_tracks"]
    assert log.finished(now=100.0) == []
    take(log, traced(offer(), "frida"), 101.0)
    assert [one.kind for one in log.strays()] == ["late"]


def test_each_kind_of_trouble_is_told_apart() -> None:
    """Malformed, unsigned, spoofed, misdirected, again; and what belongs to no request."""
    log = TapLog()
    take(log, traced(REQUEST, "anna"), 0.0)
    good = traced(offer(), "bob")
    take(log, replace(good, body=b"{}"), 0.1)
    take(log, replace(good, user_id=""), 0.1)
    take(log, replace(good, user_id="carl"), 0.1)
    take(log, replace(good, routing_key="dora.q"), 0.1)
    take(log, good, 0.1)
    take(log, good, 0.1)
    take(log, replace(good, correlation_id="other"), 0.1)
    take(log, replace(traced(REQUEST, "eve", correlation_id="c2"), reply_to="anna.q"), 0.1)
    take(log, traced(REQUEST, "eve"), 0.1)
    take(log, traced(Who(), "eve", correlation_id=""), 0.1)
    (block,) = log.all()
    assert [one.kind for one in block.problems] == ["malformed", "unsigned", "spoofed", "misdirected", "again"]
    assert {one.user_id for one in block.problems} == {"bob"}
    assert len(block.offers) == 1
    assert [one.kind for one in log.strays()] == ["foreign", "malformed", "malformed"]


def test_no_ticket_is_in_anything_that_is_shown() -> None:
    """Not in words, not in JSON, not where a broken message holds it in an odd place."""
    log = TapLog()
    take(log, traced(REQUEST, "anna"), 0.0)
    take(log, traced(offer(), "bob"), 0.1)
    body = encode(offer()).replace(b'"port":7711', b'"port":"%s"' % TICKET.encode())
    take(log, replace(traced(offer(), "carl"), body=body), 0.1)
    take(log, replace(traced(offer(), "carl"), type=TICKET), 0.1)
    take(log, replace(traced(offer(), "carl"), version=TICKET), 0.1)
    take(log, replace(traced(REQUEST, "carl"), body=b'{"genre":"%s"}' % TICKET.encode()), 0.1)
    events = [*log.all(), *log.strays()]
    assert len(events) == 2
    for event in events:
        assert TICKET not in event_text(event) + event_json(event) + repr(event)


def test_text_of_members_is_harmless() -> None:
    """Terminal escapes and direction marks are taken out of names and ids."""
    log = TapLog()
    take(log, traced(REQUEST, "anna", correlation_id="c\x1b[2J"), 0.0)
    evil = Offer("b" * 16, "\u202eevil\x1b]0;x\x07", "s", "m", 1.0, 4, "h", 1, TICKET)
    take(log, traced(evil, "bob", correlation_id="c\x1b[2J"), 0.1)
    (block,) = log.all()
    text = event_text(block)
    assert not [character for character in text if ord(character) < 32 and character != "\n"]
    assert "\u202e" not in text


def test_requests_that_are_followed_are_bounded() -> None:
    """A flood of requests fills no memory."""
    log = TapLog()
    for number in range(MAX_OPEN_REQUESTS + 5):
        take(log, traced(REQUEST, "anna", correlation_id=f"c{number}"), 0.0)
    assert len(log.all()) == MAX_OPEN_REQUESTS
    assert [one.kind for one in log.strays()] == ["crowded"] * 5


def test_a_mask_leaves_words() -> None:
    """Only what is as long as a ticket goes."""
    assert mask(f"wrong ticket {TICKET} here") == "wrong ticket … here"


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
_NAMES = st.sampled_from(["properties", "user", "routing_keys", "headers", "user_id", "type", "expiration", "x"])


@given(headers=st.dictionaries(_NAMES, _JUNK | st.dictionaries(_NAMES, _JUNK)), body=st.binary())
def test_whatever_a_trace_holds_the_tap_goes_on(headers: dict[str, object], body: bytes) -> None:
    """The firehose repeats what members wrote into their properties, whatever it was."""
    log = TapLog()
    log.take(read_trace("publish.dnai.offers", headers, body), now=0.0, time=NOON)
    assert len(log.strays()) == 1

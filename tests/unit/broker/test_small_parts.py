"""Dropped messages, envelopes, unreadable frames, and the pause before connecting again."""

import logging

import pytest
from pika import BasicProperties, frame
from pika.exceptions import InvalidFrameError

from dnai.broker.dropped import LOG_INTERVAL_S, DropLog
from dnai.broker.envelope import AnswerStamp, envelope, open_envelope, sender, text_of
from dnai.broker.link import FIRST_DELAY_S, LONGEST_DELAY_S, _delay_s
from dnai.broker.member_connection import read_bare_header
from dnai.errors import ProtocolError
from dnai.recommend.messages import Goodbye, Offer


def test_every_drop_is_counted_and_few_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A flood of bad messages makes a line now and then, not a full disk; each kind has its own."""
    now = [100.0]
    drops = DropLog(logging.getLogger("test"), clock=lambda: now[0])
    for _ in range(1000):
        drops.drop("malformed", user_id="eve", correlation_id="c", reason="bad \x1b[31m")
    drops.drop("unsigned", user_id=None, correlation_id=None, reason="no user_id")
    now[0] += LOG_INTERVAL_S
    drops.drop("malformed", user_id="eve", correlation_id="c", reason="bad")
    assert dict(drops.counts) == {"malformed": 1001, "unsigned": 1}
    assert [record.getMessage().split()[2] for record in caplog.records] == ["malformed", "unsigned", "malformed"]
    assert "\x1b" not in caplog.text


def test_an_envelope_is_opened_again() -> None:
    """Type, version and sender stand in the properties."""
    message = Goodbye(provider_id="p" * 16)
    properties = envelope(message, user_id="bob", correlation_id="c", reply_to="bob.q", expires_ms=250)
    assert open_envelope(b'{"provider_id":"pppppppppppppppp"}', properties) == message
    assert sender(properties) == "bob"
    assert (properties.expiration, properties.delivery_mode) == ("250", 1)


@pytest.mark.parametrize("correlation_id", ["c", "x" * 255, "ä" * 100])
def test_a_stamp_makes_the_same_bytes_as_an_envelope(correlation_id: str) -> None:
    """Encoded beforehand or not, the properties on the wire are the same."""
    offer = Offer("p" * 16, "Bob", "s", "m", 1.0, 4, "h", 1, "t" * 16)
    plain = envelope(offer, user_id="bob", correlation_id=correlation_id)
    stamped = AnswerStamp(Offer, user_id="bob").properties(correlation_id)
    assert b"".join(stamped.encode()) == b"".join(plain.encode())


@pytest.mark.parametrize("headers", [None, {}, {"v": 2}, {"v": "1"}, {"v": {"v": 1}}])
def test_an_envelope_without_our_version_is_refused(headers: object) -> None:
    """A later version may mean something else."""
    with pytest.raises(ProtocolError, match="version"):
        open_envelope(b"{}", BasicProperties(type="dnai.who", headers=headers))


def test_properties_that_are_bytes_count_as_missing() -> None:
    """Pika gives bytes for what is no UTF-8."""
    assert text_of(b"\xff") == text_of(None) == ""
    with pytest.raises(ProtocolError, match="user_id"):
        sender(BasicProperties(user_id=b"\xff"))


def test_a_header_frame_is_read_without_its_properties() -> None:
    """The length is right, so that the next frame is found; other frames are not touched."""
    bytes_of = frame.Header(3, 42, BasicProperties(type="x", headers={"a": "b"})).marshal()
    consumed, bare = read_bare_header(bytes_of + b"next")
    assert consumed == len(bytes_of)
    assert bare is not None
    assert (bare.channel_number, bare.body_size, bare.properties.type) == (3, 42, None)
    assert read_bare_header(frame.Body(3, b"body").marshal()) == (0, None)
    with pytest.raises(InvalidFrameError):
        frame.decode_frame(b"\x01\x00\x00\x00\x00\x00\x00\x00")


def test_the_pause_before_connecting_again_grows_to_a_bound() -> None:
    """From half a second to 15, never the same for everybody."""
    assert FIRST_DELAY_S * 0.6 <= _delay_s(1) <= FIRST_DELAY_S
    assert LONGEST_DELAY_S * 0.6 <= _delay_s(50) <= LONGEST_DELAY_S
    assert len({_delay_s(3) for _ in range(10)}) > 1

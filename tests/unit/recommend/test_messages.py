"""Messages survive the wire, and whatever bytes come instead are a ProtocolError and nothing else."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.errors import ProtocolError
from dnai.recommend.messages import (
    MAX_COORDINATE,
    MAX_DIMENSIONS,
    MAX_DISTANCE,
    MAX_MESSAGE_BYTES,
    MESSAGE_TYPES,
    PROTOCOL_VERSION,
    Decline,
    Goodbye,
    Hello,
    Message,
    Offer,
    Request,
    Who,
    decode,
    encode,
    type_name,
)
from dnai.tracks import Genre
from tests.unit.recommend.conftest import made_offer, provider_id

ALPHABET = "ABCxyz012_-"
tokens = st.text(ALPHABET, min_size=16, max_size=64)
spaces = st.text(ALPHABET + ".", min_size=1, max_size=64)
labels = st.text(max_size=200)
coordinates = st.floats(-MAX_COORDINATE, MAX_COORDINATE)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        Request,
        genre=st.sampled_from(Genre),
        vectors=st.dictionaries(spaces, st.lists(coordinates, min_size=1, max_size=40), min_size=1, max_size=8),
    ),
    st.builds(
        Offer,
        provider_id=tokens,
        name=labels,
        space_id=spaces,
        model_id=spaces,
        mean_distance=st.floats(0, MAX_DISTANCE),
        tracks=st.integers(1, 10_000_000),
        host=st.sampled_from(["127.0.0.1", "::1", "music.example"]),
        port=st.integers(1, 65535),
        ticket=tokens,
    ),
    st.builds(Decline, provider_id=tokens, name=labels, reason=st.sampled_from(["no_tracks", "busy"])),
    st.builds(Hello, provider_id=tokens, name=labels, tracks=st.integers(0, 10_000_000)),
    st.builds(Goodbye, provider_id=tokens),
    st.just(Who()),
)
types = st.sampled_from([*MESSAGE_TYPES])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
json_values = st.recursive(
    leaves, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=9), v, max_size=4)
)


def check_bounds(message: Message) -> None:
    """What whoever receives a message relies on."""
    if isinstance(message, Offer):
        assert 0 <= message.mean_distance <= MAX_DISTANCE
        assert 1 <= message.port <= 65535
        assert not set(message.host + message.ticket + message.provider_id) & set("\n\r/@ ")
    if isinstance(message, Request):
        assert all(abs(x) <= MAX_COORDINATE for vector in message.vectors.values() for x in vector)


@given(messages)
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    """Names of any characters and all numbers included."""
    assert decode(encode(message), message_type=type_name(message), version=PROTOCOL_VERSION) == message


@given(st.permutations(["musicnn200-b", "librosa26-a", "0", "z", "A"]))
def test_the_order_of_the_spaces_survives_the_wire(order: list[str]) -> None:
    """It is the asker's preference, in whatever order the names would sort."""
    request = Request(Genre.JAZZ, {space_id: [0.5] for space_id in order})
    received = decode(encode(request), message_type="dnai.request", version=PROTOCOL_VERSION)
    assert isinstance(received, Request)
    assert list(received.vectors) == order


@given(st.binary(max_size=300), types)
def test_any_bytes_are_a_message_or_a_protocol_error(body: bytes, message_type: str) -> None:
    """Never another exception, which would end whoever reads."""
    with contextlib.suppress(ProtocolError):
        check_bounds(decode(body, message_type=message_type, version=PROTOCOL_VERSION))


@given(json_values, types)
def test_any_json_is_a_message_or_a_protocol_error(value: object, message_type: str) -> None:
    """NaN and infinities as Python writes them included."""
    with contextlib.suppress(ProtocolError):
        check_bounds(decode(json.dumps(value).encode(), message_type=message_type, version=PROTOCOL_VERSION))


@given(messages, st.data())
def test_a_message_with_one_field_replaced_is_one_or_a_protocol_error(message: Message, data: st.DataObject) -> None:
    """The kind of mistake, or of attack, that gets furthest."""
    fields: dict[str, Any] = json.loads(encode(message))
    if fields:
        fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(json_values)
    with contextlib.suppress(ProtocolError):
        body = json.dumps(fields).encode()
        check_bounds(decode(body, message_type=type_name(message), version=PROTOCOL_VERSION))


@given(messages, st.integers(0, 400), st.integers(0, 255))
def test_a_message_with_one_byte_changed_is_one_or_a_protocol_error(message: Message, place: int, byte: int) -> None:
    """As on a bad line."""
    body = bytearray(encode(message))
    body[place % len(body)] = byte
    with contextlib.suppress(ProtocolError):
        check_bounds(decode(bytes(body), message_type=type_name(message), version=PROTOCOL_VERSION))


def refused(body: bytes, message_type: str) -> str:
    with pytest.raises(ProtocolError) as raised:
        decode(body, message_type=message_type, version=PROTOCOL_VERSION)
    assert len(str(raised.value)) < 500
    return str(raised.value)


@pytest.mark.parametrize(
    "vector",
    [
        *("[NaN]", "[Infinity]", "[1e999]", "[-1e999]", "[1e7]", "[1.7e308,1.7e308]", f"[{10**400}]"),
        *("[]", "[null]", "[[1]]", "1", '["1"]', str([0.0] * (MAX_DIMENSIONS + 1))),
    ],
)
def test_vectors_that_are_no_vectors_are_refused(vector: str) -> None:
    """Not finite, too large, overflowing in sum, of wrong types, empty, too long."""
    refused(f'{{"genre": "jazz", "vectors": {{"a": {vector}}}}}'.encode(), "dnai.request")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\\n", "é", "x" * 65])
def test_names_of_spaces_are_bounded(name: str) -> None:
    """They are shown and logged: no white space, not even at the end."""
    refused(f'{{"genre": "jazz", "vectors": {{"{name}": [1]}}}}'.encode(), "dnai.request")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mean_distance", -0.001),
        ("mean_distance", math.nan),
        ("mean_distance", math.inf),
        ("mean_distance", 1e300),
        ("mean_distance", None),
        ("mean_distance", "1"),
        ("tracks", 0),
        ("tracks", 10**30),
        ("tracks", 1.5),
        ("tracks", True),
        ("host", ""),
        ("host", "127.0.0.1\n"),
        ("host", "http://evil/"),
        ("host", "a b"),
        ("host", "x" * 254),
        ("port", 0),
        ("port", 65536),
        ("ticket", "short"),
        ("ticket", "0123456789abcdef\n"),
        ("ticket", "x" * 65),
        ("provider_id", "../../../etc/passwd"),
        ("name", "x" * 201),
        ("space_id", "space\n"),
    ],
)
def test_offers_out_of_bounds_are_refused(field: str, value: object) -> None:
    """One field at a time."""
    fields = json.loads(encode(made_offer("bob")))
    refused(json.dumps(fields | {field: value}).encode(), "dnai.offer")


@pytest.mark.parametrize("field", ["provider_id", "mean_distance", "host", "ticket"])
def test_offers_that_lack_something_are_refused(field: str) -> None:
    """Nothing is assumed."""
    fields = json.loads(encode(made_offer("bob")))
    del fields[field]
    assert field in refused(json.dumps(fields).encode(), "dnai.offer")


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b"\xff\xfe", b"[" * 60_000, b'{"a":' * 10_000, b'{"provider_id": "\\ud800"}', b"{}", b"null", b"1"],
    ids=range(9),
)
def test_bytes_that_are_no_message_are_refused(body: bytes) -> None:
    """Nothing, no text, deep nesting, half a surrogate pair, other JSON."""
    refused(body, "dnai.goodbye")


def test_ten_megabytes_are_refused_unread() -> None:
    """By their length."""
    body = b'{"provider_id": "' + b"x" * 10_000_000 + b'"}'
    assert refused(body, "dnai.goodbye") == f"message of {len(body)} bytes; at most {MAX_MESSAGE_BYTES} are read"


@pytest.mark.parametrize("message_type", [None, "", "dnai.other", "x" * 100_000])
def test_an_unknown_type_is_refused(message_type: str | None) -> None:
    """And named, but not at any length."""
    with pytest.raises(ProtocolError, match="unknown type") as raised:
        decode(b"{}", message_type=message_type, version=PROTOCOL_VERSION)
    assert len(str(raised.value)) < 100


@pytest.mark.parametrize("version", [None, 0, 2, "1", True, b"1", [1], "x" * 100_000])
def test_another_version_is_refused(version: object) -> None:
    """Also one that only looks like ours."""
    with pytest.raises(ProtocolError, match="version") as raised:
        decode(b"{}", message_type="dnai.who", version=version)
    assert len(str(raised.value)) < 120


def test_fields_that_a_later_version_adds_do_no_harm() -> None:
    """Members of a circle need not all update on one day."""
    body = json.dumps({"provider_id": provider_id("bob"), "mood": "sunny"}).encode()
    assert decode(body, message_type="dnai.goodbye", version=PROTOCOL_VERSION) == Goodbye(provider_id("bob"))

"""Whatever arrives is a valid payload or a ProtocolError, and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.errors import ProtocolError
from dnai.stream import payloads
from dnai.tracks import Playlist, Track

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ID = "a" * 16


def entry(**changes: object) -> dict[str, object]:
    return {
        "id": ID,
        "title": "So What",
        "artist": "Miles",
        "album": "",
        "genre": "jazz",
        "distance": 0.5,
        "duration_s": 300,
        "audio_type": "mp3",
        "size_bytes": 1000,
    } | changes


def playlist(*entries: object) -> dict[str, object]:
    return {"session": "s" * 24, "secret": "t" * 32, "tracks": list(entries)}


def test_round_trip(make_track: Callable[..., Track]) -> None:
    """A playlist arrives as it was sent, without the path."""
    track: Track = make_track(title="A\u202eB\x1b[31m")
    sent = payloads.welcome("s" * 24, "t" * 32, [(ID, track, 0.25)])
    on_wire = json.dumps(sent)
    assert str(track.path.parent.name) not in on_wire
    assert track.path.name not in on_wire
    details, received = payloads.parse_welcome(json.loads(on_wire))
    assert (details.session, details.secret) == ("s" * 24, "t" * 32)
    [only] = received.entries
    assert (only.track_id, only.distance, only.size_bytes) == (ID, 0.25, track.size_bytes)
    assert only.title == "AB[31m"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "short"},
        {"id": "../../etc/passwd!"},
        {"id": ID + "\n"},
        {"title": 7},
        {"title": "x" * 1001},
        {"genre": "polka"},
        {"distance": -0.1},
        {"distance": math.nan},
        {"distance": math.inf},
        {"distance": 1e300},
        {"duration_s": -1},
        {"duration_s": math.nan},
        {"duration_s": math.inf},
        {"duration_s": 1e9},
        {"audio_type": "text/html"},
        {"audio_type": "exe"},
        {"size_bytes": 0},
        {"size_bytes": -5},
        {"size_bytes": 4 * 1024**3 + 1},
        {"size_bytes": 1.5},
        {"size_bytes": True},
        {"size_bytes": "1000"},
    ],
)
def test_bad_entry(changes: dict[str, object]) -> None:
    """One bad field of one track makes the playlist a broken promise."""
    payloads.parse_welcome(playlist(entry()))
    with pytest.raises(ProtocolError):
        payloads.parse_welcome(playlist(entry(**changes)))


def test_bad_playlists() -> None:
    """No tracks, too many, the same id twice, or no way to resume: not a playlist."""
    many = [entry(id=f"{number:016d}") for number in range(26)]
    payloads.parse_welcome(playlist(*many[:25]))
    for bad in (playlist(), playlist(*many), playlist(entry(), entry()), {**playlist(entry()), "secret": "x"}):
        with pytest.raises(ProtocolError):
            payloads.parse_welcome(bad)


def test_texts_are_cleaned() -> None:
    """Control and direction characters go, long texts are cut, an empty title is named."""
    _, received = payloads.parse_welcome(playlist(entry(title="\u202e\x00", artist="<b>\x1b]0;x\x07", album="y" * 900)))
    [only] = received.entries
    assert only.title == "untitled"
    assert only.artist == "<b>]0;x"
    assert len(only.album) == 200


@given(JSON)
def test_hostile_playlists(payload: object) -> None:
    """Any JSON is a playlist or a ProtocolError."""
    try:
        _, received = payloads.parse_welcome(payload)
    except ProtocolError:
        return
    assert isinstance(received, Playlist)


@given(st.dictionaries(st.sampled_from(sorted(entry())), JSON))
def test_hostile_entries(changes: dict[str, object]) -> None:
    """A playlist that is almost right is right, or a ProtocolError."""
    try:
        _, received = payloads.parse_welcome(playlist(entry(**changes)))
    except ProtocolError:
        return
    [only] = received.entries
    assert math.isfinite(only.distance)
    assert 0 <= only.duration_s < 1e6
    assert 1 <= only.size_bytes <= payloads.MAX_FILE_BYTES


@given(JSON | st.fixed_dictionaries({"v": JSON, "ticket": JSON}) | st.fixed_dictionaries({"v": JSON, "session": JSON}))
def test_hostile_auth(payload: object) -> None:
    """Any JSON is something to show at the door or a ProtocolError."""
    try:
        shown = payloads.parse_auth(payload)
    except ProtocolError:
        return
    assert shown.v == payloads.STREAM_VERSION


@given(JSON | st.fixed_dictionaries({"track": JSON, "offset": JSON, "length": JSON}))
def test_hostile_reads(payload: object) -> None:
    """Any JSON is a bounded read or a ProtocolError."""
    try:
        request = payloads.parse(payload, payloads.ReadRequest)
    except ProtocolError:
        return
    assert 0 <= request.offset <= payloads.MAX_FILE_BYTES
    assert 1 <= request.length <= payloads.PIECE_BYTES


def test_protocol_errors_do_not_repeat_secrets() -> None:
    """What is wrong is said without the value."""
    with pytest.raises(ProtocolError) as caught:
        payloads.parse_auth({"v": 1, "ticket": "hush-hush!" * 3})
    assert "hush" not in str(caught.value)


@given(JSON)
def test_refusal_code_of_anything(payload: object) -> None:
    """The reason in a refusal is a text, whatever came."""
    assert isinstance(payloads.refusal_code(payload), str)

"""Packets are what the other side may send, or garbage that ends the connection."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio import packet

from dnai.stream.packets import GARBAGE_EVENT, ClientSidePacket, ServerSidePacket, discreet_logger


def is_garbage(parsed: packet.Packet) -> bool:
    return bool(parsed.data == [GARBAGE_EVENT] and parsed.packet_type == packet.EVENT and parsed.id is None)


@pytest.mark.parametrize(
    "text",
    ["2", "2[]", "2[1]", "2[[]]", '2["connect",{}]', '2["disconnect"]', '2["read",1,2]', '2/x,["read"]', "2{}",
     "2null", '25["garbage"]', "3[]", "51-[]", "0[]", "9", "2" + "[" * 20_000, "0" + '{"a":' * 9_000, "2\u0664[]",
     '519999999999-["read"]', "4{}"],
)  # fmt: skip
def test_server_takes_no_garbage(text: str) -> None:
    """What no listener sends is never handed on as an event of its own name."""
    assert is_garbage(ServerSidePacket(encoded_packet=text))


def test_server_takes_calls() -> None:
    """A call arrives with its number and its argument."""
    parsed = ServerSidePacket(encoded_packet='27["read",{"track":"x"}]')
    assert (parsed.packet_type, parsed.id, parsed.data) == (packet.EVENT, 7, ["read", {"track": "x"}])
    assert ServerSidePacket(encoded_packet='0{"v":1}').data == {"v": 1}


@pytest.mark.parametrize(
    "text",
    ['2["playlist"]', "0[]", "0", "3{}", "3", "3[1,2]", "52-[]", '51-0["x"]', "63-[]",
     '62-0[{"_placeholder":true,"num":0}]',
     '61-0[{"_placeholder":true,"num":7}]', '61-0[[{"_placeholder":true,"num":0}]]', "3" + "[" * 20_000, "/"],
)  # fmt: skip
def test_client_takes_no_garbage(text: str) -> None:
    """Events, odd attachments and odd answers of a server are garbage."""
    assert is_garbage(ClientSidePacket(encoded_packet=text))


def test_client_takes_answers() -> None:
    """Answers, with bytes and without, arrive."""
    assert ClientSidePacket(encoded_packet='35[{"error":"gone"}]').data == [{"error": "gone"}]
    with_bytes = ClientSidePacket(encoded_packet='61-3[{"_placeholder":true,"num":0}]')
    assert with_bytes.add_attachment(b"abc")
    assert (with_bytes.id, with_bytes.data) == (3, [b"abc"])


@given(st.text(min_size=1), st.sampled_from([ServerSidePacket, ClientSidePacket]))
def test_any_text_is_a_packet(text: str, kind: type[Any]) -> None:
    """No text makes the parser raise, or wait for more than one attachment."""
    parsed = kind(encoded_packet=text)
    assert parsed.attachment_count <= 1


def test_library_lines_with_data_are_kept_back(caplog: pytest.LogCaptureFixture) -> None:
    """The libraries' information lines are dropped, and their errors come without a traceback."""
    logger = discreet_logger("dnai.test.discreet")
    logger.setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    logger.info("received %s", "hush")
    logger.warning("received %s", "hush")
    try:
        int("hush")
    except ValueError:
        logger.exception("handler %s", "failed")
    assert [record.getMessage() for record in caplog.records] == ["handler failed (ValueError)"]
    assert "hush" not in caplog.text

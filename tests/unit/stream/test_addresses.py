"""An offer cannot point a listener's machine where it likes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.errors import PeerUnreachableError
from dnai.stream.addresses import AddressRule, allowed_addresses

ANYWHERE = AddressRule(loopback_allowed=True)

NEVER = [
    "169.254.169.254",
    "fe80::1",
    "fe80::1%lo",
    "fe80::1%25eth0",
    "fd00::1%1",
    "224.0.0.1",
    "239.255.255.250",
    "ff02::1",
    "0.0.0.0",  # noqa: S104  # nothing is bound here
    "0.1.2.3",
    "::",
    "255.255.255.255",
    "240.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:192.168.1.5",
    "::127.0.0.1",
    "::ffff:0:7f00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2a00::5efe:7f00:1",
    "fd00::200:5efe:7f00:1",
    "fec0::1",
]


@pytest.mark.parametrize("text", NEVER)
def test_never_allowed(text: str) -> None:
    """Link-local, multicast, unspecified and reserved ones, and disguised IPv4, whatever is set."""
    address = ipaddress.ip_address(text)
    everything = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    assert ANYWHERE.refusal(address)
    assert AddressRule(loopback_allowed=True, networks=everything).refusal(address)


@pytest.mark.parametrize("text", ["192.168.1.20", "10.0.0.1", "100.64.0.7", "8.8.8.8", "2a00::1", "fd7a:115c::1"])
def test_ordinary_addresses_are_allowed(text: str) -> None:
    """Home networks, private networks and the internet are connected to."""
    assert AddressRule().refusal(ipaddress.ip_address(text)) is None


@pytest.mark.parametrize("text", ["127.0.0.1", "127.8.9.10", "::1"])
def test_loopback_only_with_the_broker_there(text: str) -> None:
    """The listener's own services are out of reach unless the circle is on this machine."""
    address = ipaddress.ip_address(text)
    assert "this machine" in (AddressRule().refusal(address) or "")
    assert ANYWHERE.refusal(address) is None


def test_networks_narrow() -> None:
    """With networks set, nothing outside them is connected to, loopback included."""
    rule = AddressRule(loopback_allowed=True, networks=(ipaddress.ip_network("10.1.0.0/16"),))
    assert rule.refusal(ipaddress.ip_address("10.1.2.3")) is None
    for text in ("10.2.0.1", "127.0.0.1", "fd00::1"):
        assert "peer_networks" in (rule.refusal(ipaddress.ip_address(text)) or "")


@given(st.ip_addresses())
def test_no_allowed_address_is_a_special_one(address: Any) -> None:
    """Whatever passes without loopback is neither special nor a disguise."""
    if AddressRule().refusal(address) is None:
        kinds = ("loopback", "link_local", "multicast", "unspecified", "reserved")
        assert not [kind for kind in kinds if getattr(address, f"is_{kind}")]
        assert getattr(address, "ipv4_mapped", None) is None
        assert getattr(address, "sixtofour", None) is None


def test_a_name_is_checked_by_its_number() -> None:
    """A name for loopback is no way around the rule, and the answer is a number."""
    with pytest.raises(PeerUnreachableError, match="localhost:80 is not connected to, because its address is not"):
        asyncio.run(allowed_addresses("localhost", 80, AddressRule()))
    numbers = asyncio.run(allowed_addresses("localhost", 80, ANYWHERE))
    assert numbers
    assert all(number.is_loopback for number in numbers)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "017700000001"])
def test_odd_spellings_of_loopback(host: str) -> None:
    """Spellings that only the resolver understands are checked like the address they mean."""
    with pytest.raises(PeerUnreachableError):
        asyncio.run(allowed_addresses(host, 80, AddressRule()))


def test_only_the_allowed_ones_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name with several addresses, those that the rule forbids are left out."""
    answers = ["169.254.1.1", "192.168.1.7", "192.168.1.7", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, 80)) for answer in answers]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    numbers = asyncio.run(allowed_addresses("peer.example", 80, AddressRule()))
    assert [str(number) for number in numbers] == ["192.168.1.7", "10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 300, ".", "é" * 70])
def test_unknown_names(host: str) -> None:
    """A name that cannot be resolved is an unreachable peer."""
    with pytest.raises(PeerUnreachableError):
        asyncio.run(asyncio.wait_for(allowed_addresses(host, 80, ANYWHERE), 10))

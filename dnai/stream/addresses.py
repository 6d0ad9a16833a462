"""Which addresses a listener's machine may be sent to by somebody else's offer.

An offer names a host and a port, and the listener's machine connects there. So a malicious offer
must not be able to point it at the listener's own services, at a router's or a cloud's link-local
ones, or at a whole network at once. Host names are resolved here, once: what has been checked is a
number, and the connection goes to that number.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from dataclasses import dataclass

from dnai.errors import PeerUnreachableError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_ADDRESSES = 3
"""How many of a host name's addresses are tried."""

_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")  # Linux takes 0.0.0.0 for itself

# An IPv4 address in IPv6 clothing would pass the rules for IPv6 and arrive at the IPv4 address.
_EMBEDDING = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local use
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
    )
)
_ISATAP_MARK = 0x5EFE


@dataclass(frozen=True, slots=True)
class AddressRule:
    """What addresses of peers are connected to.

    `loopback_allowed` is for a circle whose broker is on loopback, too; `networks`, where there are
    any, are the only ones allowed, loopback included.
    """

    loopback_allowed: bool = False
    networks: tuple[IPNetwork, ...] = ()

    def refusal(self, address: IPAddress) -> str | None:
        """Return why `address` is not connected to, or None where it may be."""
        reason = _never(address)
        if reason is None and address.is_loopback and not self.loopback_allowed:
            reason = "it is this machine itself, and the broker is not on this machine"
        if reason is None and self.networks and not any(address in network for network in self.networks):
            reason = "it is in none of the networks that peer_networks names"
        return reason


def _never(address: IPAddress) -> str | None:
    """Say why no setting allows `address`; None where one may."""
    if address.is_loopback:
        return None  # ::1 lies in a reserved range, so it is looked at first
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "it has a scope id"
        if address.is_unspecified:
            return "it is the unspecified address"
        if _embeds_ipv4(address):
            return "it hides an IPv4 address"
        if address.is_site_local:
            return "it is a site-local address"
    elif address in _THIS_NETWORK:
        return "it is the unspecified address"
    kinds = {"link-local": address.is_link_local, "multicast": address.is_multicast, "reserved": address.is_reserved}
    kind = next((name for name, applies in kinds.items() if applies), None)
    return kind and f"it is a {kind} address"


def _embeds_ipv4(address: ipaddress.IPv6Address) -> bool:
    is_isatap = (int(address) >> 32) & 0xFFFF == _ISATAP_MARK and (int(address) >> 48) & 0xFDFF == 0
    return is_isatap or any(address in network for network in _EMBEDDING)


async def allowed_addresses(host: str, port: int, rule: AddressRule) -> tuple[IPAddress, ...]:
    """Return the addresses of `host` that `rule` allows, in the resolver's order, at most `MAX_ADDRESSES`.

    The caller bounds the time: a name server that does not answer holds up nothing but this call.

    Raises
    ------
    PeerUnreachableError
        When the name is unknown, or none of its addresses is allowed.
    """
    found = await _resolve(host, port)
    refusals = {address: rule.refusal(address) for address in found}
    allowed = tuple(address for address in found if refusals[address] is None)
    if not allowed:
        reasons = "; ".join(f"{address}: {reason}" for address, reason in list(refusals.items())[:MAX_ADDRESSES])
        raise PeerUnreachableError(f"{host}:{port} is not connected to, because its address is not allowed ({reasons})")
    return allowed[:MAX_ADDRESSES]


async def _resolve(host: str, port: int) -> tuple[IPAddress, ...]:
    try:
        return (ipaddress.ip_address(host),)
    except ValueError:
        pass  # a name
    try:
        answers = await _look_up(host, port)
    except (OSError, UnicodeError) as error:
        raise PeerUnreachableError(f"the name {host!r} of a provider is not known here: {error}") from error
    # A sockaddr of IPv6 may carry a scope beside the address; such addresses are link-local ones.
    return tuple(dict.fromkeys(ipaddress.ip_address(answer) for answer in answers))


async def _look_up(host: str, port: int) -> list[str]:
    """Ask the system's resolver in a thread that nobody has to wait for."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[list[str]] = loop.create_future()

    def deliver(answers: list[str] | None, error: Exception | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(answers or [])

    def ask() -> None:
        answers: list[str] | None = None
        problem: Exception | None = None
        try:
            answers = [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, answers, problem)

    # A daemon, not the loop's executor: an executor is waited for at the end of the process.
    threading.Thread(target=ask, name="dnai-resolve", daemon=True).start()
    return await outcome

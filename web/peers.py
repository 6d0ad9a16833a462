"""Which addresses of peers this listener's machine may be sent to."""

from __future__ import annotations

from urllib.parse import urlsplit

from dnai.config import Settings, is_loopback_host
from dnai.stream.addresses import AddressRule


def address_rule(settings: Settings) -> AddressRule:
    """Return the rule that follows from the settings: loopback only beside a broker on loopback."""
    host = urlsplit(settings.broker_url).hostname if settings.broker else None
    return AddressRule(
        loopback_allowed=host is not None and is_loopback_host(host), networks=tuple(settings.peer_networks)
    )

"""The members of a circle, as RabbitMQ definitions: users, rights and exchanges.

This is the one place that knows what a member may do. `dnai member`, private nodes, the compose file
and the tests all get it from here. A member may make, write and read queues of its own name, write and
read the three exchanges, and bind no other reply key than its own. A tap member may read the
firehose, and nothing else.

Definitions only ever add or replace what they name: importing one member leaves the others alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dnai.broker.topology import EXCHANGE_TYPES, OFFERS, PRESENCE, REQUESTS, TAP_QUEUE_PREFIX, TRACE, TRACE_KEYS
from dnai.errors import UsageError

DEFAULT_VHOST = "dnai"
MAX_NAME_CHARS = 64

Definitions = dict[str, Any]
"""RabbitMQ's own JSON form, as ``rabbitmqctl import_definitions`` and the management API take it."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SALT_BYTES = 4
# "dnai" and "amq" would give rights over the exchanges themselves; the others are operators, whom an
# import would take the password and the administrator's rights from.
_RESERVED_NAMES = frozenset({"dnai", "amq", TAP_QUEUE_PREFIX, "guest", "admin", "administrator"})


@dataclass(frozen=True, slots=True)
class Member:
    """A broker user of one person, with the password in the clear, which only its owner needs.

    Raises
    ------
    UsageError
        When the name is not of letters, digits, ``_`` and ``-``, or the password is empty.
    """

    name: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        check_member_name(self.name)
        if not self.password:
            raise UsageError(f"the password of member {self.name} is empty; leave it out to have one made")


def new_member(name: str) -> Member:
    """Return a member of this name with a random password."""
    return Member(name, secrets.token_urlsafe(18))


def check_member_name(name: str) -> None:
    """Raise `UsageError` unless `name` can be a member's: it becomes part of queue names and of patterns."""
    if len(name) > MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} cannot be a member's name: use 1 to {MAX_NAME_CHARS} letters (a-z, A-Z), digits, _ and -, "
            "no dots and no spaces"
        )
    if name.lower() in _RESERVED_NAMES:
        raise UsageError(f"{name!r} cannot be a member's name: RabbitMQ, its operators or DN.ai use it themselves")


def definitions(members: Iterable[Member], *, vhost: str, tap_members: Iterable[Member] = ()) -> Definitions:
    """Return the definitions that make `vhost` a circle of these members, with its three exchanges.

    Parameters
    ----------
    members
        Those who ask and offer.
    vhost
        The virtual host; made where it is missing.
    tap_members
        Users for `dnai tap`.

    Raises
    ------
    UsageError
        When the same name is given twice.
    """
    members, tap_members = tuple(members), tuple(tap_members)
    names = [member.name for member in (*members, *tap_members)]
    if len(set(names)) != len(names):
        raise UsageError(f"each member needs a name of their own: {', '.join(sorted(names))}")
    topic_permissions = [_topic_permission(member.name, vhost) for member in members]
    topic_permissions += [_tap_topic_permission(member.name, vhost) for member in tap_members]
    return {
        "vhosts": [{"name": vhost}],
        "users": [_user(member) for member in (*members, *tap_members)],
        "permissions": [
            *(_permission(member.name, vhost) for member in members),
            *(_tap_permission(member.name, vhost) for member in tap_members),
        ],
        "topic_permissions": topic_permissions,
        "exchanges": [_exchange(name, kind, vhost) for name, kind in EXCHANGE_TYPES.items()],
    }


def hash_password(password: str, *, salt: bytes | None = None) -> str:
    """Return RabbitMQ's salted SHA-256 hash: ``base64(salt + sha256(salt + password))``, a salt of 4 bytes.

    The form is that of RabbitMQ's "Credentials and Passwords" guide.
    """
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _user(member: Member) -> Definitions:
    return {
        "name": member.name,
        "password_hash": hash_password(member.password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "",
    }


def _permission(name: str, vhost: str) -> Definitions:
    own = rf"{re.escape(name)}\..*"
    shared = rf"dnai\.({'|'.join(exchange.removeprefix('dnai.') for exchange in (REQUESTS, OFFERS, PRESENCE))})"
    both = f"^({own}|{shared})$"
    return {"user": name, "vhost": vhost, "configure": f"^{own}$", "write": both, "read": both}


def _topic_permission(name: str, vhost: str) -> Definitions:
    return {"user": name, "vhost": vhost, "exchange": OFFERS, "write": ".*", "read": rf"^{re.escape(name)}\..*"}


def _tap_permission(name: str, vhost: str) -> Definitions:
    own = rf"{re.escape(TAP_QUEUE_PREFIX)}\..*"
    return {
        "user": name,
        "vhost": vhost,
        "configure": f"^{own}$",
        "write": f"^{own}$",
        "read": f"^({own}|{re.escape(TRACE)})$",
    }


def _tap_topic_permission(name: str, vhost: str) -> Definitions:
    keys = "|".join(re.escape(key) for key in TRACE_KEYS)
    return {"user": name, "vhost": vhost, "exchange": TRACE, "write": "^$", "read": f"^({keys})$"}


def _exchange(name: str, kind: str, vhost: str) -> Definitions:
    return {
        "name": name,
        "vhost": vhost,
        "type": kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }

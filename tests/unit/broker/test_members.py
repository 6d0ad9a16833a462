"""Members as RabbitMQ definitions."""

import base64
import hashlib
import json
import re

import pytest

from dnai.broker.members import MAX_NAME_CHARS, Member, definitions, hash_password, new_member
from dnai.errors import UsageError


def test_the_hash_is_the_one_of_rabbitmqs_documentation() -> None:
    """Salt first, then SHA-256 of salt and password; the guide's own example value."""
    assert hash_password("test12", salt=bytes.fromhex("908DC60A")) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def test_each_hash_has_a_salt_of_its_own() -> None:
    """Two hashes of one password differ, and both verify."""
    first, second = hash_password("secret"), hash_password("secret")
    assert first != second
    for value in (first, second):
        raw = base64.b64decode(value)
        assert raw[4:] == hashlib.sha256(raw[:4] + b"secret").digest()


def test_definitions_hold_no_password() -> None:
    """Neither does what is printed of a member."""
    member = Member("anna", "the-password")
    assert "the-password" not in json.dumps(definitions([member], vhost="c"))
    assert "the-password" not in repr(member)
    assert new_member("anna").password != new_member("anna").password


@pytest.mark.parametrize(
    ("resource", "configure", "use"),
    [
        ("anna.q", True, True),
        ("anna.", True, True),
        ("dnai.requests", False, True),
        ("dnai.offers", False, True),
        ("dnai.presence", False, True),
        ("dnai.requestsx", False, False),
        ("dnai-requests", False, False),
        ("bob.q", False, False),
        ("annabel.q", False, False),
        ("xanna.q", False, False),
        ("amq.default", False, False),
        ("amq.rabbitmq.trace", False, False),
        ("amq.topic", False, False),
    ],
)
def test_the_patterns_of_a_member(resource: str, configure: bool, use: bool) -> None:
    """What a member may make, and what a member may read and write."""
    (rights,) = definitions([Member("anna", "p")], vhost="c")["permissions"]
    assert bool(re.search(rights["configure"], resource)) is configure
    assert bool(re.search(rights["read"], resource)) is use
    assert bool(re.search(rights["write"], resource)) is use


def test_a_name_cannot_break_out_of_its_pattern() -> None:
    """A dash or an underscore stands for itself."""
    (rights,) = definitions([Member("a-b_c", "p")], vhost="c")["permissions"]
    assert re.search(rights["configure"], "a-b_c.q")
    assert not re.search(rights["configure"], "aab_c.q")


@pytest.mark.parametrize(
    "name", ["", "a.b", "a b", "ä", "a\n", "a*", "^", "a|b", "x" * (MAX_NAME_CHARS + 1), "amq", "DNAI"]
)
def test_names_that_cannot_be(name: str) -> None:
    """Dots, spaces, patterns, and what RabbitMQ and the circle call their own."""
    with pytest.raises(UsageError, match="cannot be a member's name"):
        Member(name, "p")


def test_a_name_is_given_once() -> None:
    """A tap user cannot be a member too: one would overwrite the other's rights."""
    with pytest.raises(UsageError, match="name of their own: anna, anna"):
        definitions([Member("anna", "p")], vhost="c", tap_members=[Member("anna", "q")])

"""dnai member: what it prints, and what that does on a real broker."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import pytest
from click.testing import CliRunner, Result

from dnai.broker.connection import connect
from dnai.broker.private_node import PrivateNode
from dnai.broker.scatter import Scatter
from dnai.broker.tap import Tap
from dnai.cli.member import member_command
from dnai.errors import BrokerError, BrokerRefusedError, BrokerUnreachableError, UsageError

if TYPE_CHECKING:
    from tests.conftest import Circle


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(member_command, list(arguments), catch_exceptions=True)


def _at(circle: Circle, url: str) -> str:
    """The printed URL, with the real address of the test's broker."""
    parts = urlsplit(url)
    return circle.broker.url(unquote(parts.username or ""), unquote(parts.password or ""), unquote(parts.path[1:]))


def test_over_the_management_api_the_new_member_can_connect_at_once(circle: Circle) -> None:
    """--management applies it; the URL that is printed works; the others' still do."""
    with Scatter(circle.url("anna")) as scatter:
        result = _run("frida", "--vhost", circle.vhost, "--management", circle.broker.management_url)
        assert result.exit_code == 0, result.output
        url = result.stdout.splitlines()[-1]
        with Scatter(_at(circle, url)) as other:
            assert other.who() == ()
        assert scatter.who() == ()


def test_a_tap_user_is_made_with_tap(circle: Circle) -> None:
    """--tap makes one who may read the firehose, and is no member."""
    result = _run("watcher", "--tap", "--vhost", circle.vhost, "--management", circle.broker.management_url)
    url = _at(circle, result.stdout.splitlines()[-1])
    with Tap(url) as tap:
        assert tap.read(timeout_s=0.01) is None
    with pytest.raises(BrokerError):
        Scatter(url).start()


def test_a_second_call_gives_a_new_password(circle: Circle) -> None:
    """The old password is good no more."""
    options = ("--vhost", circle.vhost, "--management", circle.broker.management_url)
    first = _at(circle, _run("frida", *options).stdout.splitlines()[-1])
    second = _at(circle, _run("frida", *options).stdout.splitlines()[-1])
    connect(second).close()
    with pytest.raises(BrokerRefusedError):
        connect(first)


@pytest.mark.usefixtures("installed_rabbitmq")
def test_definitions_go_through_rabbitmqctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--definitions on rabbitmqctl's stdin, the printed commands, and --apply, each make a member who can connect."""
    with PrivateNode(home=tmp_path / "node") as node:
        piped = _run("anna", "--password", "p&ss/wörd", "--definitions")
        assert json.loads(piped.stdout)["users"][0]["name"] == "anna"
        assert "amqp://anna:p%26ss%2Fw%C3%B6rd@127.0.0.1:5672/dnai" in piped.stderr
        node.rabbitmqctl("import_definitions", stdin=piped.stdout)
        connect(node.url("anna", "p&ss/wörd", "dnai")).close()

        printed = _run("bob", "--password", "b").stdout
        found = re.search(r"^rabbitmqctl import_definitions <<'END'\n(.*)\nEND$", printed, re.MULTILINE)
        assert found is not None
        node.rabbitmqctl("import_definitions", stdin=found[1])
        connect(node.url("bob", "b", "dnai")).close()

        program = tmp_path / "bin" / "rabbitmqctl"
        program.parent.mkdir()
        lines = (f"export {name}={_shell_quoted(value)}" for name, value in node.environment.items())
        program.write_text("\n".join(["#!/bin/sh", *lines, f'exec {_rabbitmqctl()} "$@"']) + "\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        applied = _run("carl", "--password", "c", "--apply")
        assert applied.exit_code == 0, applied.output
        connect(node.url("carl", "c", "dnai")).close()
        connect(node.url("anna", "p&ss/wörd", "dnai")).close()


def _shell_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _rabbitmqctl() -> Path:
    return Path("/usr/lib/rabbitmq/bin/rabbitmqctl")


def test_the_url_has_host_port_and_tls() -> None:
    """--host and --tls are for the members' way to the broker."""
    assert (
        "\namqps://anna:p@music.example:5671/dnai\n"
        in _run("anna", "--password", "p", "--host", "music.example", "--tls").stdout
    )
    assert (
        "\namqp://anna:p@[2001:db8::1]:5673/dnai\n"
        in _run("anna", "--password", "p", "--host", "[2001:db8::1]:5673").stdout
    )
    assert quote("my circle") in _run("anna", "--password", "p", "--vhost", "my circle").stdout


@pytest.mark.parametrize("name", ["anna.b", "", "anna b", "änna", "a" * 65, "dnai", "amq", "guest", "Administrator"])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    """A name becomes part of patterns and queue names; some would give rights over the exchanges."""
    result = _run("--definitions", "--", name)
    assert isinstance(result.exception, UsageError)
    assert "cannot be a member's name" in str(result.exception)


def test_mistakes_in_the_options_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ways at once, a bad address, a bad URL, an empty password, no rabbitmqctl, nobody there."""
    assert "one of" in str(_run("anna", "--apply", "--definitions").exception)
    assert "--host" in str(_run("anna", "--host", "a b").exception)
    assert "http://USER" in str(_run("anna", "--management", "file:///etc/passwd").exception)
    assert "empty" in str(_run("anna", "--password", "").exception)
    refused = _run("anna", "--management", "http://a:b@127.0.0.1:1").exception
    assert isinstance(refused, BrokerUnreachableError)
    assert "a:b" not in str(refused)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    monkeypatch.setattr("dnai.broker.administration._SYSTEM_DIRS", "/nowhere")
    assert "no rabbitmqctl" in str(_run("anna", "--apply").exception)


def test_a_wrong_administrator_is_told(circle: Circle) -> None:
    """The management API's refusal is not a lost connection."""
    parts = urlsplit(circle.broker.management_url)
    result = _run("frida", "--management", f"http://administrator:wrong@{parts.hostname}:{parts.port}")
    assert isinstance(result.exception, BrokerRefusedError)
    assert "wrong" not in str(result.exception)

"""What goes wrong between a member and the broker, and what is said about it."""

from __future__ import annotations

import logging
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dnai.broker.connection import connect
from dnai.broker.consumer import OfferConsumer
from dnai.broker.members import Member, definitions
from dnai.broker.private_node import NodeTls, PrivateNode
from dnai.broker.scatter import Scatter
from dnai.broker.tap import Tap
from dnai.errors import (
    BrokerError,
    BrokerRefusedError,
    BrokerRightsError,
    BrokerUnreachableError,
    ConfigurationError,
)
from dnai.recommend.messages import Hello
from dnai.tracks import Genre

if TYPE_CHECKING:
    from tests.broker.conftest import MakeProvider, Parts, Publish, Vectors
    from tests.conftest import Circle, Eventually


def _message(error: pytest.ExceptionInfo[BrokerError], password: str) -> str:
    text = str(error.value)
    assert password not in text
    return text


def test_a_wrong_password_is_said_at_the_start(circle: Circle, make_provider: MakeProvider) -> None:
    """Requester and worker alike are told, with user and place, and end; the password is not shown."""
    url = circle.broker.url("anna", "wrong-password", circle.vhost)
    with pytest.raises(BrokerRefusedError) as error:
        Scatter(url).start(patient=True)
    text = _message(error, "wrong-password")
    assert "'anna'" in text
    assert circle.vhost in text
    assert "wrong password" in text
    with pytest.raises(BrokerRefusedError):
        OfferConsumer(url, provider=make_provider("anna", {})).start()


def test_an_unknown_virtual_host_is_told_from_a_wrong_password(circle: Circle) -> None:
    """The message speaks of the virtual host."""
    url = circle.broker.url("anna", circle.members["anna"].password, "no-such-circle")
    with pytest.raises(BrokerRefusedError, match=r"no-such-circle.*virtual host"):
        Scatter(url).start()


def test_a_virtual_host_of_others_is_refused(circle: Circle) -> None:
    """Being a member of one circle opens no other."""
    circle.apply(definitions([Member("frida", "pw")], vhost=circle.vhost))
    circle.broker.rabbitmqctl("clear_permissions", "-p", circle.vhost, "frida")
    with pytest.raises(BrokerRefusedError, match="virtual host"):
        Scatter(circle.broker.url("frida", "pw", circle.vhost)).start()


def test_missing_exchanges_are_named(circle: Circle) -> None:
    """Where the operator has not run dnai member, the missing exchange is named, and what to do."""
    wanted = {**definitions([circle.members["anna"]], vhost=circle.vhost), "exchanges": []}
    empty = f"{circle.vhost}-empty"
    circle.broker.rabbitmqctl("add_vhost", empty)
    try:
        wanted["vhosts"] = []
        wanted["permissions"] = [{**one, "vhost": empty} for one in wanted["permissions"]]
        wanted["topic_permissions"] = []
        circle.apply(wanted)
        with pytest.raises(BrokerRightsError, match=r"dnai\.requests.*dnai member"):
            Scatter(circle.broker.url("anna", circle.members["anna"].password, empty)).start(patient=True)
    finally:
        circle.broker.rabbitmqctl("delete_vhost", empty)


def test_missing_rights_are_named(circle: Circle, make_provider: MakeProvider) -> None:
    """A user who may connect but not read the exchanges is told which one."""
    circle.broker.rabbitmqctl("set_permissions", "-p", circle.vhost, "eve", r"^eve\..*", r"^eve\..*", r"^eve\..*")
    with pytest.raises(BrokerRightsError, match=r"'eve'.*dnai\.requests"):
        OfferConsumer(circle.url("eve"), provider=make_provider("eve", {})).start()


def test_a_member_who_may_not_read_the_firehose_is_told_what_to_do(circle: Circle) -> None:
    """The tap wants a user of its own."""
    with pytest.raises(BrokerRightsError, match="dnai member NAME --tap"):
        Tap(circle.url("anna")).start()


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("amqp://anna:pw@127.0.0.1:1/c", BrokerUnreachableError, r"nobody answers at 127\.0\.0\.1:1"),
        ("amqp://anna:pw@no-such-host.invalid/c", BrokerUnreachableError, "host name is not known"),
        ("http://anna:pw@127.0.0.1/c", ConfigurationError, "expected amqp://"),
        ("amqp://127.0.0.1/c", ConfigurationError, "expected amqp://"),
        ("amqp://anna:pw@127.0.0.1:port/c", ConfigurationError, "expected amqp://"),
        ("amqp://anna:pw@127.0.0.1/c?heartbeat=0", ConfigurationError, "options"),
    ],
)
def test_a_url_that_leads_nowhere(url: str, error: type[Exception], words: str) -> None:
    """Each mistake has its own words."""
    with pytest.raises(error, match=words):
        connect(url)


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port where something listens, says something that is not AMQP, and hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            peer.recv(8)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield int(server.getsockname()[1])
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_something_else_than_rabbitmq_is_recognised(mute_port: int) -> None:
    """It is no lost connection, but the wrong port."""
    with pytest.raises(BrokerError, match=str(mute_port)):
        connect(f"amqp://anna:pw@127.0.0.1:{mute_port}/c")
    with pytest.raises(BrokerUnreachableError, match="TLS"):
        connect(f"amqps://anna:pw@127.0.0.1:{mute_port}/c")


def test_all_come_back_after_a_restart_of_the_broker(
    circle: Circle,
    parts: Parts,
    make_provider: MakeProvider,
    publish: Publish,
    vectors: Vectors,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A request in the air fails at once; later ones say so; then requester and worker are back by themselves."""
    caplog.set_level(logging.INFO)
    worker = parts.worker(circle.url("bob"), make_provider("bob", {Genre.JAZZ: 1.0}))
    scatter = parts.scatter(circle.url("anna"), deadline_s=30.0)
    publish("carl", Hello(provider_id="c" * 16, name="Carl", tracks=3))
    eventually(lambda: len(scatter.who()) == 2, "the hellos")
    in_the_air = scatter.submit(Genre.JAZZ, vectors(0.0))
    circle.broker.stop_listening()
    try:
        with pytest.raises(BrokerError, match="given up"):
            in_the_air.result(timeout=10)
        eventually(lambda: not scatter.connected and not worker.connected, "both to see that the broker is gone")
        with pytest.raises(BrokerError, match=circle.vhost):
            scatter.submit(Genre.JAZZ, vectors(0.0)).result(timeout=0)
    finally:
        circle.broker.listen_again()
    eventually(lambda: scatter.connected and worker.connected, "both to be connected again", timeout_s=40)
    eventually(lambda: [one.name for one in scatter.who()] == ["bob"], "bob's hello")
    assert len(scatter.ask(Genre.JAZZ, vectors(0.0)).offers) == 1
    lines = [record.getMessage() for record in caplog.records if "trying again" in record.getMessage()]
    assert len([line for line in lines if line.startswith("dnai worker bob")]) == 1
    assert any("dnai worker bob: connected" in record.getMessage() for record in caplog.records)


@pytest.fixture
def authority(tmp_path: Path) -> NodeTls:
    """A certificate authority of the test's own, and a server certificate for localhost."""
    commands = [
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test-authority "
        "-keyout ca.key -out ca.pem",
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost "
        "-keyout server.key -out server.csr",
        "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names.txt "
        "-out server.pem",
    ]
    (tmp_path / "names.txt").write_text("subjectAltName=DNS:localhost\n")
    for command in commands:
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True, timeout=60)
    return NodeTls(tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "server.key")


@pytest.mark.usefixtures("installed_rabbitmq")
def test_amqps_checks_the_certificate_and_its_name(
    tmp_path: Path, authority: NodeTls, make_provider: MakeProvider, vectors: Vectors, eventually: Eventually
) -> None:
    """With the circle's own authority all works over TLS; without it, or under another name, nothing does."""
    members = [Member("anna", "pa ss/wörd"), Member("bob", "b")]
    wanted = definitions(members, vhost="circle/one")
    with PrivateNode(home=tmp_path / "node", definitions=wanted, tls=authority) as node:

        def url(member: Member, host: str) -> str:
            plain = node.url(member.name, member.password, "circle/one")
            return plain.replace("amqp://", "amqps://").replace(f"127.0.0.1:{node.port}", f"{host}:{node.tls_port}")

        anna, bob = (url(member, "localhost") for member in members)
        with pytest.raises(BrokerUnreachableError, match="certificate"):
            connect(anna)
        with pytest.raises(BrokerUnreachableError, match="certificate"):
            connect(url(members[0], "127.0.0.1"), ca_file=authority.ca_file)
        with pytest.raises(ConfigurationError, match=r"no-such\.pem"):
            connect(anna, ca_file=tmp_path / "no-such.pem")
        with pytest.raises(ConfigurationError, match=r"server\.key"):
            connect(anna, ca_file=authority.key_file)
        with pytest.raises(BrokerUnreachableError, match="TLS"):
            connect(anna.replace("amqps:", "amqp:"))
        with (
            OfferConsumer(bob, ca_file=authority.ca_file, provider=make_provider("bob", {Genre.JAZZ: 1.0})),
            Scatter(anna, ca_file=authority.ca_file) as scatter,
        ):
            eventually(lambda: len(scatter.who()) == 1, "bob's hello")
            assert len(scatter.ask(Genre.JAZZ, vectors(0.0)).offers) == 1

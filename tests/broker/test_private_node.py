"""A private node: on loopback only, nobody's guest, and nothing of it left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dnai.broker import node_home, private_node
from dnai.broker.connection import connect
from dnai.broker.members import Member, definitions
from dnai.broker.node_home import NodePorts
from dnai.broker.private_node import NodeTls, PrivateNode
from dnai.errors import BrokerError, BrokerRefusedError, BrokerUnreachableError

if TYPE_CHECKING:
    from tests.conftest import Eventually

pytestmark = pytest.mark.usefixtures("installed_rabbitmq")

CIRCLE = definitions([Member("anna", "pa")], vhost="circle")


def _descendants(pid: int) -> list[int]:
    """All processes below `pid`, from /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _is_alive(pid: int) -> bool:
    try:
        state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _listening(pids: list[int]) -> set[str]:
    """The addresses at which these processes listen, from ss."""
    lines = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, timeout=30).stdout.splitlines()
    return {line.split()[3] for line in lines if any(f"pid={pid}," in line for pid in pids)}


def test_a_node_serves_its_members_restarts_and_leaves_nothing(tmp_path: Path, eventually: Eventually) -> None:
    """Its whole life: also in a folder with a space in its name."""
    node = PrivateNode(home=tmp_path / "a home", definitions=CIRCLE, management=True)
    with node:
        url = node.url("anna", "pa", "circle")
        connect(url).close()
        with pytest.raises(BrokerRefusedError):
            connect(node.url("guest", "guest", "circle"))
        assert "guest" not in node.rabbitmqctl("list_users")
        pids = [pid for root in node.pids for pid in _descendants(root)]
        addresses = _listening(pids)
        assert len(addresses) >= 4
        assert {address.rpartition(":")[0] for address in addresses} <= {"127.0.0.1", "[::1]"}
        with pytest.raises(BrokerError, match="another private RabbitMQ node"):
            PrivateNode(home=tmp_path / "a home").start()
        port = node.port
        assert node.is_running
        node.stop_node()
        assert not node.is_running
        with pytest.raises(BrokerUnreachableError):
            connect(url)
        node.start_node()
        assert node.port == port
        connect(url).close()
        pids += [pid for root in node.pids for pid in _descendants(root)]
    eventually(lambda: not any(map(_is_alive, pids)), "all processes of the node to be gone", timeout_s=5)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    node.stop()


def test_a_home_can_be_used_again_with_other_definitions(tmp_path: Path) -> None:
    """Each start begins with the definitions it is given: an earlier password is not good any more."""
    with PrivateNode(home=tmp_path, definitions=CIRCLE) as node:
        connect(node.url("anna", "pa", "circle")).close()
    with PrivateNode(home=tmp_path, definitions=definitions([Member("anna", "pb")], vhost="circle")) as node:
        connect(node.url("anna", "pb", "circle")).close()
        with pytest.raises(BrokerRefusedError):
            connect(node.url("anna", "pa", "circle"))


def test_a_node_ends_with_the_process_that_started_it(tmp_path: Path, eventually: Eventually) -> None:
    """Even where that is killed and can end nothing itself."""
    program = (
        "import sys, time; from pathlib import Path; from dnai.broker.private_node import PrivateNode\n"
        "node = PrivateNode(home=Path(sys.argv[1])); node.start(); print(*node.pids, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        try:
            roots = [int(word) for word in owner.stdout.readline().split()]
            pids = [pid for root in roots for pid in _descendants(root)]
            assert len(pids) >= 2
            assert all(map(_is_alive, pids))
        finally:
            owner.send_signal(signal.SIGKILL)
    eventually(lambda: not any(map(_is_alive, pids)), "the node to end after its owner", timeout_s=20)


def test_a_port_taken_meanwhile_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between choosing a port and binding it another process may come: others are chosen."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        plain = private_node.free_ports
        attempts: list[int] = []

        def first_clashes() -> NodePorts:
            ports = plain()
            attempts.append(ports.amqp)
            if len(attempts) > 1:
                return ports
            return NodePorts(taken.getsockname()[1], ports.distribution, ports.epmd, ports.management, ports.tls)

        monkeypatch.setattr(private_node, "free_ports", first_clashes)
        with PrivateNode(home=tmp_path, definitions=CIRCLE) as node:
            connect(node.url("anna", "pa", "circle")).close()
    assert len(attempts) == 2


def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    """The end of RabbitMQ's own log is in the error, and nothing runs on."""
    missing = tmp_path / "no-such-file.pem"
    node = PrivateNode(home=tmp_path / "home", tls=NodeTls(missing, missing, missing))
    try:
        with pytest.raises(BrokerError, match=r"(?s)while it was starting.*cacertfile"):
            node.start()
        assert node.pids == ()
    finally:
        node.stop()


def test_a_start_that_is_given_up_leaves_nothing(tmp_path: Path, eventually: Eventually) -> None:
    """Whoever is told to end does not wait until the node is ready."""
    node = PrivateNode(home=tmp_path / "node")
    with ThreadPoolExecutor(max_workers=1) as thread:
        starting = thread.submit(node.start)
        eventually(lambda: len(node.pids) == 2 or starting.done(), what="the node's processes")
        pids = node.pids
        node.give_up()
        with pytest.raises(BrokerError, match="told to end while it was starting"):
            starting.result(60)
    assert (len(pids), node.pids) == (2, ())
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_without_rabbitmq_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is in the message."""
    monkeypatch.setattr(node_home, "_SERVER_DIRS", (str(tmp_path),))
    with pytest.raises(BrokerError, match="apt-get install rabbitmq-server"):
        PrivateNode(home=tmp_path / "home").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_a_node_runs_as_an_ordinary_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Started as nobody, from a home of nobody's own."""
    home = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    os.chown(home, 65534, 65534)
    program = (
        "import encodings.idna, os, sys; from pathlib import Path; from dnai.broker.private_node import PrivateNode\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "with PrivateNode(home=Path(sys.argv[1])) as node: print(node.rabbitmqctl('status'))"
    )
    try:
        done = subprocess.run([sys.executable, "-c", program, str(home)], capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr
        assert "RabbitMQ version" in done.stdout
    finally:
        subprocess.run(["rm", "-r", str(home)], check=True)

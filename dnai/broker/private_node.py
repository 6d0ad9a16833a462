"""A private RabbitMQ node: child processes of this one, on loopback only, gone when this one ends.

The demo and the tests run on such a node. It uses the RabbitMQ that is installed on the machine, but
none of its state: node name, ports, Erlang cookie, `epmd` (Erlang's port mapper), database and log are
its own. It works as root and as an ordinary user.

All of it listens on 127.0.0.1. Its users are those of the definitions it is given: there is no `guest`.
Each start begins with an empty database and the definitions; `restart` keeps both, and the ports.
"""

from __future__ import annotations

import logging
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from dnai.broker.node_home import (
    INSTALL_HINT,
    LOOPBACK,
    NodeHome,
    NodePorts,
    NodeTls,
    find_server_dir,
    free_ports,
)
from dnai.broker.watchdog import Watchdog
from dnai.errors import BrokerError

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 2.5
"""How long a node may take to end in good order, when its database is thrown away anyway."""
ORDERLY_STOP_TIMEOUT_S = 30.0
"""The same for a node that is to come back: its database must be whole."""

__all__ = ["NodeTls", "PrivateNode"]

_ATTEMPTS = 4
_POLL_S = 0.05
_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"

_log = logging.getLogger(__name__)


class _PortTakenError(BrokerError):
    """Another process took a port between our choosing it and the node's binding it."""


class PrivateNode:
    """A RabbitMQ node of one's own; a context manager that starts and stops it.

    Parameters
    ----------
    home
        A directory for all that the node writes; made where it is missing. One node at a time uses it.
    definitions
        RabbitMQ definitions to start with, as `dnai.broker.members.definitions` makes them.
    management
        Also serve the management HTTP API, with an administrator of a random password.
    tls
        Also serve ``amqps://``, on `tls_port`.
    """

    def __init__(
        self,
        *,
        home: Path,
        definitions: Mapping[str, Any] | None = None,
        management: bool = False,
        tls: NodeTls | None = None,
    ) -> None:
        self.home = home.absolute()
        self.administrator = "administrator"
        self.administrator_password = secrets.token_urlsafe(18)
        wanted = {"users": [], "vhosts": [], "permissions": [], **(definitions or {})}
        if management:
            user = {"name": self.administrator, "password": self.administrator_password, "tags": "administrator"}
            wanted["users"] = [*wanted["users"], user]
        self._home = NodeHome(self.home, definitions=wanted, management=management, tls=tls)
        self._ports: NodePorts | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None
        self._given_up = threading.Event()

    def __enter__(self) -> PrivateNode:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The AMQP port on 127.0.0.1."""
        return self._used_ports().amqp

    @property
    def management_port(self) -> int:
        """The port of the management HTTP API on 127.0.0.1."""
        return self._used_ports().management

    @property
    def tls_port(self) -> int:
        """The port of ``amqps://`` on 127.0.0.1."""
        return self._used_ports().tls

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the node and its port mapper, while they run."""
        return tuple(process.pid for process in (self._node, self._epmd) if process is not None)

    @property
    def is_running(self) -> bool:
        """Whether the node and its port mapper run."""
        processes = (self._node, self._epmd)
        return all(process is not None and process.poll() is None for process in processes)

    @property
    def management_url(self) -> str:
        """The management HTTP API with the administrator's user and password."""
        return f"http://{self.administrator}:{self.administrator_password}@{LOOPBACK}:{self.management_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which RabbitMQ's own tools find this node."""
        return self._home.environment(self._used_ports())

    def url(self, user: str, password: str, vhost: str = "/") -> str:
        """Return the URL with which `user` connects to `vhost`."""
        user, password, vhost = (quote(part, safe="") for part in (user, password, vhost))
        return f"amqp://{user}:{password}@{LOOPBACK}:{self.port}/{vhost}"

    def start(self) -> None:
        """Start the node and return when it takes connections and its definitions are in place.

        Raises
        ------
        BrokerError
            When RabbitMQ is not installed, `home` is in use, or the node does not start; with what
            its log says.
        """
        server_dir = find_server_dir()
        self._home.take()
        try:
            self._start_on_free_ports(server_dir)
        except BaseException:
            self.stop()
            raise

    def give_up(self) -> None:
        """Let a start that is under way in another thread fail soon, and any later one; for whoever will not wait."""
        self._given_up.set()

    def stop(self) -> None:
        """End the node and its port mapper, by force where they do not listen; nothing is left running."""
        self._end_processes(timeout_s=STOP_TIMEOUT_S)
        self._home.release()

    def stop_node(self) -> None:
        """End the processes but keep ports and database, as a broker does that is down for a while."""
        self._end_processes(timeout_s=ORDERLY_STOP_TIMEOUT_S)

    def start_node(self) -> None:
        """Start again after `stop_node`, on the same ports, with what was there before.

        Raises
        ------
        BrokerError
            As `start` does.
        """
        self._launch(find_server_dir(), self._used_ports())

    def restart(self) -> None:
        """Stop and start the node on the same ports, as an operator would."""
        self.stop_node()
        self.start_node()

    def rabbitmqctl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60.0) -> str:
        """Run ``rabbitmqctl`` against this node and return what it printed.

        Raises
        ------
        BrokerError
            When it fails or takes longer than `timeout_s`.
        """
        command = [str(find_server_dir() / "rabbitmqctl"), "--quiet", *arguments]
        try:
            done = subprocess.run(
                command, input=stdin or "", env=self.environment, text=True, capture_output=True, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as error:
            raise BrokerError(f"rabbitmqctl {arguments[0]} took longer than {timeout_s:.0f} s") from error
        if done.returncode != 0:
            raise BrokerError(f"rabbitmqctl {arguments[0]} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def _used_ports(self) -> NodePorts:
        if self._ports is None:
            raise BrokerError("the private RabbitMQ node has not been started")
        return self._ports

    def _start_on_free_ports(self, server_dir: Path) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self._ports = free_ports()
            try:
                self._launch(server_dir, self._ports)
            except _PortTakenError:
                self._end_processes(timeout_s=STOP_TIMEOUT_S)
                if attempt == _ATTEMPTS:
                    raise
                _log.info("a port of the private RabbitMQ node was taken meanwhile; trying others")
            else:
                return

    def _launch(self, server_dir: Path, ports: NodePorts) -> None:
        self._home.prepare(ports)
        self._watchdog = watchdog = Watchdog()
        self._epmd = self._spawn("epmd", ["epmd", "-address", LOOPBACK, "-port", str(ports.epmd)], watchdog)
        self._await(lambda: _accepts(ports.epmd), self._epmd)
        self._node = self._spawn("console", [str(server_dir / "rabbitmq-server")], watchdog)
        self._await(lambda: self._home.says_started() and _speaks_amqp(ports.amqp), self._node)

    def _spawn(self, log_name: str, command: list[str], watchdog: Watchdog) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal reaches us, and we end the node in good order.
        with self._home.open_log(log_name) as output:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                    cwd=self._home.path,
                    start_new_session=True,
                )
            except OSError as error:
                raise BrokerError(f"cannot run {command[0]}: {error}; {INSTALL_HINT}") from error
        watchdog.watch(process.pid)
        return process

    def _await(self, condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while not condition():
            if process.poll() is not None:
                raise self._failure(f"ended with exit code {process.returncode} while it was starting")
            if time.monotonic() > end:
                raise self._failure(f"was not ready after {START_TIMEOUT_S:.0f} s")
            if self._given_up.wait(_POLL_S):
                raise BrokerError("the private RabbitMQ node was told to end while it was starting")

    def _failure(self, what: str) -> BrokerError:
        kind = _PortTakenError if self._home.port_was_taken() else BrokerError
        return kind(f"the private RabbitMQ node {what}; {self._home.what_went_wrong()}")

    def _end_processes(self, *, timeout_s: float) -> None:
        for process in (self._node, self._epmd):
            if process is not None:
                _end(process, timeout_s=timeout_s)
        self._node = self._epmd = None
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _speaks_amqp(port: int) -> bool:
    """Whether what listens at `port` answers the AMQP header with a method frame, Connection.Start."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2.0) as probe:
            probe.sendall(_AMQP_HEADER)
            return probe.recv(1) == b"\x01"
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes], *, timeout_s: float) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _log.info("process %s of the private RabbitMQ node did not end in %s s; killing it", process.pid, timeout_s)
        process.kill()
        process.wait()

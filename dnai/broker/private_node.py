"""A private RabbitMQ node: child processes of this one, on loopback only, gone when this one ends.

The demo and the tests run on such a node. It uses the RabbitMQ that is installed on the machine, but
none of its state: node name, ports, Erlang cookie, `epmd` (Erlang's port mapper), database and log are
its own. It works as root and as an ordinary user.

All of it listens on 127.0.0.1. Its users are those of the definitions it is given: there is no `guest`.
Each start begins with an empty database and the definitions; `restart` keeps both, and the ports.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import quote

from dnai.broker.watchdog import Watchdog
from dnai.errors import BrokerError

LOOPBACK = "127.0.0.1"
NODE_NAME = "dnai@localhost"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 2.5
"""How long a node may take to end in good order, when its database is thrown away anyway."""
ORDERLY_STOP_TIMEOUT_S = 30.0
"""The same for a node that is to come back: its database must be whole."""

_SERVER_DIRS = ("/usr/lib/rabbitmq/bin", "/usr/local/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin")
_ATTEMPTS = 4
_POLL_S = 0.05
_LOG_LINES = 15
_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
_STARTED = "Server startup complete"
_PORT_TAKEN = ("eaddrinuse", "address already in use")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodeTls:
    """Files in PEM form with which a node serves ``amqps://`` as well."""

    ca_file: Path
    certificate_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class _Ports:
    amqp: int
    distribution: int
    epmd: int
    management: int
    tls: int


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
        self._definitions = dict(definitions or {})
        self._management = management
        self._tls = tls
        self._ports: _Ports | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None
        self._lock: IO[str] | None = None

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

    def url(self, user: str, password: str, vhost: str = "/") -> str:
        """Return the URL with which `user` connects to `vhost`."""
        user, password, vhost = (quote(part, safe="") for part in (user, password, vhost))
        return f"amqp://{user}:{password}@{LOOPBACK}:{self.port}/{vhost}"

    def start(self) -> None:
        """Start the node and return when it takes connections and its definitions are in place.

        Raises
        ------
        BrokerError
            When RabbitMQ is not installed, `home` is in use, or the node does not start; with
            lines of its log.
        """
        server_dir = find_server_dir()
        self._take_home()
        try:
            for directory in (self._database_dir, self._log_dir):
                shutil.rmtree(directory, ignore_errors=True)
            self._start_on_free_ports(server_dir)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the node and its port mapper, by force where they do not listen; nothing is left running."""
        self._end_processes(timeout_s=STOP_TIMEOUT_S)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

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
                command, input=stdin or "", env=self._environment(), text=True, capture_output=True, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as error:
            raise BrokerError(f"rabbitmqctl {arguments[0]} took longer than {timeout_s:.0f} s") from error
        if done.returncode != 0:
            raise BrokerError(f"rabbitmqctl {arguments[0]} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    @property
    def _database_dir(self) -> Path:
        return self.home / "database"

    @property
    def _log_dir(self) -> Path:
        return self.home / "log"

    def _used_ports(self) -> _Ports:
        if self._ports is None:
            raise BrokerError("the private RabbitMQ node has not been started")
        return self._ports

    def _take_home(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self.home / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise BrokerError(f"another private RabbitMQ node is running in {self.home}; end it first") from error
        self._lock = lock

    def _start_on_free_ports(self, server_dir: Path) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self._ports = _free_ports()
            try:
                self._launch(server_dir, self._ports)
            except _PortTakenError:
                self._end_processes(timeout_s=STOP_TIMEOUT_S)
                if attempt == _ATTEMPTS:
                    raise
                _log.info("a port of the private RabbitMQ node was taken meanwhile; trying others")
            else:
                return

    def _launch(self, server_dir: Path, ports: _Ports) -> None:
        self._write_files(ports)
        self._watchdog = Watchdog()
        environment = self._environment()
        self._epmd = self._spawn(["epmd", "-address", LOOPBACK, "-port", str(ports.epmd)], environment, "epmd.log")
        self._await(lambda: _accepts(ports.epmd), self._epmd, timeout_s=START_TIMEOUT_S)
        self._node = self._spawn([str(server_dir / "rabbitmq-server")], environment, "console.log")
        self._await(lambda: self._is_ready(ports), self._node, timeout_s=START_TIMEOUT_S)

    def _spawn(self, command: list[str], environment: dict[str, str], log_name: str) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal reaches us, and we end the node in good order.
        assert self._watchdog is not None  # noqa: S101 - _launch has just made it
        with (self._log_dir / log_name).open("wb") as output:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=self.home,
                    start_new_session=True,
                )
            except OSError as error:
                raise BrokerError(f"cannot run {command[0]}: {error}; {_INSTALL}") from error
        self._watchdog.watch(process.pid)
        return process

    def _await(self, condition: Callable[[], bool], process: subprocess.Popen[bytes], *, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            if process.poll() is not None:
                raise self._failure(f"ended with exit code {process.returncode} while it was starting")
            if time.monotonic() > end:
                raise self._failure(f"was not ready after {timeout_s:.0f} s")
            time.sleep(_POLL_S)

    def _is_ready(self, ports: _Ports) -> bool:
        return _STARTED in self._log_text("node.log") and _speaks_amqp(ports.amqp)

    def _failure(self, what: str) -> BrokerError:
        text = "\n".join(self._log_text(name) for name in ("epmd.log", "node.log", "console.log"))
        # What went wrong comes first; a crash report that tells nobody anything follows.
        errors = [line for line in text.splitlines() if "[error]" in line and line.rpartition("> ")[2].strip()]
        lines = errors[:_LOG_LINES] or text.splitlines()[-_LOG_LINES:]
        kind = _PortTakenError if any(sign in text.lower() for sign in _PORT_TAKEN) else BrokerError
        return kind(f"the private RabbitMQ node {what}; from its log in {self._log_dir}:\n" + "\n".join(lines))

    def _log_text(self, name: str) -> str:
        path = self._log_dir / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def _end_processes(self, *, timeout_s: float) -> None:
        for process in (self._node, self._epmd):
            if process is not None:
                _end(process, timeout_s=timeout_s)
        self._node = self._epmd = None
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None

    def _write_files(self, ports: _Ports) -> None:
        for directory in (self._database_dir, self._log_dir):
            directory.mkdir(mode=0o700, exist_ok=True)
        for log in self._log_dir.glob("*.log"):
            log.unlink()  # _is_ready must not see what the last start wrote
        plugins = "rabbitmq_management" if self._management else ""
        self._write("enabled_plugins", f"[{plugins}].\n")
        self._write("advanced.config", "[].\n")
        self._write("definitions.json", json.dumps(self._all_definitions()))
        self._write("rabbitmq.conf", self._configuration(ports))
        if not (self.home / ".erlang.cookie").exists():
            self._write(".erlang.cookie", secrets.token_hex(20), mode=0o400)

    def _write(self, name: str, text: str, *, mode: int = 0o600) -> None:
        path = self.home / name
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)

    def _all_definitions(self) -> dict[str, Any]:
        definitions = {"users": [], "vhosts": [], "permissions": [], **self._definitions}
        if self._management:
            user = {"name": self.administrator, "password": self.administrator_password, "tags": "administrator"}
            definitions["users"] = [*definitions["users"], user]
        return definitions

    def _configuration(self, ports: _Ports) -> str:
        lines = [
            f"listeners.tcp.1 = {LOOPBACK}:{ports.amqp}",
            f"load_definitions = {self.home / 'definitions.json'}",
            "log.console = false",
            "log.file = node.log",
            "log.file.level = info",
            "loopback_users = none",
        ]
        if self._management:
            lines += [f"management.tcp.ip = {LOOPBACK}", f"management.tcp.port = {ports.management}"]
        if self._tls is not None:
            lines += [
                f"listeners.ssl.1 = {LOOPBACK}:{ports.tls}",
                f"ssl_options.cacertfile = {self._tls.ca_file.absolute()}",
                f"ssl_options.certfile = {self._tls.certificate_file.absolute()}",
                f"ssl_options.keyfile = {self._tls.key_file.absolute()}",
                "ssl_options.verify = verify_none",
            ]
        return "\n".join(lines) + "\n"

    def _environment(self) -> dict[str, str]:
        ports = self._used_ports()
        on_loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(ports.epmd),
            "ERL_CRASH_DUMP_SECONDS": "0",
            # Without the shell wrapper around the server: the process we start is the node itself.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput +B i",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": on_loopback,
            "RABBITMQ_CTL_ERL_ARGS": on_loopback,
            "RABBITMQ_NODENAME": NODE_NAME,
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(ports.amqp),
            "RABBITMQ_DIST_PORT": str(ports.distribution),
            "RABBITMQ_MNESIA_BASE": str(self._database_dir),
            "RABBITMQ_SCHEMA_DIR": str(self._database_dir / "schema"),
            "RABBITMQ_LOG_BASE": str(self._log_dir),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.home / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
        }


_INSTALL = "install RabbitMQ, on Debian and Ubuntu with: sudo apt-get install rabbitmq-server"


def find_server_dir() -> Path:
    """Return the folder of RabbitMQ's own scripts, not of the wrappers that switch to a system user.

    Raises
    ------
    BrokerError
        When RabbitMQ is not installed; the message says how to install it.
    """
    for directory in map(Path, _SERVER_DIRS):
        if (directory / "rabbitmq-server").is_file():
            return directory
    raise BrokerError(f"no rabbitmq-server in {', '.join(_SERVER_DIRS)}; {_INSTALL}")


def _free_ports() -> _Ports:
    sockets = [socket.socket() for _ in range(5)]
    try:
        for held in sockets:
            held.bind((LOOPBACK, 0))
        return _Ports(*(held.getsockname()[1] for held in sockets))
    finally:
        for held in sockets:
            held.close()


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

"""The directory of a private RabbitMQ node: its configuration, its environment, its log."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dnai.errors import BrokerError

LOOPBACK = "127.0.0.1"
NODE_NAME = "dnai@localhost"

_SERVER_DIRS = ("/usr/lib/rabbitmq/bin", "/usr/local/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin")
_LOG_LINES = 15
_LOGS = ("epmd.log", "node.log", "console.log")
_STARTED = "Server startup complete"
_PORT_TAKEN = ("eaddrinuse", "address already in use")

INSTALL_HINT = "install RabbitMQ, on Debian and Ubuntu with: sudo apt-get install rabbitmq-server"


@dataclass(frozen=True, slots=True)
class NodeTls:
    """Files in PEM form with which a node serves ``amqps://`` as well."""

    ca_file: Path
    certificate_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class NodePorts:
    """The ports of one node, all on 127.0.0.1."""

    amqp: int
    distribution: int
    epmd: int
    management: int
    tls: int


def free_ports() -> NodePorts:
    """Return ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(5)]
    try:
        for held in sockets:
            held.bind((LOOPBACK, 0))
        return NodePorts(*(held.getsockname()[1] for held in sockets))
    finally:
        for held in sockets:
            held.close()


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
    raise BrokerError(f"no rabbitmq-server in {', '.join(_SERVER_DIRS)}; {INSTALL_HINT}")


class NodeHome:
    """A directory that belongs to one node at a time.

    Parameters
    ----------
    path
        Made, with its parents, where it is missing.
    definitions
        What RabbitMQ imports at every start.
    management
        Whether the management plugin is on.
    tls
        With which files ``amqps://`` is served, if it is.
    """

    def __init__(self, path: Path, *, definitions: Mapping[str, Any], management: bool, tls: NodeTls | None) -> None:
        self.path = path
        self._definitions = definitions
        self._management = management
        self._tls = tls
        self._lock: IO[str] | None = None

    def take(self) -> None:
        """Take the directory for oneself, and remove what an earlier node has left in it.

        Raises
        ------
        BrokerError
            When another node has it.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self.path / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise BrokerError(f"another private RabbitMQ node is running in {self.path}; end it first") from error
        self._lock = lock
        for directory in (self._database_dir, self._log_dir):
            shutil.rmtree(directory, ignore_errors=True)

    def release(self) -> None:
        """Let others take the directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def prepare(self, ports: NodePorts) -> None:
        """Write what a node that uses these ports reads at its start."""
        for directory in (self._database_dir, self._log_dir):
            directory.mkdir(mode=0o700, exist_ok=True)
        for log in self._log_dir.glob("*.log"):
            log.unlink()  # says_started must not see what the last start wrote
        self._write("enabled_plugins", f"[{'rabbitmq_management' if self._management else ''}].\n")
        self._write("advanced.config", "[].\n")
        self._write("definitions.json", json.dumps(self._definitions))
        self._write("rabbitmq.conf", self._configuration(ports))
        if not (self.path / ".erlang.cookie").exists():
            self._write(".erlang.cookie", secrets.token_hex(20), mode=0o400)

    def environment(self, ports: NodePorts) -> dict[str, str]:
        """Return all environment variables of the node and of its tools: nothing is taken over but the search path."""
        on_loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.path),
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
            "RABBITMQ_CONFIG_FILE": str(self.path / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.path / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.path / "enabled_plugins"),
        }

    def open_log(self, name: str) -> IO[bytes]:
        """Open a log file for a process to write to."""
        return (self._log_dir / f"{name}.log").open("wb")

    def says_started(self) -> bool:
        """Whether the log says that plugins and definitions are in place."""
        return _STARTED in self._log_text("node.log")

    def port_was_taken(self) -> bool:
        """Whether the log says that a port was in use."""
        text = "".join(map(self._log_text, _LOGS)).lower()
        return any(sign in text for sign in _PORT_TAKEN)

    def what_went_wrong(self) -> str:
        """Return the lines of the log that say why a node has not started, and where the log is."""
        lines = "\n".join(map(self._log_text, _LOGS)).splitlines()
        # What went wrong comes first; a crash report that tells nobody anything follows.
        errors = [line for line in lines if "[error]" in line and line.rpartition("> ")[2].strip()]
        shown = errors[:_LOG_LINES] or lines[-_LOG_LINES:]
        return f"from its log in {self._log_dir}:\n" + "\n".join(shown)

    @property
    def _database_dir(self) -> Path:
        return self.path / "database"

    @property
    def _log_dir(self) -> Path:
        return self.path / "log"

    def _log_text(self, name: str) -> str:
        path = self._log_dir / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def _write(self, name: str, text: str, *, mode: int = 0o600) -> None:
        path = self.path / name
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)

    def _configuration(self, ports: NodePorts) -> str:
        lines = [
            f"listeners.tcp.1 = {LOOPBACK}:{ports.amqp}",
            f"load_definitions = {self.path / 'definitions.json'}",
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

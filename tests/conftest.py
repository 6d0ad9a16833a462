"""What all tests share: the broker they run on, and how they wait."""

from __future__ import annotations

import contextlib
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import pytest

from dnai.broker.administration import import_over_http
from dnai.broker.members import Definitions, Member, definitions, new_member
from dnai.broker.node_home import find_server_dir
from dnai.broker.private_node import PrivateNode
from dnai.errors import BrokerError

DEFAULT_IMAGE = "rabbitmq:4-management"
MANAGEMENT_PORT = 15672
_broker_used = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the broker tests run on a container instead of a private node."""
    group = parser.getgroup("dnai")
    group.addoption("--engine", action="store_true", help="run RabbitMQ in a container, through testcontainers")
    group.addoption(
        "--engine-image", default=DEFAULT_IMAGE, help=f"the RabbitMQ image, with management plugin ({DEFAULT_IMAGE})"
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Say which broker the tests will use."""
    if config.getoption("--engine"):
        return f"broker: container of {config.getoption('--engine-image')}"
    return "broker: private node of the installed RabbitMQ"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which broker the tests have used."""
    used = config.stash.get(_broker_used, "none was needed")
    terminalreporter.write_line(f"broker used: {used}")


class Broker(Protocol):
    """A running RabbitMQ with the management API."""

    description: str
    management_url: str

    def url(self, user: str, password: str, vhost: str) -> str:
        """Return the AMQP URL of a user."""

    def rabbitmqctl(self, *arguments: str) -> str:
        """Run rabbitmqctl there, and return what it printed."""

    def stop_listening(self) -> None:
        """Cut all connections and take none, as a broker that is down."""

    def listen_again(self) -> None:
        """Take connections again, at the same port."""


class _NodeBroker:
    """A private node of the installed RabbitMQ."""

    def __init__(self, node: PrivateNode) -> None:
        self._node = node
        version = node.rabbitmqctl("version").strip()
        self.description = f"private node, RabbitMQ {version}, port {node.port}"
        self.management_url = node.management_url

    def url(self, user: str, password: str, vhost: str) -> str:
        return self._node.url(user, password, vhost)

    def rabbitmqctl(self, *arguments: str) -> str:
        return self._node.rabbitmqctl(*arguments)

    def stop_listening(self) -> None:
        self._node.stop_node()

    def listen_again(self) -> None:
        self._node.start_node()


class _ContainerBroker:
    """RabbitMQ in a container that testcontainers has started."""

    def __init__(self, container: Any, image: str) -> None:
        self._container = container
        self._host = container.get_container_host_ip()
        self._port = container.get_exposed_port(container.port)
        self.management_url = (
            f"http://{container.username}:{container.password}@{self._host}:"
            f"{container.get_exposed_port(MANAGEMENT_PORT)}"
        )
        version = self.rabbitmqctl("version").strip()
        self.description = f"container of {image} through testcontainers, RabbitMQ {version}, port {self._port}"

    def url(self, user: str, password: str, vhost: str) -> str:
        return f"amqp://{user}:{password}@{self._host}:{self._port}/{quote(vhost, safe='')}"

    def rabbitmqctl(self, *arguments: str) -> str:
        code, output = self._container.exec(["rabbitmqctl", "--quiet", *arguments])
        assert code == 0, f"rabbitmqctl {arguments[0]} failed: {output!r}"
        return str(output.decode())

    def stop_listening(self) -> None:
        self.rabbitmqctl("stop_app")

    def listen_again(self) -> None:
        self.rabbitmqctl("start_app")


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real RabbitMQ for the whole run: a private node, or with ``--engine`` a container."""
    with contextlib.ExitStack() as stack:
        running: Broker
        if request.config.getoption("--engine"):
            running = stack.enter_context(_container_broker(request.config.getoption("--engine-image")))
        else:
            node = PrivateNode(home=tmp_path_factory.mktemp("rabbitmq"), management=True)
            running = _NodeBroker(stack.enter_context(node))
        request.config.stash[_broker_used] = running.description
        yield running


@pytest.fixture
def installed_rabbitmq(request: pytest.FixtureRequest) -> None:
    """For tests of private nodes: where all others run in a container, RabbitMQ need not be installed."""
    try:
        find_server_dir()
    except BrokerError:
        if request.config.getoption("--engine"):
            pytest.skip("RabbitMQ is not installed on this machine")
        raise


@contextlib.contextmanager
def _container_broker(image: str) -> Iterator[_ContainerBroker]:
    config = pytest.importorskip("testcontainers.core.config").testcontainers_config
    config.ryuk_disabled = True  # its sidecar is another image to pull; the container is ended right here
    module = pytest.importorskip("testcontainers.community.rabbitmq")
    container = module.RabbitMqContainer(image, username="administrator", password=secrets.token_urlsafe(12))
    with container.with_exposed_ports(container.port, MANAGEMENT_PORT) as started:
        running = _ContainerBroker(started, image)
        _await_management(running.management_url)
        yield running


def _await_management(url: str) -> None:
    """The management plugin starts after the AMQP listener."""
    end = time.monotonic() + 60
    while True:
        try:
            delete_over_http(url, "/api/vhosts/there-is-none")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return
        except OSError:
            pass
        assert time.monotonic() < end, f"the management API at {urlsplit(url).hostname} did not answer in 60 s"
        time.sleep(0.2)


def delete_over_http(management_url: str, path: str) -> None:
    """Delete something through the management API."""
    parts = urlsplit(management_url)
    passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
    address = f"http://{parts.hostname}:{parts.port}"
    passwords.add_password(None, address, parts.username or "", parts.password or "", is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    request = urllib.request.Request(address + path, method="DELETE")  # noqa: S310  # the address is http
    opener.open(request, timeout=30).close()


@dataclass(frozen=True)
class Circle:
    """A virtual host of its own for one test, with members."""

    broker: Broker
    vhost: str
    members: dict[str, Member]
    tap_member: Member

    def url(self, name: str) -> str:
        """Return the broker URL of a member."""
        return self.broker.url(name, self.members[name].password, self.vhost)

    @property
    def tap_url(self) -> str:
        """The broker URL of the user who may read the firehose."""
        return self.broker.url(self.tap_member.name, self.tap_member.password, self.vhost)

    def add(self, name: str) -> str:
        """Make one more member, as the operator does, and return the broker URL."""
        self.members[name] = new_member(name)
        self.apply(definitions([self.members[name]], vhost=self.vhost))
        return self.url(name)

    def apply(self, wanted: Definitions) -> None:
        """Import definitions into the broker."""
        import_over_http(wanted, self.broker.management_url)


@pytest.fixture
def circle(broker: Broker) -> Iterator[Circle]:
    """A fresh virtual host with the members anna, bob, carl, dora and eve, and a tap user."""
    vhost = f"test-{secrets.token_hex(6)}"
    members = {name: new_member(name) for name in ("anna", "bob", "carl", "dora", "eve")}
    tap_member = new_member("listener")
    import_over_http(definitions(members.values(), vhost=vhost, tap_members=[tap_member]), broker.management_url)
    yield Circle(broker, vhost, members, tap_member)
    delete_over_http(broker.management_url, f"/api/vhosts/{vhost}")


class Eventually(Protocol):
    """Waits for a condition, with a bound."""

    def __call__(self, condition: Callable[[], object], what: str, *, timeout_s: float = 15.0) -> None:
        """Return when `condition` holds; fail, naming `what` was waited for, when it does not in time."""


@pytest.fixture
def eventually() -> Eventually:
    """A wait that has a bound and says what it waited for."""

    def wait(condition: Callable[[], object], what: str, *, timeout_s: float = 15.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
            time.sleep(0.01)

    return wait

"""What a worker decides by itself: the address it tells, its id, and its scans."""

from __future__ import annotations

import ast
import socket
import stat
import threading
from pathlib import Path

import pytest

from dnai.config import Address, Settings
from dnai.errors import ConfigurationError
from dnai.library.catalogue import Catalogue
from tests.conftest import Eventually
from tests.unit.library.conftest import add_song
from workers import worker
from workers.worker import advertised_address, load_provider_id

URL = "amqp://anna:secret@127.0.0.1:5672/circle"
LOOPBACK = Address("127.0.0.1", 40_123)


def test_the_address_that_is_set_is_told() -> None:
    """As behind a router, whatever the worker listens on; port 0 stands for the real one."""
    settings = Settings(advertise="music.example:9000")
    assert advertised_address(settings, LOOPBACK, url=URL) == Address("music.example", 9000)
    settings = Settings(advertise="music.example:0")
    assert advertised_address(settings, LOOPBACK, url=URL) == Address("music.example", 40_123)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.20", "::1", "music.local"])
def test_else_the_address_listened_on_is_told(host: str) -> None:
    """With the port that was really taken."""
    assert advertised_address(Settings(), Address(host, 40_123), url=URL) == Address(host, 40_123)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # not listened on
def test_all_addresses_become_the_one_that_faces_the_broker(host: str) -> None:
    """Nobody can connect to "all addresses"; on the way to loopback it is loopback."""
    assert advertised_address(Settings(), Address(host, 40_123), url=URL) == LOOPBACK


def test_where_no_way_to_the_broker_is_known_the_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve."""

    def unknown(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConfigurationError, match=r"no way to broker\.example is known.*--advertise HOST:PORT"):
        advertised_address(Settings(), Address("::", 1), url="amqp://a:b@broker.example/")


def test_a_provider_keeps_its_id_as_long_as_its_data(tmp_path: Path) -> None:
    """Random, made on first use, in a directory that is made with it."""
    path = tmp_path / "data" / "provider_id"
    first = load_provider_id(path)
    assert load_provider_id(path) == first
    assert 16 <= len(first) <= 64
    assert load_provider_id(tmp_path / "other" / "provider_id") != first
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content", [b"", b"short", b"x" * 65, b"../../etc/passwd-0123456789", b"\xff" * 20, b"a b" * 8]
)
def test_a_file_that_holds_no_id_is_named(tmp_path: Path, content: bytes) -> None:
    """An id that others would refuse is never sent."""
    path = tmp_path / "provider_id"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="provider_id"):
        load_provider_id(path)


def test_an_id_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    """Or the provider would be another each time."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="cannot be read or made"):
        load_provider_id(tmp_path / "file" / "provider_id")


def test_a_scan_runs_beside_the_worker_and_notices_what_changes(tmp_path: Path, eventually: Eventually) -> None:
    """A process of its own: the first scan is waited for, and a new song is found by itself."""
    add_song(tmp_path / "music", "a.wav")
    settings = Settings(data_dir=tmp_path / "data", models=("librosa26",))
    scans = worker._Scans(settings, [tmp_path / "music"])
    scans.start()
    try:
        scans.wait(threading.Event())
        assert scans._process is not None
        assert scans._process.poll() is None
        with Catalogue(settings.catalogue_path) as catalogue:
            assert len(catalogue.tracks()) == 1
            add_song(tmp_path / "music", "b.wav", seed=1)
            eventually(lambda: len(catalogue.tracks()) == 2, "the new song", timeout_s=60)
    finally:
        scans.stop()
    assert scans._process.poll() is not None


def test_a_scan_that_has_ended_is_started_again_when_it_is_time(tmp_path: Path, eventually: Eventually) -> None:
    """Whatever ended it."""
    scans = worker._Scans(Settings(data_dir=tmp_path / "data", rescan_s=1.0), [tmp_path])
    scans.start()
    first = scans._process
    assert first is not None
    first.kill()

    def next_one() -> bool:
        scans.step()
        return scans._process not in {None, first}

    try:
        eventually(next_one, "the next scan", timeout_s=30)
    finally:
        scans.stop()


def test_stopping_ends_a_scan_that_runs(tmp_path: Path) -> None:
    """It loses the file in hand at most, and leaves no process."""
    scans = worker._Scans(Settings(data_dir=tmp_path / "data"), [tmp_path])
    scans.start()
    process = scans._process
    assert process is not None
    scans.stop()
    assert process.poll() is not None


def test_waiting_for_a_scan_ends_when_the_worker_is_to_stop(tmp_path: Path) -> None:
    """SIGTERM ends a worker that is still in its first scan, too."""
    scans = worker._Scans(Settings(data_dir=tmp_path / "data"), [tmp_path])
    stop = threading.Event()
    stop.set()
    scans.start()
    process = scans._process
    assert process is not None
    try:
        scans.wait(stop)
        assert process.poll() is None, "the scan had ended before, so nothing was shown"
    finally:
        scans.stop()
    assert process.poll() is not None


def test_worker_py_is_a_program() -> None:
    """``python workers/worker.py DIR`` and ``dnai worker DIR`` are the same command."""
    tree = ast.parse(Path(worker.__file__).read_text(encoding="utf-8"))
    assert ast.unparse(tree.body[-1]) == "if __name__ == '__main__':\n    run_command(worker_command)"

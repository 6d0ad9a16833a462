"""A provider of music: scans a folder, answers requests from the broker, streams to whoever won.

``python workers/worker.py DIR --broker URL …`` and ``dnai worker DIR …`` are the same.
"""

from __future__ import annotations

import logging
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import click
import msgspec

from dnai.audio.converted import ConvertedTracks
from dnai.audio.covers import Covers
from dnai.broker.consumer import OfferConsumer
from dnai.command_line import run_command, settings_options
from dnai.config import Address, Settings
from dnai.errors import ConfigurationError
from dnai.library.catalogue import Catalogue
from dnai.library.collection import LiveCollection, SpaceVectors
from dnai.library.look import known_roots
from dnai.library.models import load_models
from dnai.recommend.provider import PlaylistQuery, Provider, Shelf
from dnai.stream.server import StreamServer
from dnai.stream.tickets import TicketDesk

_POLL_S = 0.5
_REST_SHARE = 10.0
_SCAN_END_S = 1.0
_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104  # recognised here, not listened on

_logger = logging.getLogger(__name__)


@click.command()
@click.argument("folders", metavar="DIR...", type=click.Path(path_type=Path), nargs=-1, required=True)
@settings_options(
    "broker", "broker_ca", "name", "listen", "advertise", "models", "use_tags", "rescan_s", "scan_processes"
)
def worker_command(settings: Settings, folders: tuple[Path, ...]) -> None:
    """Offer the music in one or more folders to your circle.

    The folders are scanned first; what the catalogue already knows is offered meanwhile. New and
    changed files are found while the worker runs. SIGTERM or Ctrl-C ends it.
    """
    with Catalogue(settings.catalogue_path) as catalogue:
        roots = known_roots(folders, catalogue)
    url = settings.broker_url
    stop = threading.Event()

    def ask_to_stop(signal_number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    Worker(settings, roots, url=url).run(stop)


class Worker:
    """The parts of a provider, put together.

    Parameters
    ----------
    folders
        The music that is offered; nothing outside them ever is.
    url
        The broker, with this member's user and password.
    """

    def __init__(self, settings: Settings, folders: Sequence[Path], *, url: str) -> None:
        self._settings = settings
        self._url = url
        self._scans = _Scans(settings, folders)
        self._live = LiveCollection(
            settings.catalogue_path, load_models(settings.model_dirs), use_tags=settings.use_tags, under=folders
        )
        self._shown = self._live.current()
        self._shelf = Shelf((), ())

    def run(self, stop: threading.Event) -> None:
        """Scan, serve until `stop` is set, and end cleanly.

        Raises
        ------
        ConfigurationError
            When the address cannot be listened on.
        BrokerError
            When the broker does not let this member in.
        """
        self._scans.start()
        try:
            if not len(self._shown):
                self._scans.wait(stop)
            if not stop.is_set():
                self._serve(stop)
        finally:
            self._scans.stop()
            self._live.close()

    def _serve(self, stop: threading.Event) -> None:
        desk: TicketDesk[PlaylistQuery] = TicketDesk()
        self._shown = self._live.current()
        self._shelf = Shelf(self._shown.tracks, self._shown.spaces)
        with (
            closing(ConvertedTracks(self._settings.converted_dir)) as converted,
            StreamServer(
                desk=desk,
                playlist_for=lambda query: self._shelf.nearest(query),
                listen=self._settings.listen,
                converted=converted,
                covers=Covers(),
            ) as server,
        ):
            address = advertised_address(self._settings, server.address, url=self._url)
            provider = Provider(
                provider_id=load_provider_id(self._settings.provider_id_path),
                name=self._settings.display_name,
                issue_ticket=desk.issue,
                host=address.host,
                port=address.port,
            )
            provider.shelf = self._shelf
            with OfferConsumer(self._url, ca_file=self._settings.broker_ca, provider=provider) as consumer:
                self._announce(provider, address)
                self._keep_current(provider, consumer, stop)

    def _announce(self, provider: Provider, address: Address) -> None:
        counts = ", ".join(f"{genre.spoken} {count}" for genre, count in provider.shelf.counts().items())
        tracks = len(provider.shelf)
        spaces = ", ".join(_describe_space(space, tracks=tracks) for space in self._shown.spaces)
        click.echo(
            f"worker ready: {provider.name!r} shares {tracks} tracks ({counts or 'none yet'}) "
            f"at {address}, feature space{'s' if len(self._shown.spaces) > 1 else ''} {spaces}"
        )

    def _keep_current(self, provider: Provider, consumer: OfferConsumer, stop: threading.Event) -> None:
        """Follow the catalogue until it is time to stop; a scan that changes it all the time must not fill the day."""
        pause_s = _POLL_S
        while not stop.wait(pause_s):
            self._scans.step()
            began_at = time.monotonic()
            collection = self._live.current()
            if collection is not self._shown:
                provider.shelf = self._shelf = Shelf(collection.tracks, collection.spaces)
                if len(collection) != len(self._shown):
                    _logger.info("now sharing %d tracks", len(collection))
                    consumer.announce()
                self._shown = collection
            pause_s = max(_POLL_S, _REST_SHARE * (time.monotonic() - began_at))


class _Scans:
    """Scans in a process of their own, which notices changes, so that analysis never delays an answer."""

    def __init__(self, settings: Settings, folders: Sequence[Path]) -> None:
        self._command = [sys.executable, "-m", "dnai.cli", "scan", *map(str, folders)]
        self._command += ["--data-dir", str(settings.data_dir), "--models", ",".join(settings.models)]
        self._command += ["--scan-processes", str(settings.scan_processes), "--rescan-s", str(settings.rescan_s)]
        self._command += ["--watch", "--json"]
        self._interval_s = settings.rescan_s
        self._process: subprocess.Popen[bytes] | None = None
        self._next_at = 0.0
        self._first_is_done = threading.Event()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        threading.Thread(target=self._listen, args=(self._process,), name="scan events", daemon=True).start()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Log what a scan says until it has ended."""
        if process.stdout is None:
            return
        with process.stdout:
            for line in process.stdout:
                self._note(msgspec.json.decode(line))

    def _note(self, event: Mapping[str, object]) -> None:
        match event["event"]:
            case "skipped":
                _logger.debug("skipped %s: %s", event["path"], event["reason"])
            case "waiting":
                _logger.info("%s", event["text"])
            case "finished":
                self._first_is_done.set()
                _logger.info("scanned: %s new or changed, %s unchanged", event["analysed"], event["unchanged"])

    def step(self) -> None:
        """Note that the scans have ended, which they should not, and start them again when it is time."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            _logger.warning("the scan ended with exit code %d; its own lines say why", self._process.returncode)
            self._process = None
            self._next_at = time.monotonic() + self._interval_s
        if time.monotonic() >= self._next_at:
            self.start()

    def wait(self, stop: threading.Event) -> None:
        """Return when the first scan has ended, or when it is time to stop."""
        while self._process is not None and self._process.poll() is None and not stop.wait(_POLL_S / 5):
            if self._first_is_done.is_set():
                return

    def stop(self) -> None:
        """End a running scan: it loses the file in hand at most."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_SCAN_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def advertised_address(settings: Settings, listening: Address, *, url: str) -> Address:
    """Return the address that listeners are told.

    It is the one set; else the one listened on; and where that is "all addresses", the one of this
    machine that faces the broker.
    """
    if settings.advertise is not None:
        return Address(settings.advertise.host, settings.advertise.port or listening.port)
    if listening.host not in _ANY_ADDRESS:
        return listening
    return Address(_host_facing(urlsplit(url).hostname or ""), listening.port)


def _host_facing(broker_host: str) -> str:
    """The address of this machine on the way to `broker_host`; no packet is sent."""
    try:
        family, _, _, _, place = socket.getaddrinfo(broker_host, 5672, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(place)
            host: str = probe.getsockname()[0]
    except OSError as error:
        raise ConfigurationError(
            f"no way to {broker_host} is known ({error}), so this machine's own address is not either: "
            "give --advertise HOST:PORT"
        ) from error
    return host


def load_provider_id(path: Path) -> str:
    """Return the random id of this provider, made on first use; it stays as long as the data directory.

    Raises
    ------
    ConfigurationError
        When the file cannot be read or made, or holds something else.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_text(secrets.token_urlsafe(16) + "\n", encoding="ascii")
        provider_id = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"the provider's id in {path} cannot be read or made: {error}") from error
    if not 16 <= len(provider_id) <= 64 or not provider_id.replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(f"{path} does not hold a provider's id; delete the file and a new one is made")
    return provider_id


def _describe_space(space: SpaceVectors, *, tracks: int) -> str:
    """The id of a space, and how far it is while a catalogue is being brought up to date."""
    covered = len(space.rows)
    return space.space_id if covered == tracks else f"{space.space_id} ({covered} of them so far)"


if __name__ == "__main__":
    run_command(worker_command)

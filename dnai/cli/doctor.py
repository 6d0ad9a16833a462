"""``dnai doctor``: look at everything that has to be in place, and say what to do."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from dnai.broker.checkup import check_member
from dnai.broker.scatter import Scatter
from dnai.command_line import EXIT_FAILED, settings_options
from dnai.config import Address, Settings, broker_place, broker_user, is_loopback_host
from dnai.errors import DnaiError
from dnai.library.catalogue import Catalogue
from dnai.library.folders import find_sound_files
from dnai.library.models import load_models
from dnai.stream.payloads import HEALTH_PATH

_PACKAGES = ("pika", "librosa", "numpy", "ai-edge-litert", "chatterbot", "flask", "flask-socketio", "python-socketio")
_REACH_TIMEOUT_S = 3.0


class Verdict(StrEnum):
    """How a check ended; only `FAILED` makes the command fail."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, how it is, and what to do about it."""

    what: str
    verdict: Verdict
    words: str


Check = Callable[[Settings, Path | None], Iterator[Finding]]


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@settings_options("broker", "broker_ca", "models", "listen", "advertise", "web_listen")
def doctor_command(settings: Settings, folder: Path | None, as_json: bool) -> None:
    """Check versions, data directory, model, music FOLDER, broker, rights, ports and address.

    Run it beside the worker to try its advertised address from here, and from another member's
    machine with --advertise HOST:PORT to try it from there.
    """
    findings = examine(settings, folder)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=1).decode())
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding.verdict]} {finding.what}: {finding.words}")
    if any(finding.verdict is Verdict.FAILED for finding in findings):
        sys.exit(EXIT_FAILED)


_MARKS = {Verdict.OK: "  ok   ", Verdict.NOTE: "  note ", Verdict.FAILED: "FAILED "}


def examine(settings: Settings, folder: Path | None) -> Sequence[Finding]:
    """Return what every check found; a check that cannot be made is a finding too."""
    findings: list[Finding] = []
    for name, check in _CHECKS.items():
        try:
            findings += check(settings, folder)
        except DnaiError as error:
            findings.append(Finding(name, Verdict.FAILED, str(error)))
    return findings


def _check_versions(settings: Settings, folder: Path | None) -> Iterator[Finding]:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    yield Finding("versions", Verdict.OK, f"Python {platform.python_version()}, {', '.join(versions)}")


def _check_data_dir(settings: Settings, folder: Path | None) -> Iterator[Finding]:
    with Catalogue(settings.catalogue_path) as catalogue:
        tracks, failures = len(catalogue.known_files()), len(catalogue.failures())
    words = f"{settings.data_dir}: {tracks} tracks"
    if failures:
        words += f", {failures} files skipped (dnai tracks --failed says why)"
    if not tracks:
        yield Finding("catalogue", Verdict.NOTE, f"{words}; dnai scan DIR fills it, and asking peers works without")
        return
    yield Finding("catalogue", Verdict.OK, words)


def _check_models(settings: Settings, folder: Path | None) -> Iterator[Finding]:
    models = load_models(settings.model_dirs)
    with Catalogue(settings.catalogue_path) as catalogue:
        asked = [file.feature_ids for file in catalogue.known_files().values()]
    for model in models:
        words = f"{model.name}, feature space {model.space_id}, sure of a genre from {model.sure_from:.0%} on"
        missing = sum(model.feature_id not in feature_ids for feature_ids in asked)
        if missing:
            words += f"; {missing} of {len(asked)} tracks are still to be heard: dnai scan DIR does it"
        yield Finding("model", Verdict.NOTE if missing else Verdict.OK, words)


def _check_folder(settings: Settings, folder: Path | None) -> Iterator[Finding]:
    if folder is None:
        yield Finding("folder", Verdict.NOTE, "none given: dnai doctor DIR looks at a music folder")
    elif not folder.is_dir():
        yield Finding("folder", Verdict.FAILED, f"{folder} does not exist, or is no folder")
    else:
        count = sum(1 for _ in find_sound_files(folder.absolute()))
        words = f"{folder} holds {count} sound files"
        yield Finding("folder", Verdict.OK if count else Verdict.FAILED, words)


def _check_broker(settings: Settings, folder: Path | None) -> Iterator[Finding]:
    if settings.broker is None:
        yield Finding("broker", Verdict.NOTE, "none is set (--broker URL or DNAI_BROKER): only your own music plays")
        return
    url = settings.broker_url
    checkup = check_member(url, ca_file=settings.broker_ca)
    yield Finding("broker", Verdict.OK, f"{checkup.server} at {broker_place(url)}")
    yield Finding("rights", Verdict.OK, f"{broker_user(url)} may ask, offer and be present")
    if url.startswith("amqp://") and not is_loopback_host(urlsplit(url).hostname or ""):
        yield Finding(
            "encryption", Verdict.NOTE, "the password travels in the clear: use amqps:// or a private network"
        )
    with Scatter(url, ca_file=settings.broker_ca) as scatter:
        present = ", ".join(f"{one.name} ({one.tracks} tracks)" for one in scatter.who())
    yield Finding("circle", Verdict.OK if present else Verdict.NOTE, present or "no other worker is there now")


def _check_ports(settings: Settings, folder: Path | None) -> Iterator[Finding]:
    for name, address in (("worker's port", settings.listen), ("page's port", settings.web_listen)):
        yield _try_port(name, address)
    if not settings.web_listen.is_loopback and settings.web_password is None:
        yield Finding("page", Verdict.FAILED, f"{settings.web_listen} is open to others: set DNAI_WEB_PASSWORD")


def _try_port(name: str, address: Address) -> Finding:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        words = f"{address} cannot be listened on now ({error.strerror}): fine if it is DN.ai that has it"
        return Finding(name, Verdict.NOTE, words)
    return Finding(name, Verdict.OK, f"{address} is free")


def _check_advertised(settings: Settings, folder: Path | None) -> Iterator[Finding]:
    address = settings.advertise
    if address is None:
        words = "none is set; where others reach your worker under another address, set it (--advertise HOST:PORT)"
        yield Finding("address", Verdict.NOTE, words)
        return
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}{HEALTH_PATH}", timeout=_REACH_TIMEOUT_S) as answer:
            status = answer.status
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        words = f"no worker answers at {address} ({reason}): is it running, and the port open or forwarded?"
        yield Finding("address", Verdict.FAILED, words)
        return
    right = status == 204  # what a worker says
    words = f"a worker answers at {address}" if right else f"what answers at {address} is no worker (HTTP {status})"
    yield Finding("address", Verdict.OK if right else Verdict.FAILED, words)


_CHECKS: dict[str, Check] = {
    "versions": _check_versions,
    "catalogue": _check_data_dir,
    "model": _check_models,
    "folder": _check_folder,
    "broker": _check_broker,
    "ports": _check_ports,
    "address": _check_advertised,
}

"""The files that build and run a circle in containers: what is open to others, what is checked, what is secret."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[1]
DNAI_SERVICES = ("members", "worker-anna", "worker-ben", "web")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of docker-compose.yml, its shared parts filled in."""
    services: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    return services


def make_env(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script that writes .env, in a copy of the tree."""
    (tree / "docker").mkdir(exist_ok=True)
    script = shutil.copy(PROJECT / "docker" / "make-env", tree / "docker" / "make-env")
    return subprocess.run([script, *arguments], capture_output=True, text=True, timeout=30, cwd=tree)


def test_only_loopback_is_published(services: dict[str, Any]) -> None:
    """Nobody on the network reaches the page or the management: both are published on 127.0.0.1 alone."""
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_everything_that_runs_has_a_health_check(services: dict[str, Any]) -> None:
    """Each service but the one that ends by itself says whether it is well."""
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"members"}
    assert services["members"]["restart"] == "no"


def test_music_is_mounted_read_only(services: dict[str, Any]) -> None:
    """The workers cannot write into anybody's music, and where to find it must be said."""
    for name in ("worker-anna", "worker-ben"):
        music = next(volume for volume in services[name]["volumes"] if "/music" in volume)
        assert music.endswith(":/music:ro")
        assert re.match(r"\$\{MUSIC_[A-Z]+:\?.+\}", music)


def test_the_page_asks_for_a_password(services: dict[str, Any]) -> None:
    """The web app listens on all addresses of its container, so it is given a password."""
    assert services["web"]["command"] == ["web", "--listen", "0.0.0.0:7700"]  # in the container
    assert services["web"]["environment"]["DNAI_WEB_PASSWORD"].startswith("${WEB_PASSWORD:?")


def test_no_secret_has_a_default(services: dict[str, Any]) -> None:
    """Every password comes from .env, and compose says how to make it where it is missing."""
    text = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
    uses = re.findall(r"\$\{([A-Z]+_PASSWORD)([^}]*)\}", text)
    assert {name for name, _ in uses} == {
        "ADMINISTRATOR_PASSWORD",
        "ANNA_PASSWORD",
        "BEN_PASSWORD",
        "LISTENER_PASSWORD",
        "WEB_PASSWORD",
    }
    assert {rest for _, rest in uses} == {":?make .env first, with ./run compose-env DIR DIR"}


def test_our_containers_have_few_rights(services: dict[str, Any]) -> None:
    """Our programs run on a read-only file system, without capabilities, and not as root."""
    for name in DNAI_SERVICES:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    dockerfile = (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert dockerfile.index("USER dnai") < dockerfile.index('ENTRYPOINT ["dnai"]')


def test_images_can_be_replaced(services: dict[str, Any]) -> None:
    """Broker image and base image are variables, for those who take theirs from elsewhere."""
    assert services["broker"]["image"] == "${RABBITMQ_IMAGE:-rabbitmq:4-management}"
    assert "ARG BASE_IMAGE=python:" in (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    assert services["web"]["build"]["args"]["BASE_IMAGE"].startswith("${BASE_IMAGE:-python:")


def test_the_image_gets_all_that_it_copies() -> None:
    """What the Dockerfile copies is let through by .dockerignore, which lets nothing else through."""
    allowed = {
        line.removeprefix("!")
        for line in (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = set()
    for line in (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert copied == allowed
    assert all((PROJECT / name).exists() for name in copied)


def test_env_file_has_fresh_secrets_for_its_owner_alone(tmp_path: Path) -> None:
    """Every secret is its own, long, and readable by the owner only; the folders are whole paths."""
    for name in ("Anna Music", "ben"):
        (tmp_path / name).mkdir()
    done = make_env(tmp_path, "Anna Music", str(tmp_path / "ben"))
    assert done.returncode == 0, done.stderr
    lines = [line for line in (tmp_path / ".env").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    values = dict(line.split("=", 1) for line in lines)
    secrets = [value for name, value in values.items() if name.endswith("_PASSWORD")]
    assert len(set(secrets)) == len(secrets) == 5
    assert all(re.fullmatch("[0-9a-f]{40}", secret) for secret in secrets)
    assert values["MUSIC_ANNA"] == str(tmp_path / "Anna Music")
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert not any(secret in done.stdout for secret in secrets)


def test_env_file_is_never_overwritten(tmp_path: Path) -> None:
    """A second call would lock the owner out of the broker's data: it is refused."""
    assert make_env(tmp_path, ".", ".").returncode == 0
    before = (tmp_path / ".env").read_bytes()
    again = make_env(tmp_path, ".", ".")
    assert again.returncode == 1
    assert "delete it to begin anew" in again.stderr
    assert (tmp_path / ".env").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nowhere", "."], "no folder nowhere"), (["."], "give two folders"), (["it's", "."], "cannot mount")],
)
def test_env_file_needs_two_folders(tmp_path: Path, arguments: list[str], message: str) -> None:
    """A folder that is missing, not given, or of a name that compose cannot take, is told, and nothing is written."""
    (tmp_path / "it's").mkdir()
    done = make_env(tmp_path, *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / ".env").exists()


def test_env_file_can_be_made_before_the_folders_are_known(tmp_path: Path) -> None:
    """Without folders there are secrets and two empty places, which compose refuses to start with."""
    done = make_env(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "MUSIC_ANNA and MUSIC_BEN" in done.stdout
    assert {"MUSIC_ANNA=", "MUSIC_BEN="} <= set((tmp_path / ".env").read_text(encoding="utf-8").splitlines())


def test_env_file_is_not_in_the_repository() -> None:
    """The secrets cannot be committed by accident, and the scripts can be run."""
    assert ".env" in (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()
    for name in ("members", "health", "make-env"):
        assert os.access(PROJECT / "docker" / name, os.X_OK)

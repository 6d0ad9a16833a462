"""The README says everything that there is, and nothing that there is not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dnai.cli.main import COMMANDS
from dnai.config import ENV_PREFIX, Settings

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    """Every dnai command has its line in the README's table of commands."""
    assert re.search(rf"^\| `dnai {command}\b", README, re.MULTILINE)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_readme(name: str) -> None:
    """Every setting has its line in the README's table, with its variable."""
    assert f"| `{name}` | `{ENV_PREFIX}{name.upper()}` |" in README


def test_the_readme_names_no_setting_that_does_not_exist() -> None:
    """Each DNAI_ variable in the README is a setting."""
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(rf"{ENV_PREFIX}[A-Z_]+", README)) <= known


def test_every_dependency_is_explained() -> None:
    """Each package that pyproject.toml asks for stands in the README's table of what it is for."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    names = {re.split(r"[<>=;\s\[]", line)[0] for line in [*project["dependencies"], *extras]}
    explained = README[README.index("## What it stands on") :]
    missing = {name for name in names if not re.search(rf"\b{re.escape(name)}\b", explained)}
    assert not missing


def test_links_in_the_readme_lead_somewhere() -> None:
    """Each relative link and picture of the README is a file of the project."""
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    assert [target for target in targets if not (PROJECT / target).exists()] == []


def test_pinned_requirements_name_no_registry() -> None:
    """No requirements file records an address to download from, and each pin has a hash."""
    for path in sorted((PROJECT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path.name
        pins = re.findall(r"^[a-z0-9].*==.*$", text, re.MULTILINE)
        assert all(pin.endswith("\\") for pin in pins), path.name

"""The script `run`: what it says, and what it refuses before it does anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def run(*arguments: str, script: Path = PROJECT / "run", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script with these arguments, and with these variables besides the environment's."""
    environment = {**os.environ, **variables}
    return subprocess.run(
        [str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env=environment,
        cwd="/",
    )


@pytest.fixture
def bare_copy(tmp_path: Path) -> Path:
    """A tree without an environment, in a folder with a space in its name."""
    tree = tmp_path / "a fresh clone"
    tree.mkdir()
    shutil.copy(PROJECT / "run", tree / "run")
    shutil.copytree(PROJECT / "requirements", tree / "requirements")
    shutil.copy(PROJECT / "pyproject.toml", tree / "pyproject.toml")
    return tree / "run"


@pytest.fixture
def bare_system(tmp_path: Path) -> str:
    """A PATH with the everyday programs, but no apt-get, no Python and no sudo."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "cksum", "cut", "dirname", "env", "grep", "id", "mktemp", "rm", "sleep", "tail"):
        found = shutil.which(name)
        assert found is not None, f"{name} is not on this machine"
        (programs / name).symlink_to(found)
    return str(programs)


def test_alone_it_lists_the_commands() -> None:
    """Without a command it says what there is, on stdout, and does nothing."""
    done = run()
    assert done.returncode == 0
    for command in ("demo", "test", "test --engine", "bench", "lint", "compose-env", "dnai"):
        assert f"./run {command}" in done.stdout
    assert done.stderr == ""


def test_every_command_of_the_script_is_listed() -> None:
    """A command that the script knows stands in its help."""
    text = (PROJECT / "run").read_text(encoding="utf-8")
    known = [
        line.strip().split(")")[0] for line in text[text.index("main() {") :].splitlines() if line.startswith("    ")
    ]
    names = [name for name in known if name and name.replace("-", "").isalpha() and name.islower()]
    assert {"demo", "test", "lint", "bench", "setup", "compose-env"} <= set(names)
    assert all(f"./run {name}" in run().stdout for name in names if name not in {"local", "case", "esac"})


def test_unknown_command_is_refused() -> None:
    """A command that does not exist is named, with those that do, and the exit code of a wrong call."""
    done = run("dmeo")
    assert done.returncode == 2
    assert "no command dmeo" in done.stderr
    assert "./run demo" in done.stderr


def test_missing_folder_is_told_before_anything_is_installed(bare_copy: Path) -> None:
    """A folder that is not there is named at once, with all of the set-up still to do."""
    done = run("demo", str(PROJECT), "/no/such folder", script=bare_copy)
    assert done.returncode == 1
    assert "there is no folder /no/such folder" in done.stderr
    assert not (bare_copy.parent / ".venv").exists()


def test_options_value_is_no_folder_of_a_provider(bare_copy: Path, bare_system: str) -> None:
    """What follows --demo-dir need not exist; what follows --mine must."""
    done = run("demo", "--demo-dir", "/no/demo", "--mine", "/no/mine", script=bare_copy, PATH=bare_system)
    assert "there is no folder /no/mine" in done.stderr


def test_without_python_it_says_what_to_install(bare_copy: Path, bare_system: str) -> None:
    """On a system without apt-get and without Python it names what to install, for several systems."""
    done = run("lint", script=bare_copy, PATH=bare_system)
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr
    assert "dnf install" in done.stderr


def test_without_packages_the_demo_asks_for_folders(bare_copy: Path, bare_system: str) -> None:
    """Where no music can be installed the demo says how to use one's own."""
    done = run("demo", script=bare_copy, PATH=bare_system)
    assert done.returncode == 1
    assert "./run demo DIR DIR DIR" in done.stderr or "brew install rabbitmq" in done.stderr


def test_continuous_integration_runs_the_same_as_a_developer() -> None:
    """The script of continuous integration is `./run test` and nothing weaker."""
    lines = (PROJECT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
        "exec ./run test",
    ]


def test_tests_are_run_after_all_checks() -> None:
    """`./run test` stops at the first check that fails: ruff, its formatter and mypy in strict mode come first."""
    text = (PROJECT / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    checks = ["ruff check .", "ruff format --check .", "mypy --strict", "-m pytest"]
    positions = [text.index(f"-m {check}" if not check.startswith("-m") else check) for check in checks]
    assert positions == sorted(positions)

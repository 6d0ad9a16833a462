"""The demo with folders of one's own: who plays, what is kept, and how everything ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess, await_gone, clean_environment
from tests.sounds import music, tag, write_sound

READY_S = 150.0

pytestmark = pytest.mark.timeout(400)


def make_folder(folder: Path, songs: dict[str, str], *, suffix: str = "ogg") -> Path:
    """Make a folder with a song for each title, tagged with its genre."""
    folder.mkdir(parents=True)
    for number, (title, genre) in enumerate(songs.items()):
        path = write_sound(folder / f"{number}.{suffix}", music(root_hz=200.0 + 20 * number, seed=number))
        tag(path, {"title": title, "artist": folder.name, "genre": genre})
    return folder


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return the time and the bytes of every file below a folder."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two providers' folders, with music that the other has not, and one that belongs to the listener."""
    root = tmp_path_factory.mktemp("demo folders")
    return [
        make_folder(root / "Jazz & more", {"Blue Hour": "Jazz", "Night Train": "Jazz"}),
        make_folder(root / "Heavy", {"Iron Gate": "Heavy Metal"}, suffix="mp3"),
        make_folder(root / "Mine", {"Morning Song": "Jazz"}, suffix="flac"),
    ]


@pytest.fixture(scope="module")
def before(folders: list[Path]) -> dict[Path, tuple[int, bytes]]:
    """What the folders hold before any demo has seen them."""
    return {path: what for folder in folders for path, what in contents(folder).items()}


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo keeps its state, from one test of this module to the next."""
    return tmp_path_factory.mktemp("state") / "demo"


def arguments(folders: list[Path]) -> list[str]:
    """Return what `dnai demo` is called with: two providers, and the listener's own music."""
    return [str(folders[0]), str(folders[1]), "--mine", str(folders[2])]


@pytest.fixture(scope="module")
def demo(folders: list[Path], before: object, demo_dir: Path) -> Iterator[DemoProcess]:
    """The first demo of these folders, ready; the test of SIGTERM ends it."""
    with DemoProcess(*arguments(folders), demo_dir=demo_dir) as running:
        running.await_ready(timeout_s=READY_S)
        yield running


@pytest.fixture
def later_demo(folders: list[Path], demo_dir: Path) -> Iterator[DemoProcess]:
    """Another demo of these folders, after the first has ended."""
    with DemoProcess(*arguments(folders), demo_dir=demo_dir) as running:
        running.await_ready(timeout_s=READY_S)
        yield running


def test_own_folders_become_providers(demo: DemoProcess) -> None:
    """Each folder is one provider under its name, and the song of the listener finds who has its kind."""
    assert demo.proposals == {
        "something like Morning Song from peers": "Jazz & more",
        "play some jazz from peers": "Jazz & more",
        "play some metal from peers": "Heavy",
    }
    assert "Jazz & more: 2 tracks (jazz 2)" in demo.told


def test_each_process_is_one_of_a_real_circle(demo: DemoProcess) -> None:
    """Below the demo run a broker, a worker for each folder and the web app, each as a process of its own."""
    lines = list(demo.descendants().values())
    assert sum("workers/worker.py" in line for line in lines) == 2
    assert any("dnai.cli web" in line for line in lines)
    assert any("beam" in line for line in lines)


def test_passwords_are_on_no_command_line(demo: DemoProcess) -> None:
    """What other users of the machine can see of the processes holds no member's password."""
    files = list((demo.demo_dir / "members").glob("*/config.toml"))
    passwords = [path.read_text(encoding="utf-8").split("://")[1].split("@")[0].split(":")[1] for path in files]
    assert len(set(passwords)) == 3
    for line in demo.descendants().values():
        assert not any(password in line for password in passwords)


def test_one_demo_at_a_time_in_one_place(demo: DemoProcess, folders: list[Path]) -> None:
    """A second demo with the same state says that the first is running, and does not disturb it."""
    with DemoProcess(*arguments(folders), demo_dir=demo.demo_dir) as second:
        assert second.process.wait(60) == 2
        assert "another demo is running" in second.told
    assert demo.process.poll() is None


def test_terminal_and_demo_share_the_listeners_data(demo: DemoProcess) -> None:
    """While it runs, `dnai ask` in another terminal asks the same circle as its listener."""
    listener = next((demo.demo_dir / "members").glob("listener-*"))
    command = [sys.executable, "-P", "-m", "dnai.cli", "ask", "--json", "--data-dir", str(listener), "play some metal"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=clean_environment())
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["winner"]["name"] == "Heavy"
    assert [entry["title"] for entry in answer["playlist"]] == ["Iron Gate"]


def test_sigterm_ends_everything(demo: DemoProcess) -> None:
    """Told to stop it ends with exit code 0, and none of its processes is left."""
    below = demo.descendants()
    assert len(below) >= 6
    assert demo.end(signal.SIGTERM) == 0
    await_gone(below, timeout_s=5.0)


def test_the_second_run_analyses_nothing_anew(demo: DemoProcess, later_demo: DemoProcess) -> None:
    """The catalogues of the run before are used, and proposals and collections are the same. Ctrl-C ends it."""
    scans = list((demo.demo_dir / "logs").glob("scan-*.log"))
    assert len(scans) == 3
    assert later_demo.end(signal.SIGINT) == 0
    started_at = later_demo.started_at
    assert all(path.stat().st_mtime < started_at or path.read_text().startswith("0 analysed, ") for path in scans)
    assert "looking for new music: 4 of 4 tracks are known" in later_demo.told
    assert "analysing music" not in later_demo.told
    assert later_demo.proposals == demo.proposals


def test_a_new_file_is_found_by_the_next_run(demo_dir: Path, folders: list[Path], before: object) -> None:
    """Only what is new in a folder is analysed: one track of two."""
    folder = folders[1]
    new = tag(write_sound(folder / "new.mp3", music(seed=9)), {"title": "New", "genre": "Heavy Metal"})
    try:
        with DemoProcess(*arguments(folders), demo_dir=demo_dir) as demo:
            demo.await_ready(timeout_s=READY_S)
        assert "Heavy: 2 tracks (metal 2)" in demo.told
        scan = next((demo_dir / "logs").glob("scan-heavy-*.log"))
        assert "1 analysed, 1 unchanged, 0 failed, 0 dropped" in scan.read_text(encoding="utf-8")
    finally:
        new.unlink()


def test_a_process_that_ends_by_itself_ends_the_demo(later_demo: DemoProcess) -> None:
    """When a worker dies the demo says which one and where its log is, and leaves nothing behind."""
    below = later_demo.descendants()
    worker = next(pid for pid, line in below.items() if "workers/worker.py" in line and "Heavy" in line)
    os.kill(worker, signal.SIGKILL)
    assert later_demo.process.wait(30) == 1
    assert "dnai: worker-heavy-" in later_demo.told
    assert "ended (by signal SIGKILL)" in later_demo.told
    assert str(later_demo.demo_dir / "logs" / "worker-heavy-") in later_demo.told
    await_gone(below, timeout_s=5.0)


def test_killed_outright_it_leaves_nothing(later_demo: DemoProcess) -> None:
    """Killed with SIGKILL it can end nothing itself: its watchdogs do."""
    below = later_demo.descendants()
    assert later_demo.end(signal.SIGKILL) == -signal.SIGKILL
    await_gone(below, timeout_s=30.0)


def test_stopped_while_it_starts_it_leaves_nothing(folders: list[Path], demo_dir: Path) -> None:
    """A signal before it is ready ends what has been started so far; the exit code says that it was interrupted."""
    with DemoProcess(*arguments(folders), demo_dir=demo_dir) as demo:
        end = time.monotonic() + 60
        while "looking for new music" not in demo.told:
            assert demo.process.poll() is None, demo.told
            assert time.monotonic() < end, f"waited 60 s for the scans to begin: {demo.told}"
            time.sleep(0.02)
        below = demo.descendants()
        assert demo.end(signal.SIGHUP) == 130
        await_gone(below, timeout_s=5.0)


def test_nothing_was_written_into_the_folders(folders: list[Path], before: dict[Path, tuple[int, bytes]]) -> None:
    """After all these demos the folders hold the same files, with the same bytes and times."""
    assert {path: what for folder in folders for path, what in contents(folder).items()} == before


def test_missing_folder_is_named_before_anything_is_done(tmp_path: Path) -> None:
    """A folder that is not there is an error at once, and no state is made."""
    with DemoProcess(str(tmp_path), str(tmp_path / "nowhere"), demo_dir=tmp_path / "demo") as demo:
        assert demo.process.wait(60) == 2
    assert f"there is no folder {tmp_path / 'nowhere'}" in demo.told
    assert not (tmp_path / "demo").exists()

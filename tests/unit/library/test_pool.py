"""Files are analysed in processes of their own: what hangs, crashes or eats memory costs one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dnai.config import PROJECT_DIR
from dnai.errors import ModelError
from dnai.library.catalogue import Catalogue
from dnai.library.pool import Limits, Pool
from dnai.library.scanner import ScanProgress, ScanSummary, scan_folder
from tests.conftest import Eventually
from tests.models import SHIPPED
from tests.unit.library import hostile

TIGHT = Limits(base_s=1.5, most_s=1.5, memory_bytes=500_000_000)


def make_pool(*, processes: int = 2, prepare: Callable[[], None] = hostile.misbehave, limits: Limits = TIGHT) -> Pool:
    return Pool([SHIPPED], processes=processes, preparing=lambda: None, prepare=prepare, limits=limits)


def make_files(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        (folder / name).write_bytes(b"x" * (i + 1))
    return folder


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended: one that nobody has reaped counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _children_find_these_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """They look for modules where this process does."""
    monkeypatch.syspath_prepend(str(PROJECT_DIR))


@pytest.fixture
def scan_with(catalogue: Catalogue, model: object) -> Callable[..., ScanSummary]:
    """Scans a folder with a pool."""
    return lambda folder, pool, report=lambda _progress: None: scan_folder(
        folder, catalogue, [model], analysts=pool, report=report
    )


def test_what_hangs_crashes_or_eats_memory_costs_one_file(
    tmp_path: Path, catalogue: Catalogue, scan_with: Callable[..., ScanSummary]
) -> None:
    """Each has its reason, and the songs in between are all there."""
    bad = ["hang.mp3", "deaf.mp3", "abort.mp3", "segfault.mp3", "killed.mp3", "exit.mp3", "eat.mp3", "broken.mp3"]
    folder = make_files(tmp_path / "music", *(f"song{i}.mp3" for i in range(12)), *bad)
    assert scan_with(folder, make_pool()) == ScanSummary(analysed=12, failed=8, unchanged=0, dropped=0)
    found = {one.path.name: (one.reason, one.passing) for one in catalogue.failures()}
    assert found == {
        "hang.mp3": ("took longer than 1.5 s, and was given up", False),
        "deaf.mp3": ("took longer than 1.5 s, and was given up", False),
        "abort.mp3": ("its analysis ended by SIGABRT", False),
        "segfault.mp3": ("its analysis ended by SIGSEGV", False),
        "killed.mp3": ("its analysis ended by SIGKILL", True),
        "exit.mp3": ("its analysis ended with exit code 3", False),
        "eat.mp3": ("needs more memory than a file may have", False),
        "broken.mp3": ("not readable as sound", False),
    }
    again = scan_with(folder, make_pool())
    assert (again.unchanged, again.failed) == (19, 1), "what was killed from outside is tried again, the rest is not"


def test_there_are_never_more_processes_than_files_or_than_was_said(tmp_path: Path) -> None:
    """One file is no reason to start two; many files are none to start more than the setting."""
    seen: list[int] = []
    for names, most in ((["a.mp3"], 1), ([f"{i}.mp3" for i in range(6)], 2)):
        folder = make_files(tmp_path / str(most), *names)
        pool = make_pool(processes=2)
        with Catalogue(tmp_path / f"{most}.sqlite3") as catalogue:
            scan_folder(folder, catalogue, [], analysts=pool, report=lambda _, pool=pool: seen.append(len(pool.pids)))
        assert max(seen) == most
        assert pool.pids == ()


def test_progress_counts_files_and_music(tmp_path: Path, scan_with: Callable[..., ScanSummary]) -> None:
    """It names what is begun, and ends at the total with all that was heard."""
    seen: list[ScanProgress] = []
    scan_with(make_files(tmp_path / "music", *(f"{i}.mp3" for i in range(5))), make_pool(), seen.append)
    assert {progress.current for progress in seen[:-1]} == {f"{i}.mp3" for i in range(5)}
    assert (seen[-1].done, seen[-1].total, seen[-1].heard_s) == (5, 5, 300.0)
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [(hostile.refuse, "no ears today"), (hostile.die, "ended with exit code 7 before it was ready")],
)
def test_what_keeps_a_process_from_starting_ends_the_scan(
    tmp_path: Path,
    catalogue: Catalogue,
    scan_with: Callable[..., ScanSummary],
    prepare: Callable[[], None],
    message: str,
) -> None:
    """It is no fault of a file's, and no file gets the blame."""
    with pytest.raises(ModelError, match=message):
        scan_with(make_files(tmp_path / "music", "a.mp3"), make_pool(prepare=prepare))
    assert catalogue.failures() == []


def test_nothing_is_started_where_there_is_nothing_to_do(tmp_path: Path, scan_with: Callable[..., ScanSummary]) -> None:
    """A scan of unchanged files needs no process."""
    assert scan_with(make_files(tmp_path / "music"), make_pool(prepare=hostile.die)) == ScanSummary(0, 0, 0, 0)


def test_the_time_of_a_file_grows_with_its_size_up_to_a_bound() -> None:
    """A file of four gigabytes of zeros does not take hours."""
    limits = Limits(base_s=10, bytes_per_s=100, most_s=60)
    assert [limits.seconds(size) for size in (0, 1000, 4 << 30)] == [10, 20, 60]


_SCANNER = """
import signal
import sys
from pathlib import Path
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.pool import Limits, Pool
from dnai.library.scanner import scan_folder
from tests.models import SHIPPED
from tests.unit.library import hostile

def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are deaf to it
    pool = Pool([SHIPPED], processes=2, preparing=lambda: None, prepare=hostile.misbehave)
    def report(progress):
        print(*pool.pids, flush=True)
    with Catalogue(Path(sys.argv[2])) as catalogue:
        scan_folder(Path(sys.argv[1]), catalogue, [GenreModel(SHIPPED)], analysts=pool, report=report)

main()
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_when_the_scan_is_ended_in_any_way(
    tmp_path: Path, how: signal.Signals, eventually: Eventually
) -> None:
    """Also while two decoders hang, one of them without letting anything else run."""
    folder = make_files(tmp_path / "music", "deaf.mp3", "hang.mp3")
    scan = subprocess.Popen(
        [sys.executable, "-c", _SCANNER, str(folder), str(tmp_path / "catalogue.sqlite3")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
    )
    try:
        assert scan.stdout is not None
        scan.stdout.readline()
        pids = [int(word) for word in scan.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.2)
        scan.send_signal(how)
        scan.wait(20)
        eventually(lambda: not any(map(is_running, pids)), "the end of the children", timeout_s=20)
    finally:
        scan.kill()
        scan.wait()
        if scan.stdout is not None:
            scan.stdout.close()

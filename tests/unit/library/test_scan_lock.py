"""One scan of a catalogue at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dnai.errors import CatalogueError
from dnai.library.scan_lock import Holder, lock_path, scan_holder, scan_lock
from tests.conftest import Eventually


def test_the_second_waits_and_is_told_who_has_it(tmp_path: Path, eventually: Eventually) -> None:
    """With process and time; it goes on when the first has ended."""
    path, told, order = tmp_path / "catalogue.sqlite3", list[Holder | None](), list[str]()

    def second() -> None:
        with scan_lock(path, waiting=told.append):
            order.append("second")

    with scan_lock(path, waiting=told.append):
        thread = threading.Thread(target=second)
        thread.start()
        eventually(lambda: told, "the second to be told")
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert told[0] is not None
    assert told[0].pid == os.getpid()
    assert told[0].since.startswith("20")


def test_a_killed_holder_leaves_it_free(tmp_path: Path) -> None:
    """The file stays, the lock does not."""
    path = tmp_path / "catalogue.sqlite3"
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom dnai.library.scan_lock import scan_lock\n"
        "with scan_lock(Path(sys.argv[1]), waiting=print):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", program, str(path)], timeout=60, check=False)
    assert died.returncode == -9
    assert lock_path(path).is_file()
    with scan_lock(path, waiting=lambda holder: pytest.fail(f"waited for {holder}")):
        pass


def test_a_place_without_room_for_a_lock_is_named(tmp_path: Path) -> None:
    """As where the folder is gone."""
    with (
        pytest.raises(CatalogueError, match="scan-lock"),
        scan_lock(tmp_path / "nowhere" / "catalogue.sqlite3", waiting=print),
    ):
        pass


def test_who_scans_can_be_asked_without_being_in_the_way(tmp_path: Path) -> None:
    """Before, while and after it; the one who asks makes no file and keeps no lock."""
    path = tmp_path / "catalogue.sqlite3"
    assert scan_holder(path) is None
    assert list(tmp_path.iterdir()) == []
    with scan_lock(path, waiting=print):
        holder = scan_holder(path)
        assert holder is not None
        assert holder.pid == os.getpid()
        assert scan_holder(path) == holder
    assert scan_holder(path) is None
    with scan_lock(path, waiting=lambda holder: pytest.fail(f"waited for {holder}")):
        pass


def test_a_lock_that_says_nothing_sensible_names_nobody(tmp_path: Path) -> None:
    """As in the instant in which it is taken."""
    path = tmp_path / "catalogue.sqlite3"
    with scan_lock(path, waiting=print):
        lock_path(path).write_bytes(b"\xff\x00 who knows")
        assert scan_holder(path) is None

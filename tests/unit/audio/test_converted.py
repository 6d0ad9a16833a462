"""Converted tracks: made once for all, bounded, and gone with the process."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest
import soundfile

from dnai.audio import converted as converted_module
from dnai.audio.conversion import convert
from dnai.audio.converted import (
    ABANDONED_S,
    FAILURE_KEPT_S,
    HANGING_S,
    MAX_HANGING,
    SPARED_BYTES,
    TIME_LIMIT_S,
    ConvertedTracks,
)
from dnai.errors import ConversionError
from dnai.tracks import AudioType, Track, most_converted_bytes
from tests.made_tracks import made_up_track
from tests.sounds import music, write_sound

MakeTrack = Callable[..., Track]
MakeStore = Callable[..., ConvertedTracks]


class Clock:
    """Seconds that the test turns."""

    now = 1000.0

    def __call__(self) -> float:
        """Return what time it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_track(tmp_path: Path) -> MakeTrack:
    """Return a function that makes an aiff file and returns its track."""

    def make(name: str = "a.aiff", *, duration_s: float = 2.0, told_s: float | None = None) -> Track:
        path = write_sound(tmp_path / name, music(duration_s=duration_s))
        return track_of(path, duration_s=told_s or duration_s)

    return make


def track_of(path: Path, *, duration_s: float) -> Track:
    found = path.stat()
    return made_up_track(
        path,
        title="So What",
        duration_s=duration_s,
        audio_type=AudioType.AIFF,
        size_bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
    )


@pytest.fixture
def make_store(tmp_path: Path, clock: Clock) -> Iterator[MakeStore]:
    """Return a function that makes a store, closed after the test."""
    stores: list[ConvertedTracks] = []

    def make(**options: object) -> ConvertedTracks:
        stores.append(ConvertedTracks(tmp_path / "data" / "converted", clock=clock, **options))  # type: ignore[arg-type]
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def wait_for(store: ConvertedTracks, track: Track, *, timeout_s: float = 20.0) -> int:
    deadline = time.monotonic() + timeout_s
    while (size := store.prepare(track)) is None:
        assert time.monotonic() < deadline, f"waited {timeout_s} s for the conversion of {track.path.name}"
        time.sleep(0.01)
    return size


def wait_until(condition: Callable[[], bool], *, waiting_for: str, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {waiting_for}"
        time.sleep(0.01)


class Brake:
    """Holds conversions up until the test lets them go on; counts them."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.started = 0
        self.ended = 0

    def __call__(self, source: BinaryIO, target: BinaryIO, *, max_bytes: int, is_wanted: Callable[[], bool]) -> None:
        """Convert, some time."""
        self.started += 1
        try:
            while not self.go.wait(0.005):
                if not is_wanted():
                    raise ConversionError("it took too long")
            convert(source, target, max_bytes=max_bytes, is_wanted=is_wanted)
        finally:
            self.ended += 1


@pytest.fixture
def brake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Brake]:
    """Conversions that wait for the test."""
    brake = Brake()
    monkeypatch.setattr(converted_module, "convert", brake)
    yield brake
    brake.go.set()


def test_a_track_becomes_a_flac_file_that_can_be_read_in_pieces(make_store: MakeStore, make_track: MakeTrack) -> None:
    """At first it is not ready; then its size is known, and the pieces make up the whole."""
    store, track = make_store(), make_track()
    assert store.prepare(track) is None
    size = wait_for(store, track)
    file = store.find(track)
    assert file is not None
    pieces = [file.read(offset, 10_000) or b"" for offset in range(0, size, 10_000)]
    data = b"".join(pieces)
    assert len(data) == size
    assert soundfile.info(io.BytesIO(data)).duration == pytest.approx(2.0)


def test_it_is_converted_once_for_all_who_ask(make_store: MakeStore, make_track: MakeTrack, brake: Brake) -> None:
    """Two listeners, and a third one later."""
    store, track = make_store(), make_track()
    assert store.prepare(track, asker="ann") is None
    assert store.prepare(track, asker="bob") is None
    brake.go.set()
    size = wait_for(store, track)
    assert store.prepare(track, asker="carl") == size
    assert brake.started == 1


def test_few_are_converted_at_once_and_fewer_for_one_asker(
    make_store: MakeStore, make_track: MakeTrack, brake: Brake
) -> None:
    """The others are not refused: they begin when there is room."""
    store = make_store()
    tracks = [make_track(f"{number}.aiff") for number in range(4)]
    for _ in range(3):
        assert store.prepare(tracks[0], asker="ann") is None
        assert store.prepare(tracks[1], asker="ann") is None
    wait_until(lambda: brake.started == 1, waiting_for="ann's only conversion")
    assert store.prepare(tracks[2], asker="bob") is None
    wait_until(lambda: brake.started == 2, waiting_for="bob's conversion")
    assert store.prepare(tracks[3], asker="carl") is None
    assert brake.started == 2
    brake.go.set()
    for track in tracks:
        assert wait_for(store, track) > 0


def test_what_nobody_asks_for_any_more_is_given_up(
    make_store: MakeStore, make_track: MakeTrack, brake: Brake, clock: Clock
) -> None:
    """And begun anew when somebody asks again."""
    store, track = make_store(), make_track()
    store.prepare(track)
    wait_until(lambda: brake.started == 1, waiting_for="the conversion")
    clock.now += ABANDONED_S + 0.1
    wait_until(lambda: brake.ended == 1, waiting_for="the end of the conversion")
    brake.go.set()
    assert wait_for(store, track) > 0
    assert brake.started == 2


def test_what_takes_too_long_is_given_up_and_tried_again_later(
    make_store: MakeStore, make_track: MakeTrack, brake: Brake, clock: Clock
) -> None:
    """Whoever waits is told; some seconds later it may be tried anew."""
    store, track = make_store(time_limit_s=2.0), make_track()
    store.prepare(track)
    wait_until(lambda: brake.started == 1, waiting_for="the conversion")
    clock.now += 2.1
    wait_until(lambda: brake.ended == 1, waiting_for="the end of the conversion")
    with pytest.raises(ConversionError, match="too long"):
        wait_for(store, track)
    with pytest.raises(ConversionError, match="too long"):
        store.prepare(track)
    clock.now += FAILURE_KEPT_S + 0.1
    brake.go.set()
    assert wait_for(store, track) > 0


def test_what_hangs_does_not_hold_up_the_others_for_ever(
    make_store: MakeStore, make_track: MakeTrack, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A disk that does not answer cannot be called off: its conversions count as failed, and no more than four hang."""
    answers, hanging, came_back = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)

    def hang(source: BinaryIO, target: BinaryIO, *, max_bytes: int, is_wanted: Callable[[], bool]) -> None:
        hanging.release()
        assert answers.wait(30)
        came_back.release()
        raise ConversionError("it took too long")

    monkeypatch.setattr(converted_module, "convert", hang)
    store = make_store()
    tracks = [make_track(f"{number}.aiff") for number in range(MAX_HANGING + 1)]
    for first in range(0, MAX_HANGING, 2):
        for track in tracks[first : first + 2]:
            assert store.prepare(track) is None
            assert hanging.acquire(timeout=10), "waited 10 s for a conversion to begin"
        clock.now += TIME_LIMIT_S + HANGING_S + 0.1
        with pytest.raises(ConversionError, match="does not answer"):
            store.prepare(tracks[first])
    with pytest.raises(ConversionError, match="nothing is converted at the moment"):
        store.prepare(tracks[MAX_HANGING])
    monkeypatch.setattr(converted_module, "convert", convert)
    answers.set()
    for _ in range(MAX_HANGING):
        assert came_back.acquire(timeout=10), "waited 10 s for the disk to answer"
    wait_until(lambda: not store._hanging, waiting_for="the end of what hung")
    assert wait_for(store, tracks[MAX_HANGING]) > 0
    clock.now += FAILURE_KEPT_S + 0.1
    assert wait_for(store, tracks[0]) > 0


def test_tracks_that_fail_push_out_none_that_are_converted(make_store: MakeStore, make_track: MakeTrack) -> None:
    """They take no room."""
    store, good, broken = make_store(max_tracks=2), make_track("good.aiff"), make_track("broken.aiff")
    size = wait_for(store, good)
    broken.path.write_bytes(b"no sound")
    for told_bytes in range(5):
        with pytest.raises(ConversionError):
            wait_for(store, dataclasses.replace(broken, size_bytes=told_bytes))
    assert store.prepare(good) == size
    assert store.find(good) is not None


def test_not_all_failures_are_kept_in_mind(
    make_store: MakeStore, make_track: MakeTrack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest are forgotten: who asks again may have it tried again."""
    monkeypatch.setattr(converted_module, "MAX_FAILURES", 2)
    store, broken = make_store(), make_track("broken.aiff")
    broken.path.write_bytes(b"no sound")
    tracks = [dataclasses.replace(broken, size_bytes=told_bytes) for told_bytes in range(3)]
    for track in tracks:
        with pytest.raises(ConversionError):
            wait_for(store, track)
    assert store.prepare(tracks[0]) is None
    with pytest.raises(ConversionError):
        store.prepare(tracks[2])


def test_room_is_reserved_for_what_is_converted_already(
    make_store: MakeStore, make_track: MakeTrack, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that would fit one by one do not fill the disk together."""
    first, second = make_track("a.aiff"), make_track("b.aiff")
    store = make_store()
    free = SPARED_BYTES + most_converted_bytes(first.duration_s) * 3 // 2
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    assert store.prepare(first) is None
    wait_until(lambda: brake.started == 1, waiting_for="the first conversion")
    with pytest.raises(ConversionError, match="there is no room"):
        wait_for(store, second)
    brake.go.set()
    assert wait_for(store, first) > 0


@pytest.mark.parametrize("broken", [ConversionError("it holds no sound"), RuntimeError("something unforeseen")])
def test_names_of_files_cannot_forge_the_log(
    make_store: MakeStore,
    make_track: MakeTrack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: Exception,
) -> None:
    """A line break, or a colour, in a name stays on one line, without it."""

    def fail(source: BinaryIO, target: BinaryIO, *, max_bytes: int, is_wanted: Callable[[], bool]) -> None:
        raise broken

    monkeypatch.setattr(converted_module, "convert", fail)
    store, track = make_store(), make_track("a\nall is well\x1b[31m.aiff")
    with pytest.raises(ConversionError):
        wait_for(store, track)
    [record] = [record for record in caplog.records if record.name == "dnai.audio.converted"]
    assert "\n" not in record.getMessage()
    assert "\x1b" not in record.getMessage()


@pytest.mark.parametrize("bound", ["tracks", "bytes"])
def test_the_least_recently_used_goes_first(make_store: MakeStore, make_track: MakeTrack, bound: str) -> None:
    """Bounded by number and by size; a reader of what has gone is told so, and it can be made again."""
    tracks = [make_track(f"{number}.aiff") for number in range(3)]
    size = wait_for(make_store(), tracks[0])
    store = make_store(max_tracks=2) if bound == "tracks" else make_store(max_bytes=size * 5 // 2)
    first = wait_for(store, tracks[0])
    wait_for(store, tracks[1])
    reading = store.find(tracks[1])
    assert store.find(tracks[0]) is not None
    wait_for(store, tracks[2])
    assert store.find(tracks[1]) is None
    assert reading is not None
    assert reading.read(0, 10) is None
    assert store.find(tracks[0]) is not None
    assert wait_for(store, tracks[1]) > 0
    assert wait_for(store, tracks[0]) == first


def test_a_changed_file_is_another_track(make_store: MakeStore, make_track: MakeTrack) -> None:
    """The old one is not converted any more; no path is in what the listener is told."""
    store, track = make_store(), make_track()
    track.path.write_bytes(track.path.read_bytes() + b"more")
    with pytest.raises(ConversionError, match="changed since it was catalogued") as caught:
        wait_for(store, track)
    assert str(track.path.parent) not in str(caught.value)


@pytest.mark.parametrize("change", ["gone", "pipe", "folder"])
def test_what_is_no_file_any_more_is_refused(make_store: MakeStore, make_track: MakeTrack, change: str) -> None:
    """At once: a pipe does not hold it up."""
    store, track = make_store(), make_track()
    track.path.unlink()
    if change == "pipe":
        os.mkfifo(track.path)
    if change == "folder":
        track.path.mkdir()
    with pytest.raises(ConversionError):
        wait_for(store, track, timeout_s=5.0)


def test_too_long_a_track_is_not_begun(make_store: MakeStore, make_track: MakeTrack, brake: Brake) -> None:
    """Its length is known from the catalogue."""
    store = make_store()
    with pytest.raises(ConversionError, match="longer than 90 minutes"):
        wait_for(store, make_track(told_s=5401.0))
    assert brake.started == 0


def test_a_track_that_is_longer_than_its_catalogue_says_is_given_up(
    make_store: MakeStore, make_track: MakeTrack
) -> None:
    """The listener believes no more than follows from the length that it was told."""
    store, track = make_store(), make_track(duration_s=60.0, told_s=0.5)
    track_is_refused = pytest.raises(ConversionError, match="more than its length says")
    with track_is_refused:
        wait_for(store, track)


def test_a_full_disk_costs_that_track(make_store: MakeStore, make_track: MakeTrack) -> None:
    """The error says so; when there is room again, the next track is converted."""
    is_full = True

    class Disk(io.BytesIO):
        def write(self, data: object) -> int:
            if is_full and self.tell() > 5000:
                raise OSError(28, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

    store = make_store(new_file=lambda folder: Disk())
    with pytest.raises(ConversionError, match="No space left on device"):
        wait_for(store, make_track("a.aiff"))
    is_full = False
    assert wait_for(store, make_track("b.aiff")) > 0


def test_a_disk_that_is_nearly_full_is_left_alone(
    make_store: MakeStore, make_track: MakeTrack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue is on it, too."""
    monkeypatch.setattr(converted_module, "SPARED_BYTES", 1 << 60)
    with pytest.raises(ConversionError, match="there is no room"):
        wait_for(make_store(), make_track())


def test_a_folder_that_cannot_be_made_is_an_error_of_that_track(tmp_path: Path, make_track: MakeTrack) -> None:
    """Not of the process."""
    (tmp_path / "file").write_bytes(b"")
    store = ConvertedTracks(tmp_path / "file" / "converted")
    with pytest.raises(ConversionError, match="no place"):
        wait_for(store, make_track())


def test_nobody_else_sees_the_files(make_store: MakeStore, make_track: MakeTrack, tmp_path: Path) -> None:
    """They have no name, in a folder that is the owner's alone."""
    store, track = make_store(), make_track()
    wait_for(store, track)
    folder = tmp_path / "data" / "converted"
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700


def test_after_the_end_nothing_is_kept_and_nothing_begun(
    make_store: MakeStore, make_track: MakeTrack, brake: Brake
) -> None:
    """A conversion that runs is given up; readers get nothing more."""
    store, track = make_store(), make_track()
    store.prepare(track)
    wait_until(lambda: brake.started == 1, waiting_for="the conversion")
    store.close()
    wait_until(lambda: brake.ended == 1, waiting_for="the end of the conversion")
    assert store.find(track) is None
    with pytest.raises(ConversionError, match="ending"):
        store.prepare(track)


KEEPER = """
import sys, time
from pathlib import Path
from dnai.audio.converted import ConvertedTracks
from tests.unit.audio.test_converted import track_of
store = ConvertedTracks(Path(sys.argv[2]))
track = track_of(Path(sys.argv[1]), duration_s=2.0)
while store.prepare(track) is None:
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_killed_leaves_nothing(how: signal.Signals, make_track: MakeTrack, tmp_path: Path) -> None:
    """While it lives it holds a nameless file; afterwards the folder is empty, and its room is free."""
    folder = tmp_path / "converted"
    command = [sys.executable, "-c", KEEPER, str(make_track().path), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            held = [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir() if link.is_symlink()]
            assert any(name.startswith(str(folder)) and name.endswith("(deleted)") for name in held)
            process.send_signal(how)
            process.wait(10)
        finally:
            process.kill()
    assert list(folder.iterdir()) == []

"""Files to stream, servers and clients that end with their test, and a line that can be cut."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dnai.audio.converted import ConvertedTracks
from dnai.audio.covers import Covers
from dnai.config import Address
from dnai.stream.addresses import AddressRule
from dnai.stream.client import PeerClient, PeerSession
from dnai.stream.server import StreamServer
from dnai.stream.tickets import TicketDesk
from dnai.tracks import AudioType, Genre, GenreOrigin, Track
from tests.sounds import SR, Sound, write_sound

LOOPBACK = "127.0.0.1"


@dataclass
class Clock:
    """Seconds that the test turns."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return what time it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_track(tmp_path: Path) -> Callable[..., Track]:
    """Return a function that writes a file of random bytes, or the sound `y`, and returns its track."""
    folder = tmp_path / "secret-folder"
    folder.mkdir()

    def make(
        name: str = "song.ogg",
        *,
        size: int = 700_001,
        title: str = "So What",
        audio_type: AudioType = AudioType.OGG,
        y: Sound | None = None,
    ) -> Track:
        path = folder / name
        if y is None:
            path.write_bytes(os.urandom(size))
        else:
            write_sound(path, y)
        found = path.stat()
        return Track(
            path=path,
            title=title,
            artist="Miles",
            album="Kind of Blue",
            year=1959,
            genre=Genre.JAZZ,
            genre_origin=GenreOrigin.TAG,
            model_genre=Genre.JAZZ,
            confidence=0.9,
            duration_s=300.0 if y is None else len(y) / SR,
            audio_type=audio_type,
            size_bytes=found.st_size,
            mtime_ns=found.st_mtime_ns,
        )

    return make


@dataclass
class Peer:
    """A provider that streams, for one test."""

    desk: TicketDesk[str]
    server: StreamServer[str]
    offered: list[tuple[Track, float]] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where its server listens."""
        return self.server.address.port

    def ticket(self, user_id: str = "ann") -> str:
        """Return a new ticket for all of its tracks."""
        return self.desk.issue(user_id, "jazz")


@pytest.fixture
def make_peer(clock: Clock) -> Iterator[Callable[..., Peer]]:
    """Return a function that starts a provider with the given tracks, the nearest first."""
    with contextlib.ExitStack() as stack:

        def make(
            *tracks: Track,
            max_connections: int = 64,
            converted: ConvertedTracks | None = None,
            covers: Covers | None = None,
        ) -> Peer:
            desk: TicketDesk[str] = TicketDesk(clock=clock)
            offered = [(track, 0.5 + number) for number, track in enumerate(tracks)]

            def playlist_for(query: str) -> Sequence[tuple[Track, float]]:
                assert query == "jazz"
                return offered

            server = StreamServer(
                desk=desk,
                playlist_for=playlist_for,
                listen=Address(LOOPBACK, 0),
                converted=converted,
                covers=covers,
                max_connections=max_connections,
                clock=clock,
            )
            stack.enter_context(server)
            return Peer(desk, server, offered)

        yield make


@pytest.fixture
def client() -> Iterator[PeerClient]:
    """A listener on the machine of its broker, with short limits."""
    with PeerClient(allow=AddressRule(loopback_allowed=True), connect_timeout_s=2.0, piece_timeout_s=1.0) as client:
        yield client


@pytest.fixture
def listen_to(client: PeerClient) -> Callable[[Peer], PeerSession]:
    """Return a function that opens a session with a provider."""
    return lambda peer: client.open(LOOPBACK, peer.port, peer.ticket())


class Line:
    """A line to a server that the test can cut, at once or after so many bytes from the server."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._pairs: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.cut_after: list[int] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections."""
        with self._lock:
            for end in self._pairs:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            self._pairs.clear()

    def close(self) -> None:
        """Take no more connections, and break those that are there."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection((LOOPBACK, self._target))
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._pairs += [near, far]
                self.connections += 1
                limit = self.cut_after.pop(0) if self.cut_after else None
                threading.Thread(target=self._pump, args=(near, far, None), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, limit), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
                passed += len(data)
                if limit is not None and passed >= limit:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line_to() -> Iterator[Callable[[Peer], Line]]:
    """Return a function that lays a line to a provider."""
    lines: list[Line] = []

    def lay(peer: Peer) -> Line:
        lines.append(Line(peer.port))
        return lines[-1]

    yield lay
    for line in lines:
        line.close()

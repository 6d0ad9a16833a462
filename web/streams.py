"""What is being played: streams with unguessable ids, each bound to one tab."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dnai.errors import StreamError
from web.sources import PlaylistSource

logger = logging.getLogger(__name__)


@dataclass
class Stream:
    """One playlist on its way to one tab.

    `on_failure` is told the track and the error when its bytes cannot be had.
    """

    stream_id: str
    tab_id: str
    source: PlaylistSource
    on_failure: Callable[[Stream, str, StreamError], None] = field(repr=False)
    closed: threading.Event = field(default_factory=threading.Event, repr=False)

    last_piece_at: float = field(default_factory=time.monotonic, repr=False)

    @property
    def idle_s(self) -> float:
        """For how long nothing was read, seconds."""
        return time.monotonic() - self.last_piece_at

    def touch(self) -> None:
        """Note that a piece was read."""
        self.last_piece_at = time.monotonic()

    def failed(self, track_id: str, error: StreamError) -> None:
        """Report that `track_id` cannot be had, unless the stream was closed on purpose."""
        if not self.closed.is_set():
            self.on_failure(self, track_id, error)


class Streams:
    """The streams of all tabs; thread-safe."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._lock = threading.Lock()

    def open(
        self, source: PlaylistSource, *, tab_id: str, on_failure: Callable[[Stream, str, StreamError], None]
    ) -> Stream:
        """Make a stream of `source` for the tab `tab_id`."""
        stream = Stream(stream_id=secrets.token_urlsafe(18), tab_id=tab_id, source=source, on_failure=on_failure)
        with self._lock:
            self._streams[stream.stream_id] = stream
        return stream

    def get(self, stream_id: str) -> Stream | None:
        """Return the stream with this id, or None."""
        with self._lock:
            return self._streams.get(stream_id)

    def close(self, stream: Stream) -> None:
        """End a stream and its source."""
        stream.closed.set()
        with self._lock:
            self._streams.pop(stream.stream_id, None)
        stream.source.close()

    def close_all(self) -> None:
        """End every stream."""
        with self._lock:
            streams = list(self._streams.values())
        for stream in streams:
            self.close(stream)

    def __len__(self) -> int:
        with self._lock:
            return len(self._streams)

"""Audio over HTTP ranges, from the listener's own files and from sources that fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dnai.errors import PeerBrokeOffError, PeerRefusedError, StreamError
from dnai.tracks import AudioType, Playlist
from tests.web.conftest import MakeTrack
from web.audio import audio_blueprint
from web.sources import LocalSource, PlaylistSource
from web.streams import Stream, Streams

CONTENT = bytes(i % 241 for i in range(10_000))


class Studio:
    """A Flask app with the audio route, one stream, and what was reported as failed."""

    def __init__(self, source: PlaylistSource) -> None:
        self.streams = Streams()
        self.failures: list[tuple[str, StreamError]] = []
        self.stream = self.streams.open(source, tab_id="tab", on_failure=self._note)
        app = Flask("studio")
        app.register_blueprint(audio_blueprint(self.streams))
        self.client: FlaskClient = app.test_client()
        self.track_id = source.playlist.entries[0].track_id
        self.url = f"/audio/{self.stream.stream_id}/{self.track_id}"

    def _note(self, _stream: Stream, track_id: str, error: StreamError) -> None:
        self.failures.append((track_id, error))


class FailingSource:
    """A source that gives the first `good` bytes of a track and then fails."""

    def __init__(self, source: LocalSource, *, good: int, error: StreamError) -> None:
        self.playlist: Playlist = source.playlist
        self._source = source
        self._good = good
        self._error = error

    def read(self, track_id: str, start: int, stop: int) -> Iterator[bytes]:
        """Give the good bytes, then fail."""
        if self._good > start:
            yield from self._source.read(track_id, start, min(stop, self._good))
        if stop > self._good:
            raise self._error

    def prepare(self, track_id: str) -> int:
        """Tell the size."""
        return self._source.prepare(track_id)

    def close(self) -> None:
        """End the source."""
        self._source.close()


@pytest.fixture
def studio(make_track: MakeTrack) -> Studio:
    """One own mp3, ready to be asked for."""
    return Studio(LocalSource([(make_track(content=CONTENT), 0.5)]))


def test_the_whole_file_is_sent_with_our_own_type(studio: Studio) -> None:
    """Without a range: 200, all bytes, length, and that ranges are possible."""
    answer = studio.client.get(studio.url)
    assert answer.status_code == 200
    assert answer.data == CONTENT
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Content-Length"] == "10000"
    assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("audio_type", list(AudioType))
def test_each_kind_of_file_has_the_type_from_our_list(make_track: MakeTrack, audio_type: AudioType) -> None:
    """The content type follows from the kind of file that the playlist names, never from the file or a peer."""
    studio = Studio(LocalSource([(make_track(content=b"<html>", audio_type=audio_type), 0.5)]))
    assert studio.client.get(studio.url).headers["Content-Type"] == audio_type.mime


@pytest.mark.parametrize(
    ("wanted", "expected", "content_range"),
    [
        ("bytes=0-", CONTENT, "bytes 0-9999/10000"),
        ("bytes=5000-5009", CONTENT[5000:5010], "bytes 5000-5009/10000"),
        ("bytes=-100", CONTENT[-100:], "bytes 9900-9999/10000"),
        ("bytes=9999-20000", CONTENT[9999:], "bytes 9999-9999/10000"),
    ],
)
def test_a_range_is_sent_as_such(studio: Studio, wanted: str, expected: bytes, content_range: str) -> None:
    """Seeking asks for a range and gets 206 with exactly these bytes."""
    answer = studio.client.get(studio.url, headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.data == expected
    assert answer.headers["Content-Range"] == content_range
    assert answer.headers["Content-Length"] == str(len(expected))


def test_a_range_beyond_the_file_is_416(studio: Studio) -> None:
    """The answer says how long the file is, and nothing counts as failed."""
    answer = studio.client.get(studio.url, headers={"Range": "bytes=10000-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */10000"
    assert studio.failures == []


def test_if_range_only_holds_for_this_very_file(studio: Studio) -> None:
    """With the right tag the range is sent, with another the whole file."""
    etag = studio.client.get(studio.url).headers["ETag"]
    same = studio.client.get(studio.url, headers={"Range": "bytes=0-9", "If-Range": etag})
    other = studio.client.get(studio.url, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (same.status_code, other.status_code) == (206, 200)


def test_head_tells_the_length_and_reads_nothing(make_track: MakeTrack) -> None:
    """HEAD has the headers of GET, no body, and does not touch the source."""
    source = FailingSource(
        LocalSource([(make_track(content=CONTENT), 0.0)]), good=0, error=PeerBrokeOffError("it was read")
    )
    studio = Studio(source)
    answer = studio.client.head(studio.url)
    assert (answer.status_code, answer.headers["Content-Length"], answer.data) == (200, "10000", b"")
    assert studio.failures == []


@pytest.mark.parametrize(
    "url", ["/audio/none/none", "/audio/{stream}/none", "/audio/none/{track}", "/audio/{stream}/..%2f"]
)
def test_what_is_not_played_is_404(studio: Studio, url: str) -> None:
    """Streams and tracks that were never given out do not exist."""
    answer = studio.client.get(url.format(stream=studio.stream.stream_id, track=studio.track_id))
    assert answer.status_code == 404


def test_a_closed_stream_is_404(studio: Studio) -> None:
    """After the next playlist has taken over, the former address leads nowhere."""
    studio.streams.close(studio.stream)
    assert studio.client.get(studio.url).status_code == 404


@pytest.mark.parametrize(
    ("error", "status"), [(PeerRefusedError("the file is gone"), 410), (PeerBrokeOffError("it is dead"), 502)]
)
def test_a_source_that_fails_at_the_start_gets_a_status(make_track: MakeTrack, error: StreamError, status: int) -> None:
    """No byte came: the browser is told so, and the tab is told why."""
    studio = Studio(FailingSource(LocalSource([(make_track(content=CONTENT), 0.0)]), good=0, error=error))
    answer = studio.client.get(studio.url)
    assert answer.status_code == status
    assert studio.failures == [(studio.track_id, error)]
    assert str(error).encode() not in answer.data


def test_a_source_that_fails_in_the_middle_cuts_the_connection(make_track: MakeTrack) -> None:
    """The server closes at once instead of keeping the browser waiting for the rest, and the tab is told."""
    error = PeerBrokeOffError("it died")
    studio = Studio(FailingSource(LocalSource([(make_track(content=CONTENT), 0.0)]), good=4000, error=error))
    answer = studio.client.get(studio.url)
    with pytest.raises(ConnectionResetError):
        answer.get_data()
    assert studio.failures == [(studio.track_id, error)]


def test_a_stream_closed_on_purpose_reports_no_failure(make_track: MakeTrack) -> None:
    """When the next playlist takes over in the middle of a track, nobody is blamed."""
    studio = Studio(
        FailingSource(
            LocalSource([(make_track(content=CONTENT), 0.0)]), good=0, error=PeerBrokeOffError("session closed")
        )
    )
    studio.stream.closed.set()
    assert studio.client.get(studio.url).status_code == 502
    assert studio.failures == []


def test_stream_ids_cannot_be_guessed(make_track: MakeTrack) -> None:
    """Each stream has a new id of 144 random bits."""
    source = LocalSource([(make_track(), 0.0)])
    streams = Streams()
    ids = {streams.open(source, tab_id="tab", on_failure=lambda *_: None).stream_id for _ in range(100)}
    assert len(ids) == 100
    assert min(map(len, ids)) == 24
    streams.close_all()
    assert len(streams) == 0


class UnpreparedSource(FailingSource):
    """A source whose track has no size before it is prepared; `size` says what comes of that."""

    def __init__(self, source: LocalSource, *, size: int | StreamError) -> None:
        super().__init__(source, good=len(CONTENT), error=PeerBrokeOffError("read too far"))
        entry = dataclasses.replace(source.playlist.entries[0], size_bytes=0)
        self.playlist = Playlist((entry,))
        self._size = size

    def prepare(self, track_id: str) -> int:
        """Tell the size, or fail."""
        if isinstance(self._size, StreamError):
            raise self._size
        return self._size


def test_a_track_without_a_size_is_prepared_first(make_track: MakeTrack) -> None:
    """Ranges and lengths are those of what came of it."""
    studio = Studio(UnpreparedSource(LocalSource([(make_track(content=CONTENT), 0.0)]), size=len(CONTENT)))
    assert studio.client.get(studio.url).data == CONTENT
    answer = studio.client.get(studio.url, headers={"Range": "bytes=-100"})
    assert (answer.data, answer.headers["Content-Range"]) == (CONTENT[-100:], "bytes 9900-9999/10000")


@pytest.mark.parametrize(
    ("error", "status"), [(PeerRefusedError("cannot be converted"), 410), (PeerBrokeOffError("it is dead"), 502)]
)
def test_a_track_that_cannot_be_prepared_has_a_status(make_track: MakeTrack, error: StreamError, status: int) -> None:
    """The tab is told why; not so for HEAD, which only got the next track ready."""
    studio = Studio(UnpreparedSource(LocalSource([(make_track(content=CONTENT), 0.0)]), size=error))
    assert studio.client.head(studio.url).status_code == status
    assert studio.failures == []
    assert studio.client.get(studio.url).status_code == status
    assert studio.failures == [(studio.track_id, error)]

"""Covers as the page gets them: JPEGs of our own making, or 404."""

from __future__ import annotations

import io

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from dnai.audio.covers import Covers
from dnai.errors import PeerBrokeOffError, StreamError
from tests.web.conftest import MakeTrack
from web.app import _with_security_headers
from web.covers import cover_blueprint
from web.sources import LocalSource
from web.streams import Stream, Streams


def png(*, size: int = 500) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (size, size), "red").save(encoded, "PNG")
    return encoded.getvalue()


class Gallery:
    """A Flask app with the route of covers, and one stream whose cover the test says."""

    def __init__(self, make_track: MakeTrack, cover: bytes | StreamError | None) -> None:
        self.cover_of_peer = cover
        self.asked = 0
        self.failures: list[str] = []
        source = LocalSource([(make_track(), 0.0)])
        source.cover = self._cover  # type: ignore[method-assign]
        self.streams = Streams()
        self.stream = self.streams.open(source, tab_id="tab", on_failure=self._note)
        app = Flask("gallery")
        app.register_blueprint(cover_blueprint(self.streams))
        app.after_request(_with_security_headers)
        self.client: FlaskClient = app.test_client()
        self.url = f"/cover/{self.stream.stream_id}/{source.playlist.entries[0].track_id}"

    def _cover(self, track_id: str) -> bytes | None:
        self.asked += 1
        if isinstance(self.cover_of_peer, StreamError):
            raise self.cover_of_peer
        return self.cover_of_peer

    def _note(self, _stream: Stream, track_id: str, _error: StreamError) -> None:
        self.failures.append(track_id)


@pytest.fixture
def gallery(make_track: MakeTrack) -> Gallery:
    """A peer that sends a picture of another format, larger than it should be."""
    return Gallery(make_track, png())


def test_what_a_peer_sends_is_drawn_anew(gallery: Gallery) -> None:
    """A small JPEG, whatever came, with our own type, kept by this browser alone, and asked for once."""
    answer = gallery.client.get(gallery.url)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "private, max-age=86400"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "img-src 'self'" in answer.headers["Content-Security-Policy"]
    image = Image.open(io.BytesIO(answer.data))
    assert (image.format, image.size) == ("JPEG", (320, 320))
    assert gallery.client.get(gallery.url).data == answer.data
    assert gallery.asked == 1


@pytest.mark.parametrize(
    "cover",
    [
        None,
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html>",
        b"\xff\xd8\xff",
        png()[:-50],
    ],
)
def test_what_is_no_picture_is_404(make_track: MakeTrack, cover: bytes | None) -> None:
    """In plain text; nothing of what came is in it."""
    gallery = Gallery(make_track, cover)
    answer = gallery.client.get(gallery.url)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.data == b"There is no cover.\n"


def test_a_peer_that_fails_costs_the_cover_only(make_track: MakeTrack) -> None:
    """The music says itself when it breaks off; the next time it is asked again."""
    gallery = Gallery(make_track, PeerBrokeOffError("the connection was lost"))
    assert gallery.client.get(gallery.url).status_code == 404
    assert gallery.failures == []
    gallery.cover_of_peer = png()
    assert gallery.client.get(gallery.url).status_code == 200


def test_a_cover_that_was_not_there_in_time_is_asked_for_again(make_track: MakeTrack) -> None:
    """A provider that looks for it too long answers that there is none, and has it the next time."""
    gallery = Gallery(make_track, None)
    assert gallery.client.get(gallery.url).status_code == 404
    gallery.cover_of_peer = png()
    assert gallery.client.get(gallery.url).status_code == 200


@pytest.mark.parametrize(
    "url", ["/cover/none/none", "/cover/{stream}/none", "/cover/none/{track}", "/cover/{stream}/..%2f"]
)
def test_what_is_not_played_has_none(gallery: Gallery, url: str) -> None:
    """Streams and tracks that were never given out do not exist, and nobody is asked."""
    stream, track = gallery.url.split("/")[2:]
    assert gallery.client.get(url.format(stream=stream, track=track)).status_code == 404
    assert gallery.asked == 0


def test_a_closed_stream_has_none(gallery: Gallery) -> None:
    """The address is another for each stream."""
    gallery.client.get(gallery.url)
    gallery.streams.close(gallery.stream)
    assert gallery.client.get(gallery.url).status_code == 404


def test_own_tracks_have_the_covers_of_their_files(make_track: MakeTrack) -> None:
    """From the collection's own keeper; without one there are none."""
    track = make_track()
    covers = Covers(read=lambda path: b"picture" if path == track.path else None)
    source, bare = LocalSource([(track, 0.0)], covers=covers), LocalSource([(track, 0.0)])
    assert source.cover(source.playlist.entries[0].track_id) == b"picture"
    assert bare.cover(bare.playlist.entries[0].track_id) is None

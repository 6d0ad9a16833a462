"""The sound itself: ``/audio/STREAM/TRACK``, over HTTP ranges.

Every codec of the browser, seeking and pausing work because this is a plain file to the browser.
Bytes are taken from the source only as fast as the browser takes them. The answer to the first request for a
track that has to be converted waits until that is done. ``HEAD`` has it converted without reading it, which is
how the page gets the next track ready; nothing counts as failed then.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Generator, Iterator
from http import HTTPStatus

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.http import unquote_etag

from dnai.errors import PeerRefusedError, StreamError
from dnai.tracks import PlaylistEntry
from web.ranges import ByteRange, RangeNotSatisfiableError, wanted_range
from web.streams import Stream, Streams

logger = logging.getLogger(__name__)


def audio_blueprint(streams: Streams) -> Blueprint:
    """Return the route that serves the tracks of `streams`."""
    blueprint = Blueprint("audio", __name__)

    def track(stream_id: str, track_id: str) -> ResponseReturnValue:
        stream = streams.get(stream_id)
        entry = stream.source.playlist.entry(track_id) if stream else None
        if stream is None or entry is None:
            return _plain("There is no such track here, or it is no longer played.", HTTPStatus.NOT_FOUND)
        try:
            size_bytes = entry.size_bytes or stream.source.prepare(track_id)
        except StreamError as error:
            return _refusal(stream, track_id, error)
        try:
            part = wanted_range(_range_header(stream_id, track_id), size_bytes=size_bytes)
        except RangeNotSatisfiableError as error:
            refusal = _plain(f"{error}.", HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            refusal.headers["Content-Range"] = f"bytes */{size_bytes}"
            return refusal
        return _answer(stream, entry, part, size_bytes=size_bytes)

    blueprint.add_url_rule("/audio/<stream_id>/<track_id>", "track", track, methods=["GET"])
    return blueprint


def _range_header(stream_id: str, track_id: str) -> str | None:
    """Return the ``Range`` header, unless ``If-Range`` names something else than this very file."""
    if_range = request.headers.get("If-Range")
    if if_range is not None and unquote_etag(if_range) != (_etag(stream_id, track_id), False):
        return None
    return request.headers.get("Range")


def _etag(stream_id: str, track_id: str) -> str:
    """A track of a stream never changes, so its address is its version."""
    return f"{stream_id}.{track_id}"


def _answer(stream: Stream, entry: PlaylistEntry, part: ByteRange | None, *, size_bytes: int) -> Response:
    wanted = part or ByteRange(0, size_bytes)
    body: Iterator[bytes] = iter(())
    if request.method == "GET" and wanted.length:
        try:
            body = _begun(_pieces(stream, entry.track_id, wanted))
        except StreamError as error:
            return _refusal(stream, entry.track_id, error)
    response = Response(body, status=HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK)
    response.headers["Content-Type"] = entry.audio_type.mime
    response.headers["Content-Length"] = str(wanted.length)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "private, no-store"
    response.set_etag(_etag(stream.stream_id, entry.track_id))
    if part:
        response.headers["Content-Range"] = part.content_range(size_bytes)
    return response


def _begun(pieces: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    """Take the first piece at once, so that a source which fails at the start still gets a status."""
    first = next(pieces, b"")

    def rest() -> Generator[bytes, None, None]:
        try:
            yield first
            yield from pieces
        finally:
            pieces.close()

    return rest()


def _pieces(stream: Stream, track_id: str, wanted: ByteRange) -> Generator[bytes, None, None]:
    """Yield what the source gives, never more than was announced; an error once begun cuts the connection."""
    left = wanted.length
    begun = False
    try:
        for piece in stream.source.read(track_id, wanted.start, wanted.stop):
            if stream.closed.is_set():
                raise ConnectionResetError(errno.ECONNRESET, "the stream was closed")
            stream.touch()
            yield piece[:left]
            begun = True
            left -= len(piece)
            if left <= 0:
                return
    except StreamError as error:
        if not begun:
            raise
        stream.failed(track_id, error)
        logger.warning("stream %s broke off: %s", stream.stream_id[:6], error)
        # The server closes the connection at once, and the browser sees that bytes are missing.
        raise ConnectionResetError(errno.ECONNRESET, "the source broke off") from error


def _refusal(stream: Stream, track_id: str, error: StreamError) -> Response:
    if request.method == "GET":
        stream.failed(track_id, error)
    status = HTTPStatus.GONE if isinstance(error, PeerRefusedError) else HTTPStatus.BAD_GATEWAY
    return _plain("The music cannot be had from there at the moment.", status)


def _plain(text: str, status: HTTPStatus) -> Response:
    return Response(text + "\n", status=status, mimetype="text/plain")

"""The covers of what plays: ``/cover/STREAM/TRACK``, small JPEGs.

A peer is never trusted: what it sends is decoded here, by one of five plain decoders, and drawn anew. So the browser
gets a JPEG that we made, whatever came: no other format, no script, and nothing hidden behind a picture.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from http import HTTPStatus

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from dnai.audio.pictures import small_jpeg
from dnai.errors import StreamError
from web.streams import Stream, Streams

MAX_KEPT = 200
"""8 MB at the most."""
_KEPT_BY_BROWSERS = "private, max-age=86400"
_NONE = "There is no cover.\n"

logger = logging.getLogger(__name__)


def cover_blueprint(streams: Streams) -> Blueprint:
    """Return the route that serves the covers of the tracks of `streams`."""
    blueprint = Blueprint("cover", __name__)
    painter = _Painter()

    def cover(stream_id: str, track_id: str) -> ResponseReturnValue:
        stream = streams.get(stream_id)
        entry = stream.source.playlist.entry(track_id) if stream else None
        picture = painter.paint(stream, track_id) if stream and entry else None
        if picture is None:
            return Response(_NONE, status=HTTPStatus.NOT_FOUND, mimetype="text/plain")
        response = Response(picture, mimetype="image/jpeg")
        response.headers["Cache-Control"] = _KEPT_BY_BROWSERS  # the address is another for each stream
        return response

    blueprint.add_url_rule("/cover/<stream_id>/<track_id>", "cover", cover, methods=["GET"])
    return blueprint


class _Painter:
    """Asks for covers and draws them anew; one picture at a time, and the last ones are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], bytes | None] = OrderedDict()
        self._lock = threading.Lock()

    def paint(self, stream: Stream, track_id: str) -> bytes | None:
        """Return the cover as a JPEG of our own; None where there is none, or none can be had now."""
        key = stream.stream_id, track_id
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        try:
            data = stream.source.cover(track_id)
        except StreamError as error:
            logger.info("a cover of stream %s… cannot be had: %s", stream.stream_id[:6], error)
            return None
        if data is None:  # perhaps only not in time
            return None
        with self._lock:
            picture = self._kept[key] = small_jpeg(data)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return picture

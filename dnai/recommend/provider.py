"""The provider's side of a request: what a worker answers, without any input or output."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnai.errors import ProtocolError, UsageError
from dnai.library.collection import SpaceVectors
from dnai.library.columns import GENRES
from dnai.library.track_list import TrackList, genre_codes
from dnai.recommend.distance import euclidean_distances, nearest_rows
from dnai.recommend.messages import Decline, Goodbye, Hello, Offer, Request
from dnai.tracks import MAX_PLAYLIST_TRACKS, Genre, Track

NO_TRACKS = "no_tracks"
UNKNOWN_SPACE = "unknown_space"
BUSY = "busy"

NEARLY_ALL = 0.9
"""A space that covers this share of what the best-covered one does counts as known, as `Shelf.choose_space` says."""

_MAX_USERS_COUNTED = 1000


@dataclass(frozen=True, slots=True, eq=False)
class PlaylistQuery:
    """What a ticket stands for: the genre asked for, and the vector to be near to, shape ``(d,)``."""

    genre: Genre
    space_id: str
    vector: NDArray[np.float32]


class Shelf:
    """A collection as it stands at one moment, arranged by genre; never changed, only replaced.

    Parameters
    ----------
    tracks
        The tracks, length ``n``.
    spaces
        For each feature space the vectors of the tracks that have one in it.

    Raises
    ------
    UsageError
        When a space has not one vector for each of its rows, or rows of other tracks.
    """

    def __init__(self, tracks: Sequence[Track], spaces: Sequence[SpaceVectors]) -> None:
        self._tracks = tracks if isinstance(tracks, TrackList) else tuple(tracks)
        self._spaces = {space.space_id: space for space in spaces}
        codes = genre_codes(self._tracks)
        counts = np.bincount(codes, minlength=len(GENRES)).tolist()
        self._counts = {genre: count for genre, count in zip(GENRES, counts, strict=True) if count}
        self._parts: dict[tuple[Genre, str], _Part] = {}
        for space in spaces:
            _check_rows(space, len(tracks))
            for genre, part in _parts(space, codes):
                self._parts[genre, space.space_id] = part

    def __len__(self) -> int:
        return len(self._tracks)

    def counts(self) -> dict[Genre, int]:
        """Return how many tracks there are of each genre that has any."""
        return dict(self._counts)

    def dimension(self, space_id: str) -> int | None:
        """Return how many numbers a vector of `space_id` has, or None where the space is unknown here."""
        space = self._spaces.get(space_id)
        return None if space is None else space.matrix.shape[1]

    def model_id(self, space_id: str) -> str:
        """Return the classifier of a space that is known here."""
        return self._spaces[space_id].model_id

    def covered(self, genre: Genre, space_id: str) -> int:
        """Return how many tracks of `genre` have a vector in `space_id`."""
        part = self._parts.get((genre, space_id))
        return 0 if part is None else len(part.rows)

    def heard(self, space_id: str) -> int:
        """Return how many tracks of whatever genre have a vector in a space that is known here."""
        return len(self._spaces[space_id].rows)

    def choose_space(self, genre: Genre, space_ids: Iterable[str]) -> str | None:
        """Return the space to measure tracks of `genre` in, of those given in order of preference.

        A space counts as known when it covers at least `NEARLY_ALL` of the tracks of that genre that
        the best-covered space of this shelf covers; the first such is chosen. So a catalogue that is
        being brought up to date goes on answering in the old space until the new one is nearly
        complete. Where none of the given spaces is that far, the best covered of them is chosen, and
        where none has any vector, the result is None. Where there is no track of the genre at all, any
        space of this shelf counts as known.
        """
        asked = [space_id for space_id in space_ids if space_id in self._spaces]
        best = max((self.covered(genre, space_id) for space_id in self._spaces), default=0)
        if genre in self._counts:
            asked = [space_id for space_id in asked if self.covered(genre, space_id)]
        known = [space_id for space_id in asked if self.covered(genre, space_id) >= NEARLY_ALL * best]
        if known:
            return known[0]
        return max(asked, key=lambda space_id: self.covered(genre, space_id), default=None)

    def distances(self, query: PlaylistQuery) -> NDArray[np.float32]:
        """Return the distances from the query's vector to the tracks of its genre; empty where there are none."""
        part = self._parts.get((query.genre, query.space_id))
        if part is None:
            return np.empty(0, dtype=np.float32)
        return euclidean_distances(query.vector, part.matrix, places=part.places)

    def nearest(self, query: PlaylistQuery, *, limit: int = MAX_PLAYLIST_TRACKS) -> list[tuple[Track, float]]:
        """Return the tracks of the query's genre with their distances, the nearest first, at most `limit`."""
        part = self._parts.get((query.genre, query.space_id))
        if part is None:
            return []
        distances = self.distances(query)
        return [(self._tracks[part.rows[i]], float(distances[i])) for i in nearest_rows(distances, limit)]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The tracks of one genre that have a vector in one space: which they are, and where in the space's matrix.

    `rows` and `places` have shape ``(k,)``; the vectors stay where they are, in one array for all genres.
    """

    rows: NDArray[np.intp]
    matrix: NDArray[np.float32]
    places: NDArray[np.intp]


def _parts(space: SpaceVectors, codes: NDArray[np.int8]) -> Iterator[tuple[Genre, _Part]]:
    """The parts of a space, for each genre that has any; `codes` are the genres of all tracks."""
    found = codes[space.rows]
    order = np.argsort(found, kind="stable")
    rows = space.rows[order]
    places = order if space.places is None else space.places[order]
    ends = np.cumsum(np.bincount(found, minlength=len(GENRES))).tolist()
    for genre, start, end in zip(GENRES, [0, *ends], ends, strict=False):
        if end > start:
            yield genre, _Part(rows[start:end], space.matrix, places[start:end])


def _check_rows(space: SpaceVectors, tracks: int) -> None:
    rows, matrix, places = space.rows, space.matrix, space.places
    if matrix.ndim != 2 or len(rows) != len(matrix if places is None else places):
        raise UsageError(f"{space.space_id}: vectors of shape {matrix.shape} for {len(rows)} tracks")
    if places is not None and len(places) and not 0 <= places.min() <= places.max() < len(matrix):
        raise UsageError(f"{space.space_id}: places from {places.min()} to {places.max()} of {len(matrix)} vectors")
    if len(rows) and not 0 <= rows.min() <= rows.max() < tracks:
        raise UsageError(f"{space.space_id}: rows from {rows.min()} to {rows.max()} of {tracks} tracks")


@dataclass(frozen=True, slots=True)
class RequestLimit:
    """How many requests of one user are answered: `burst` at once, and `per_s` a second from then on."""

    burst: float = 50.0
    per_s: float = 20.0


class Provider:
    """Answers requests out of a shelf.

    Parameters
    ----------
    provider_id
        Random, and the same for as long as the data directory lives.
    name
        A label for people; nothing is decided by it.
    issue_ticket
        Called with the user and the query of each offer; returns the ticket that goes into it.
    host, port
        Where listeners reach the stream server.
    """

    def __init__(
        self,
        *,
        provider_id: str,
        name: str,
        issue_ticket: Callable[[str, PlaylistQuery], str],
        host: str,
        port: int,
        limit: RequestLimit | None = None,
    ) -> None:
        self.provider_id = provider_id
        self.name = name
        self.shelf = Shelf((), ())
        self._issue_ticket = issue_ticket
        self._host = host
        self._port = port
        self._throttle = _Throttle(limit or RequestLimit())

    def hello(self) -> Hello:
        """Return the message that says this provider is there."""
        return Hello(provider_id=self.provider_id, name=self.name, tracks=len(self.shelf))

    def goodbye(self) -> Goodbye:
        """Return the message that says this provider is going."""
        return Goodbye(provider_id=self.provider_id)

    def answer(self, request: Request, *, user_id: str, reply_to: str, now: float) -> Offer | Decline:
        """Return the answer to `request`.

        Parameters
        ----------
        user_id
            Who asks, as the broker has checked it.
        reply_to
            The routing key that the answer will go to; it must be the asker's own.
        now
            The time in seconds, of any steady clock.

        Raises
        ------
        ProtocolError
            When the reply key is not the asker's, or a vector does not have the dimension of its space.
        """
        if not user_id or reply_to.rpartition(".")[0] != user_id:
            raise ProtocolError(f"request of user {user_id!r} wants its answer sent to {reply_to[:80]!r}")
        if not self._throttle.admits(user_id, now=now):
            return self._decline(BUSY)
        shelf = self.shelf  # it may be replaced meanwhile
        query = self._query(request, shelf)
        if query is None:
            return self._decline(UNKNOWN_SPACE)
        distances = shelf.distances(query)
        if not len(distances):
            return self._decline(NO_TRACKS)
        return Offer(
            provider_id=self.provider_id,
            name=self.name,
            space_id=query.space_id,
            model_id=shelf.model_id(query.space_id),
            mean_distance=float(np.add.reduce(distances)) / len(distances),
            tracks=len(distances),
            collection=shelf.heard(query.space_id),
            host=self._host,
            port=self._port,
            ticket=self._issue_ticket(user_id, query),
        )

    def _query(self, request: Request, shelf: Shelf) -> PlaylistQuery | None:
        """The vector of the first space of the request that is known here."""
        space_id = shelf.choose_space(request.genre, request.vectors)
        if space_id is None:
            return None
        numbers, dimension = request.vectors[space_id], shelf.dimension(space_id)
        if len(numbers) != dimension:
            raise ProtocolError(f"a vector of {space_id} has {dimension} numbers, not {len(numbers)}")
        return PlaylistQuery(request.genre, space_id, np.asarray(numbers, dtype=np.float32))

    def _decline(self, reason: str) -> Decline:
        return Decline(provider_id=self.provider_id, name=self.name, reason=reason)


class _Throttle:
    """One token bucket a user; the users seen longest ago are forgotten."""

    def __init__(self, limit: RequestLimit) -> None:
        self._limit = limit
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admits(self, user_id: str, *, now: float) -> bool:
        tokens, since = self._buckets.pop(user_id, (self._limit.burst, now))
        tokens = min(self._limit.burst, tokens + (now - since) * self._limit.per_s)
        admitted = tokens >= 1.0
        self._buckets[user_id] = (tokens - 1.0 if admitted else tokens, now)
        if len(self._buckets) > _MAX_USERS_COUNTED:
            self._buckets.popitem(last=False)
        return admitted

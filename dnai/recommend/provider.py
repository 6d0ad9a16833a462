"""The provider's side of a request: what a worker answers, without any input or output."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnai.errors import ProtocolError, UsageError
from dnai.recommend.distance import euclidean_distances
from dnai.recommend.messages import Decline, Goodbye, Hello, Offer, Request
from dnai.tracks import MAX_PLAYLIST_TRACKS, Genre, Track

NO_TRACKS = "no_tracks"
UNKNOWN_SPACE = "unknown_space"
BUSY = "busy"

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
        For each feature space the vectors of the tracks, shape ``(n, d)``.

    Raises
    ------
    UsageError
        When a space has not one vector for each track.
    """

    def __init__(self, tracks: Sequence[Track], spaces: Mapping[str, NDArray[np.float32]]) -> None:
        for space_id, matrix in spaces.items():
            if matrix.ndim != 2 or len(matrix) != len(tracks):
                raise UsageError(f"{space_id}: vectors of shape {matrix.shape} for {len(tracks)} tracks")
        self._tracks = tuple(tracks)
        self._dimensions = {space_id: matrix.shape[1] for space_id, matrix in spaces.items()}
        self._rows: dict[Genre, NDArray[np.intp]] = {}
        self._matrices: dict[tuple[Genre, str], NDArray[np.float32]] = {}
        for genre in Genre:
            rows = np.array([i for i, track in enumerate(tracks) if track.genre is genre], dtype=np.intp)
            if len(rows):
                self._rows[genre] = rows
                for space_id, matrix in spaces.items():
                    self._matrices[genre, space_id] = np.ascontiguousarray(matrix[rows], dtype=np.float32)

    def __len__(self) -> int:
        return len(self._tracks)

    def counts(self) -> dict[Genre, int]:
        """Return how many tracks there are of each genre that has any."""
        return {genre: len(rows) for genre, rows in self._rows.items()}

    def dimension(self, space_id: str) -> int | None:
        """Return how many numbers a vector of `space_id` has, or None where the space is unknown here."""
        return self._dimensions.get(space_id)

    def distances(self, query: PlaylistQuery) -> NDArray[np.float32]:
        """Return the distances from the query's vector to the tracks of its genre; empty where there are none."""
        matrix = self._matrices.get((query.genre, query.space_id))
        if matrix is None:
            return np.empty(0, dtype=np.float32)
        return euclidean_distances(query.vector, matrix)

    def nearest(self, query: PlaylistQuery, *, limit: int = MAX_PLAYLIST_TRACKS) -> list[tuple[Track, float]]:
        """Return the tracks of the query's genre with their distances, the nearest first, at most `limit`."""
        distances = self.distances(query)
        order = np.argsort(distances, kind="stable")[:limit]
        rows = self._rows.get(query.genre, np.empty(0, dtype=np.intp))
        return [(self._tracks[rows[i]], float(distances[i])) for i in order]


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
    model_id
        Which classifier told the genres.
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
        model_id: str,
        issue_ticket: Callable[[str, PlaylistQuery], str],
        host: str,
        port: int,
        limit: RequestLimit | None = None,
    ) -> None:
        self.provider_id = provider_id
        self.name = name
        self.shelf = Shelf((), {})
        self._model_id = model_id
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
        query = self._query(request)
        if query is None:
            return self._decline(UNKNOWN_SPACE)
        distances = self.shelf.distances(query)
        if not len(distances):
            return self._decline(NO_TRACKS)
        return Offer(
            provider_id=self.provider_id,
            name=self.name,
            space_id=query.space_id,
            model_id=self._model_id,
            mean_distance=float(np.add.reduce(distances)) / len(distances),
            tracks=len(distances),
            host=self._host,
            port=self._port,
            ticket=self._issue_ticket(user_id, query),
        )

    def _query(self, request: Request) -> PlaylistQuery | None:
        """The first vector of the request whose space is known here."""
        for space_id, numbers in request.vectors.items():
            dimension = self.shelf.dimension(space_id)
            if dimension is not None:
                if len(numbers) != dimension:
                    raise ProtocolError(f"a vector of {space_id} has {dimension} numbers, not {len(numbers)}")
                return PlaylistQuery(request.genre, space_id, np.asarray(numbers, dtype=np.float32))
        return None

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

"""The listener's side, put together: own collection, the circle, and the music of its members.

One `Listener` serves one web app, or one command in the terminal. A `Target` is what the music is
to be near; a `Search` is a target on its way through the circle: it asks, opens the winner's
session, and goes on to the next best.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dnai.audio.converted import ConvertedTracks
from dnai.audio.covers import Covers
from dnai.errors import BrokerError, BrokerUnreachableError, CatalogueError, StreamError, UsageError
from dnai.genre.model import GenreModel
from dnai.library.collection import Collection, LiveCollection
from dnai.recommend.gather import GatherResult, ReceivedOffer
from dnai.recommend.midpoint import Midpoint, space_midpoints
from dnai.recommend.provider import NEARLY_ALL, PlaylistQuery, Shelf
from dnai.recommend.requester import PresentProvider
from dnai.tracks import MAX_PLAYLIST_TRACKS, Genre, GenreOrigin, Track
from web.sources import LocalSource, PlaylistSource
from web.succession import PassedOver, Succession

logger = logging.getLogger(__name__)

NO_BROKER = "no broker is set: start with --broker amqp://USER:PASSWORD@HOST:PORT/VHOST, or set DNAI_BROKER"


class Circle(Protocol):
    """What a listener needs of a :class:`dnai.broker.scatter.Scatter`."""

    @property
    def connected(self) -> bool:
        """Whether the broker is there at this moment."""

    def ask(self, genre: Genre, vectors: Mapping[str, NDArray[np.float32]]) -> GatherResult:
        """Ask everybody, and wait for their answers; raises `BrokerError`."""

    def who(self) -> tuple[PresentProvider, ...]:
        """Return who else is present; raises `BrokerError`."""


class Peers(Protocol):
    """What a listener needs of a :class:`dnai.stream.client.PeerClient`."""

    def open(self, host: str, port: int, ticket: str) -> PlaylistSource:
        """Open a session with a provider; raises `StreamError`."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What the music is to be near.

    `vectors` has one vector, shape ``(d,)``, for each feature space that the listener has one in, the
    preferred space first: of `track`, or the listener's midpoint of `genre`. In the spaces named in
    `references` it is the model's own midpoint, since the listener has no such track there.
    """

    genre: Genre
    vectors: Mapping[str, NDArray[np.float32]]
    track: Track | None = None
    references: frozenset[str] = frozenset()

    @property
    def space_id(self) -> str:
        """The preferred feature space."""
        return next(iter(self.vectors))

    @property
    def is_reference(self) -> bool:
        """Whether the preferred vector is a model's own midpoint."""
        return self.space_id in self.references

    @property
    def is_guess(self) -> bool:
        """Whether the genre is only the most probable one of a song that no model is sure of."""
        return self.track is not None and self.track.genre_origin is GenreOrigin.UNSURE

    @property
    def spoken(self) -> str:
        """What was asked for, in words: a genre, or a song's title."""
        return self.track.title if self.track else self.genre.spoken


@dataclass(frozen=True, slots=True)
class Turn:
    """A provider whose session is open, and whose playlist can be played."""

    offer: ReceivedOffer
    source: PlaylistSource


@dataclass(frozen=True, slots=True)
class _Taste:
    """What follows from one state of the collection."""

    collection: Collection
    shelf: Shelf
    midpoints: Mapping[str, Mapping[Genre, Midpoint]]


class Listener:
    """A listener's collection, circle and peers; for several threads.

    Parameters
    ----------
    collection
        The listener's own tracks; may be empty.
    models
        Those of the collection, in order of preference: their midpoints stand in.
    circle
        The broker's side; None where no broker is set: the own collection still plays.
    peers
        Opens sessions with providers.
    clock
        Steady seconds.
    converted
        Where own tracks are converted that browsers do not play; needed by whoever plays them.
    covers
        Where the covers of own tracks are; without it there are none.
    """

    def __init__(
        self,
        *,
        collection: LiveCollection,
        models: Sequence[GenreModel],
        circle: Circle | None,
        peers: Peers,
        clock: Callable[[], float],
        converted: ConvertedTracks | None = None,
        covers: Covers | None = None,
    ) -> None:
        self._converted = converted
        self._covers = covers
        self._live = collection
        self._models = tuple(models)
        self._circle = circle
        self._peers = peers
        self._clock = clock
        self._last_taste: _Taste | None = None

    @property
    def has_broker(self) -> bool:
        """Whether a broker is set at all."""
        return self._circle is not None

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._circle is not None and self._circle.connected

    def who(self) -> tuple[PresentProvider, ...] | None:
        """Return who else is in the circle now, or None while the broker is away."""
        if self._circle is None or not self._circle.connected:
            return None
        try:
            return self._circle.who()
        except BrokerError as error:
            logger.info("who is there is not known: %s", error)
            return None

    def own_tracks(self) -> Sequence[Track]:
        """Return the listener's own tracks; raises `CatalogueError`."""
        return self._live.current().tracks

    def own_count(self) -> int | None:
        """Return how many tracks the listener has, or None while the catalogue cannot be read."""
        try:
            return len(self._live.current())
        except CatalogueError as error:
            logger.warning("the own collection is not known: %s", error)
            return None

    def target(self, *, genre: Genre | None = None, track: Track | None = None) -> Target:
        """Return what the music is to be near: `track`, else the listener's midpoint of `genre`.

        Raises
        ------
        UsageError
            When neither is given, or the track is no longer in the collection.
        CatalogueError
            When the catalogue cannot be read.
        """
        taste = self._taste()
        if track is not None:
            return _track_target(taste.collection, track)
        if genre is None:
            raise UsageError("name a genre or a track to ask for")
        return _genre_target(taste, genre)

    def own_nearest(self, target: Target) -> LocalSource:
        """Return the listener's own tracks of the target's genre, the nearest first.

        They are measured in the most preferred space in which nearly all of them have a vector.
        """
        shelf = self._taste().shelf
        space_id = shelf.choose_space(target.genre, target.vectors)
        if space_id is None:
            return LocalSource(())
        query = PlaylistQuery(genre=target.genre, space_id=space_id, vector=target.vectors[space_id])
        nearest = shelf.nearest(query, limit=MAX_PLAYLIST_TRACKS)
        return LocalSource(nearest, converted=self._converted, covers=self._covers)

    def search(self, target: Target) -> Search:
        """Return a search of the circle for `target`; nothing is sent yet."""
        return Search(target, ask=self._ask, open_session=self._open, clock=self._clock)

    def _taste(self) -> _Taste:
        collection = self._live.current()
        taste = self._last_taste
        if taste is None or taste.collection is not collection:
            taste = _Taste(
                collection=collection,
                shelf=Shelf(collection.tracks, collection.spaces),
                midpoints={
                    space.space_id: space_midpoints(collection.tracks, space, reference=model.midpoints)
                    for model, space in zip(self._models, collection.spaces, strict=True)
                },
            )
            self._last_taste = taste
        return taste

    def _ask(self, target: Target) -> GatherResult:
        if self._circle is None:
            raise BrokerUnreachableError(NO_BROKER)
        return self._circle.ask(target.genre, target.vectors)

    def _open(self, offer: ReceivedOffer) -> PlaylistSource:
        return self._peers.open(offer.host, offer.port, offer.ticket)


def _track_target(collection: Collection, track: Track) -> Target:
    try:
        vectors = collection.vectors(track)
    except KeyError:
        raise UsageError(f"{track.title!r} is no longer in your collection") from None
    if not vectors:
        raise UsageError(f"no model has heard {track.title!r} yet: scan its folder, and ask again")
    return Target(track.genre, vectors, track=track)


def _genre_target(taste: _Taste, genre: Genre) -> Target:
    """The midpoint of a genre in each space; first come those that know the listener's taste.

    While a catalogue is being brought up to date, a space that hardly any of the listener's own
    tracks have a vector in stands behind the others, although it is preferred.
    """
    covered = {space_id: taste.shelf.covered(genre, space_id) for space_id in taste.midpoints}
    enough = NEARLY_ALL * max(covered.values())
    order = sorted(covered, key=lambda space_id: covered[space_id] < enough)
    midpoints = {space_id: taste.midpoints[space_id][genre] for space_id in order}
    return Target(
        genre,
        {space_id: midpoint.vector for space_id, midpoint in midpoints.items()},
        references=frozenset(space_id for space_id, midpoint in midpoints.items() if midpoint.is_reference),
    )


class Search:
    """One target on its way through the circle; for one thread at a time."""

    def __init__(
        self,
        target: Target,
        *,
        ask: Callable[[Target], GatherResult],
        open_session: Callable[[ReceivedOffer], PlaylistSource],
        clock: Callable[[], float],
    ) -> None:
        self.target = target
        self._ask = ask
        self._open_session = open_session
        self._clock = clock
        self._succession: Succession | None = None

    @property
    def succession(self) -> Succession | None:
        """The offers and what became of them; None before anybody was asked."""
        return self._succession

    def gather(self) -> GatherResult:
        """Ask the circle, for the first time or anew; raises `BrokerError`."""
        return self._gathered().result

    def next_turn(self, *, on_passed_over: Callable[[PassedOver], None]) -> Turn | None:
        """Open the session of the nearest provider that has not had its turn; None when none is left.

        Whoever cannot be reached, or refuses, is passed over, and `on_passed_over` is told at once.
        Offers too old for their tickets are asked for again.

        Raises
        ------
        BrokerError
            When the circle has to be asked and cannot be.
        """
        succession = self._succession
        if succession is None or succession.is_stale(self._clock()):
            succession = self._gathered()
        while (offer := succession.next_offer()) is not None:
            try:
                source = self._open_session(offer)
            except StreamError as error:
                logger.info("passed over %s for request %s: %s", offer.name, succession.result.correlation_id, error)
                on_passed_over(succession.pass_over(offer, reason=str(error)))
                continue
            if source.playlist.entries:
                succession.plays(offer)
                return Turn(offer=offer, source=source)
            source.close()
            on_passed_over(succession.pass_over(offer, reason="its playlist is empty"))
        return None

    def give_up_on(self, offer: ReceivedOffer, *, reason: str) -> PassedOver:
        """Note that a provider which was playing cannot go on."""
        if self._succession is None:
            raise UsageError("nobody was asked yet")
        return self._succession.pass_over(offer, reason=reason)

    def _gathered(self) -> Succession:
        result = self._ask(self.target)
        now = self._clock()
        if self._succession is None:
            self._succession = Succession(result, gathered_at=now)
        else:
            self._succession.renew(result, gathered_at=now)
        return self._succession

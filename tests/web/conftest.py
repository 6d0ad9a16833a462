"""Tracks, files, offers and a clock for the tests of the web app."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dnai.errors import BrokerClosedError, BrokerError, PeerUnreachableError
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.collection import LiveCollection
from dnai.recommend.gather import GatherResult, ProviderKey, ReceivedDecline, ReceivedOffer
from dnai.recommend.requester import PresentProvider
from dnai.tracks import AudioType, Genre, GenreOrigin, Track
from tests.models import copy_model, known_of, other_model
from web.listener import Listener
from web.sources import PlaylistSource

MakeTrack = Callable[..., Track]


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time, seconds."""
        return self.now


def made_offer(name: str, distance: float, *, provider_id: str = "", space_id: str = "space") -> ReceivedOffer:
    """Return an offer of the user `name`."""
    return ReceivedOffer(
        provider=ProviderKey(name, provider_id or f"{name}-collection-0001"),
        name=name.title(),
        mean_distance=distance,
        weighed_distance=distance,
        tracks=5,
        collection=10,
        host="127.0.0.1",
        port=7711,
        ticket=f"ticket-of-{name}-000000",
        space_id=space_id,
        model_id="model",
        latency_s=0.01,
        received_at=0.0,
    )


def made_result(
    *offers: ReceivedOffer,
    left_out: tuple[ReceivedOffer, ...] = (),
    declines: tuple[tuple[str, str], ...] = (),
    silent: tuple[str, ...] = (),
    nobody_else: bool = False,
) -> GatherResult:
    """Return what came of a request for jazz; `declines` are names and reasons."""
    return GatherResult(
        correlation_id="c",
        genre=Genre.JAZZ,
        offers=offers,
        left_out=left_out,
        own=(),
        declines=tuple(ReceivedDecline(ProviderKey(n, n * 16), n.title(), reason, 0.01) for n, reason in declines),
        silent=silent,
        nobody_else=nobody_else,
        elapsed_s=0.02,
    )


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> GenreModel:
    """The model that comes with DN.ai, with vectors of any length, so that distances can be told beforehand."""
    return GenreModel(copy_model(tmp_path_factory.mktemp("models") / "librosa26", length_one=False))


@pytest.fixture
def make_track(tmp_path: Path) -> MakeTrack:
    """Makes a track with a file of known bytes behind it."""

    def make(
        title: str = "So What",
        *,
        content: bytes = bytes(range(256)) * 40,
        audio_type: AudioType = AudioType.MP3,
        genre: Genre = Genre.JAZZ,
        artist: str = "Somebody",
        origin: GenreOrigin = GenreOrigin.TAG,
    ) -> Track:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{audio_type.value}"
        path.write_bytes(content)
        status = path.stat()
        return Track(
            path=path,
            title=title,
            artist=artist,
            album="",
            year=None,
            genre=genre,
            genre_origin=origin,
            model_genre=genre,
            confidence=0.5,
            duration_s=3.0,
            audio_type=audio_type,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
        )

    return make


class Scripted:
    """A circle that answers each request with the next of its results, and peers that open or not."""

    def __init__(self, *results: GatherResult | BrokerError, source: PlaylistSource | None = None) -> None:
        self.results = list(results)
        self.asked: list[tuple[Genre, Mapping[str, NDArray[np.float32]]]] = []
        self.opened: list[str] = []
        self.dead: set[str] = set()
        self.connected = True
        self._source = source

    def ask(self, genre: Genre, vectors: Mapping[str, NDArray[np.float32]]) -> GatherResult:
        """Answer with the next result."""
        self.asked.append((genre, vectors))
        result = self.results.pop(0)
        if isinstance(result, BrokerError):
            raise result
        return result

    def who(self) -> tuple[PresentProvider, ...]:
        """Say that the connection was lost."""
        raise BrokerClosedError("lost")

    def open(self, host: str, port: int, ticket: str) -> PlaylistSource:
        """Open the source, unless the one whose ticket it is counts as dead."""
        self.opened.append(ticket)
        if any(name in ticket for name in self.dead):
            raise PeerUnreachableError(f"nobody answers at {host}:{port}")
        assert self._source is not None
        return self._source


MakeListener = Callable[..., Listener]


def at(model: GenreModel, genre: Genre, offset: float) -> NDArray[np.float64]:
    """The place at a distance from a model's own midpoint of a genre."""
    vector = model.midpoints[genre].astype(np.float64)
    vector[0] += offset
    return vector


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> GenreModel:
    """A model of a second feature space."""
    return other_model(tmp_path_factory.mktemp("models") / "other26", length_one=False)


@pytest.fixture
def make_listener(model: GenreModel, tmp_path: Path) -> Iterator[MakeListener]:
    """Makes listeners with the given tracks, each at a distance from the midpoint of its genre.

    In the spaces of `models`, the preferred one first; without those that are `unheard` yet.
    """
    opened: list[LiveCollection] = []

    def make(
        tracks: Sequence[tuple[Track, float]] = (),
        *,
        scripted: Scripted | None = None,
        clock: Clock | None = None,
        models: Sequence[GenreModel] = (),
        unheard: Sequence[GenreModel] = (),
    ) -> Listener:
        path = tmp_path / "data" / "catalogue.sqlite3"
        if tracks:
            with Catalogue(path) as catalogue:
                for track, offset in tracks:
                    known = models or [model]
                    heard = [(each, at(each, track.genre, offset)) for each in known if each not in unheard]
                    catalogue.put_track(known_of(track, *heard))
        live = LiveCollection(path, models or [model])
        opened.append(live)
        scripted = scripted or Scripted()
        return Listener(
            collection=live, models=models or [model], circle=scripted, peers=scripted, clock=clock or Clock()
        )

    yield make
    for live in opened:
        live.close()

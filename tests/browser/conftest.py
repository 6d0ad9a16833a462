"""A real browser, real web apps, and peers with music of their own, for the tests of the page."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from dnai.audio.converted import ConvertedTracks
from dnai.audio.covers import Covers
from dnai.broker.consumer import OfferConsumer
from dnai.config import PROJECT_DIR, Address
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.collection import vectors_of_all
from dnai.library.rows import CataloguedTrack
from dnai.recommend.provider import PlaylistQuery, Provider, Shelf
from dnai.stream.server import StreamServer
from dnai.stream.tickets import TicketDesk
from dnai.tracks import AudioType, Genre, GenreOrigin, Track
from tests.models import known_of
from tests.sounds import write_sound
from tests.web_process import WebApp

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@dataclass(frozen=True)
class Song:
    """A song to be made: a tone of `seconds`, at `distance` from the model's own midpoint of its genre.

    `kind` is the end of its file's name.
    """

    title: str
    distance: float = 1.0
    genre: Genre = Genre.JAZZ
    seconds: float = 3.0
    artist: str = "The Testers"
    kind: str = "wav"


@dataclass(frozen=True, eq=False)
class MadeSong:
    """A song with a file, what a scan would know of it, and where it lies in the feature space, shape ``(d,)``."""

    track: Track
    known: CataloguedTrack
    vector: NDArray[np.float32]


@pytest.fixture(scope="session")
def model() -> GenreModel:
    """The model that the page and its peers use."""
    return GenreModel(PROJECT_DIR / "models" / "librosa26")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright for one module: while it runs, no other test of this thread could run an event loop."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One Chromium for the tests of a module."""
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_OPTIONS))
    yield chromium
    chromium.close()


@dataclass
class Visitor:
    """An open page, and all that it requested and complained about."""

    page: Page
    requested: list[str]
    complaints: list[str]

    def say(self, text: str) -> None:
        """Type a message and send it."""
        self.page.fill("#say", text)
        self.page.press("#say", "Enter")

    def await_line(self, pattern: str, *, kind: str = "", timeout_s: float = 15.0) -> str:
        """Return the first line of the chat that contains `pattern`, a regular expression."""
        line = self.page.locator(f"#log .line{kind and '.' + kind} .line-text", has_text=re.compile(pattern)).first
        self._await(f"a line like {pattern!r}", lambda: line.wait_for(timeout=timeout_s * 1000))
        return line.inner_text()

    def await_title(self, title: str, *, timeout_s: float = 15.0) -> None:
        """Wait until the player names this track."""
        shown = self.page.locator("#now-title", has_text=re.compile(f"^{re.escape(title)}$"))
        self._await(f"the title {title!r}", lambda: shown.wait_for(timeout=timeout_s * 1000))

    def await_sound(self, *, beyond_s: float = 0.2, timeout_s: float = 15.0) -> float:
        """Wait until the audio element plays and has moved beyond a time; return where it is."""
        moved = "beyond => { const a = document.getElementById('audio'); return !a.paused && a.currentTime > beyond; }"
        self._await(
            f"sound beyond {beyond_s} s",
            lambda: self.page.wait_for_function(moved, arg=beyond_s, timeout=timeout_s * 1000),
        )
        return self.position()

    def position(self) -> float:
        """Return where the audio element is, seconds."""
        return float(self.page.evaluate("document.getElementById('audio').currentTime"))

    def _await(self, what: str, wait: Callable[[], object]) -> None:
        try:
            wait()
        except PlaywrightTimeoutError as error:
            raise AssertionError(f"waited for {what}; the chat: {self.lines()}") from error

    def lines(self) -> list[str]:
        """Return the whole chat."""
        return self.page.locator("#log .line-text").all_inner_texts()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens pages; at the end each must have asked nobody but its own app, and have broken none of its rules."""
    with contextlib.ExitStack() as stack:

        def open_page(url: str, *, width: int = 1280, height: int = 860, **options: Any) -> Visitor:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            stack.callback(context.close)
            page = context.new_page()
            visitor = Visitor(page=page, requested=[], complaints=[])
            page.on("request", lambda request: visitor.requested.append(request.url))
            page.on("websocket", lambda socket: visitor.requested.append(socket.url))
            page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
            page.on("console", lambda message: _note_complaint(visitor, message.text))
            stack.callback(_check, visitor, url)
            page.goto(url)
            page.locator("#log .line").first.wait_for(timeout=15_000)
            return visitor

        yield open_page


def _note_complaint(visitor: Visitor, text: str) -> None:
    if "Content Security Policy" in text or "TrustedHTML" in text:
        visitor.complaints.append(text)


def _check(visitor: Visitor, url: str) -> None:
    own = re.match(r"https?://[^/]+", url)
    assert own is not None
    authority = own.group().split("://")[1]
    strangers = [asked for asked in visitor.requested if not re.match(rf"(http|ws)://{re.escape(authority)}/", asked)]
    assert strangers == []
    assert visitor.complaints == []


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The listener's data directory."""
    folder = tmp_path / "listener"
    folder.mkdir()
    return folder


@pytest.fixture
def start_web(data_dir: Path) -> Iterator[Callable[..., WebApp]]:
    """Starts web apps, and ends them after the test; none may have come upon anything unforeseen."""
    apps: list[WebApp] = []
    with contextlib.ExitStack() as stack:

        def start(*options: str, environ: Mapping[str, str] | None = None) -> WebApp:
            app = WebApp(data_dir, *options, environ=environ)
            apps.append(app)
            stack.callback(app.stop)
            return app

        yield start
    for app in apps:
        assert "Traceback" not in app.log, app.log


@pytest.fixture
def stock(model: GenreModel, tmp_path: Path) -> Callable[[Sequence[Song]], list[MadeSong]]:
    """Makes the sound files of songs, and what a scan would know of them."""

    def make(songs: Sequence[Song]) -> list[MadeSong]:
        folder = tmp_path / f"music-{secrets.token_hex(4)}"
        folder.mkdir()
        return [_make_song(song, folder / f"{number}.{song.kind}", number, model) for number, song in enumerate(songs)]

    return make


def _make_song(song: Song, path: Path, number: int, model: GenreModel) -> MadeSong:
    sample_rate = 22_050 if song.seconds < 60 else 44_100
    channels = 1 if song.seconds < 60 else 2
    time_s = np.arange(int(song.seconds * sample_rate)) / sample_rate
    wave = (0.2 * np.sin(2 * np.pi * (220.0 + 55.0 * number) * time_s)).astype(np.float32)
    subtype = "PCM_16" if song.kind == "wav" else None
    write_sound(path, np.repeat(wave[:, None], channels, axis=1), sr=sample_rate, subtype=subtype)
    status = path.stat()
    vector = model.midpoints[song.genre].astype(np.float64)
    vector[0] += song.distance
    track = Track(
        path=path,
        title=song.title,
        artist=song.artist,
        album="",
        year=None,
        genre=song.genre,
        genre_origin=GenreOrigin.TAG,
        model_genre=song.genre,
        confidence=1.0,
        duration_s=song.seconds,
        audio_type=AudioType(song.kind.split(".")[0]),
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )
    return MadeSong(track, known_of(track, (model, vector)), vector.astype(np.float32))


@pytest.fixture
def own_music(data_dir: Path, stock: Callable[[Sequence[Song]], list[MadeSong]]) -> Callable[..., list[Track]]:
    """Puts songs into the listener's own catalogue."""

    def put(*songs: Song) -> list[Track]:
        catalogued = stock(songs)
        with Catalogue(data_dir / "catalogue.sqlite3") as catalogue:
            for one in catalogued:
                catalogue.put_track(one.known)
        return [one.track for one in catalogued]

    return put


class Peer:
    """A provider with real parts: shelf, tickets, stream server and broker connection."""

    def __init__(
        self,
        name: str,
        songs: Sequence[MadeSong],
        model: GenreModel,
        *,
        url: str,
        scratch: Path,
        space_id: str | None = None,
    ) -> None:
        self.name = name
        self.tracks = [one.track for one in songs]
        vectors = np.array([one.vector for one in songs])
        space = vectors_of_all(space_id or model.space_id, vectors, model_id=model.model_id)
        self.shelf = Shelf(self.tracks, [space])
        desk: TicketDesk[PlaylistQuery] = TicketDesk()
        self.converted = ConvertedTracks(scratch)
        self.server = StreamServer(
            desk=desk,
            playlist_for=self.shelf.nearest,
            listen=Address("127.0.0.1", 0),
            converted=self.converted,
            covers=Covers(),
        )
        self.server.start()
        self.provider = Provider(
            provider_id=secrets.token_urlsafe(16),
            name=name,
            issue_ticket=desk.issue,
            host="127.0.0.1",
            port=self.server.address.port,
        )
        self.provider.shelf = self.shelf
        self.consumer = OfferConsumer(url, provider=self.provider)
        self.consumer.start()

    def die(self) -> None:
        """Stop streaming, as a machine that is switched off; the broker still thinks it is there."""
        self.server.stop()

    def close(self) -> None:
        """End everything."""
        self.consumer.close()
        self.server.stop()
        self.converted.close()


@pytest.fixture
def join(
    circle: Any, model: GenreModel, stock: Callable[[Sequence[Song]], list[MadeSong]], tmp_path: Path
) -> Iterator[Callable[..., Peer]]:
    """Lets members of the test's circle offer songs."""
    with contextlib.ExitStack() as stack:

        def make(member: str, *songs: Song, name: str | None = None, space_id: str | None = None) -> Peer:
            peer = Peer(
                name or member.title(),
                stock(songs),
                model,
                url=circle.url(member),
                scratch=tmp_path / "converted",
                space_id=space_id,
            )
            stack.callback(peer.close)
            return peer

        yield make

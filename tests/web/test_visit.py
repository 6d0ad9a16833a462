"""One tab's conversation and music: what is said and done when something ends or fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dnai.chatbot.dialogue import Dialogue
from dnai.errors import BrokerClosedError, PeerBrokeOffError, PeerRefusedError
from dnai.recommend.gather import GatherResult
from dnai.tracks import GenreOrigin, Track
from tests.web.conftest import MakeListener, MakeTrack, Scripted, made_offer, made_result
from web.payloads import CircleShown, Command, Failed, More, Now, PlaylistShown
from web.sources import LocalSource, PlaylistSource
from web.streams import Streams
from web.visit import SESSION_IDLE_S, Visit

ANNA, BOB = made_offer("anna", 1.0), made_offer("bob", 2.0)


class Recorder:
    """A page that notes what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.circles: list[CircleShown] = []
        self.playlists: list[PlaylistShown] = []
        self.commands: list[Command] = []

    def line(self, kind: str, text: str) -> None:
        """Note a line of the chat."""
        self.lines.append((kind, text))

    def circle(self, shown: CircleShown) -> None:
        """Note the offers."""
        self.circles.append(shown)

    def playlist(self, shown: PlaylistShown) -> None:
        """Note a playlist."""
        self.playlists.append(shown)

    def command(self, command: Command) -> None:
        """Note a command."""
        self.commands.append(command)

    @property
    def last(self) -> str:
        """The latest line."""
        return self.lines[-1][1]


class Scene:
    """A visit with its page, its streams, and a circle whose answers the test writes."""

    def __init__(self, visit: Visit, page: Recorder, streams: Streams, scripted: Scripted) -> None:
        self.visit = visit
        self.page = page
        self.streams = streams
        self.scripted = scripted

    @property
    def playlist(self) -> PlaylistShown:
        """What the page was last given to play."""
        return self.page.playlists[-1]

    def fail(self, track: int, error: PeerRefusedError | PeerBrokeOffError) -> None:
        """Let the audio of a track fail, as the thread that serves it reports it."""
        stream = self.streams.get(self.playlist.stream)
        assert stream is not None
        stream.failed(self.playlist.tracks[track].id, error)


MakeScene = Callable[..., Scene]


@pytest.fixture
def make_scene(make_listener: MakeListener, make_track: MakeTrack, tmp_path: Path) -> Iterator[MakeScene]:
    """Makes visits to whose requests the given results come; every provider has the tracks A, B, C and D."""
    dialogues: list[Dialogue] = []

    def make(*results: GatherResult | BrokerClosedError, own: tuple[Track, ...] = ()) -> Scene:
        source = LocalSource([(make_track(title), 1.0 + i) for i, title in enumerate("ABCD")])
        scripted = Scripted(*results, source=source)
        listener = make_listener([(track, 1.0) for track in own], scripted=scripted)
        dialogue = Dialogue(memory=tmp_path / "chat.sqlite3", collection=listener.own_tracks)
        dialogues.append(dialogue)
        page, streams = Recorder(), Streams()
        visit = Visit(
            dialogue.conversation(),
            listener=listener,
            streams=streams,
            page=page,
            tab_id="tab",
            later=lambda job: job(),
        )
        return Scene(visit, page, streams, scripted)

    yield make
    for dialogue in dialogues:
        dialogue.close()


def test_the_reply_comes_first_then_the_offers_then_the_music(make_scene: MakeScene) -> None:
    """The chatbot's answer, the chart with the winner marked, the line about it, the playlist."""
    scene = make_scene(made_result(ANNA, BOB))
    scene.visit.say("play some jazz from my peers")
    assert [kind for kind, _ in scene.page.lines] == ["bot", "note"]
    assert "Anna plays" in scene.page.last
    assert [offer.fate for offer in scene.page.circles[-1].offers] == ["playing", "waiting"]
    assert scene.playlist.whose == "Anna"
    assert scene.playlist.begin
    assert [track.title for track in scene.playlist.tracks] == ["A", "B", "C", "D"]


def test_at_the_end_of_a_playlist_comes_the_next_offers(make_scene: MakeScene) -> None:
    """Anna's tracks, then Bob's, then the news that this was everybody; the former stream is closed."""
    scene = make_scene(made_result(ANNA, BOB))
    scene.visit.say("play some jazz from my peers")
    first = scene.playlist.stream
    scene.visit.more(More(stream=first))
    assert scene.playlist.whose == "Bob"
    assert scene.streams.get(first) is None
    scene.visit.more(More(stream=scene.playlist.stream))
    assert "everybody’s playlist" in scene.page.last
    assert scene.page.commands[-1].do == "finish"
    assert len(scene.streams) == 1


def test_a_late_word_about_a_former_playlist_changes_nothing(make_scene: MakeScene) -> None:
    """What the page still says of a stream that was replaced is ignored."""
    scene = make_scene(made_result(ANNA, BOB))
    scene.visit.say("play some jazz from my peers")
    former = scene.playlist
    scene.visit.more(More(stream=former.stream))
    said = len(scene.page.lines)
    scene.visit.more(More(stream=former.stream))
    scene.visit.failed(Failed(stream=former.stream, track=former.tracks[0].id, code=2))
    scene.visit.now(Now(stream=former.stream, track=former.tracks[1].id))
    assert scene.playlist.whose == "Bob"
    assert len(scene.page.lines) == said


def test_a_provider_that_breaks_off_is_replaced_once(make_scene: MakeScene) -> None:
    """Two requests of the browser fail at the same time: one replacement, and the chart says who was passed over."""
    scene = make_scene(made_result(ANNA, BOB))
    scene.visit.say("play some jazz from my peers")
    stream = scene.streams.get(scene.playlist.stream)
    assert stream is not None
    scene.fail(0, PeerBrokeOffError("the connection was lost"))
    stream.failed(stream.source.playlist.entries[1].track_id, PeerBrokeOffError("the connection was lost"))
    assert len(scene.page.playlists) == 2
    assert scene.playlist.whose == "Bob"
    assert [offer.fate for offer in scene.page.circles[-1].offers] == ["passed over", "playing"]


def test_when_the_last_provider_breaks_off_the_player_is_emptied(make_scene: MakeScene) -> None:
    """Nobody is left: it is said, and nothing that cannot be played stays on the page."""
    scene = make_scene(made_result(ANNA))
    scene.visit.say("play some jazz from my peers")
    scene.fail(0, PeerBrokeOffError("the connection was lost"))
    assert "can be reached any more" in scene.page.last
    assert scene.page.commands[-1].do == "clear"
    assert len(scene.streams) == 0


def test_a_refused_track_is_skipped_and_told_once(make_scene: MakeScene) -> None:
    """The file is gone: one line, one skip, however often the browser tries."""
    scene = make_scene(made_result(ANNA, BOB))
    scene.visit.say("play some jazz from my peers")
    for _ in range(3):
        scene.fail(0, PeerRefusedError("the file was deleted"))
    scene.visit.failed(Failed(stream=scene.playlist.stream, track=scene.playlist.tracks[0].id, code=4))
    assert [text for kind, text in scene.page.lines if kind == "trouble"] == [
        "“A” cannot be had from Anna: the file was deleted. On to the next."
    ]
    assert scene.page.commands == [Command(do="skip", track=scene.playlist.tracks[0].id)]


def test_a_provider_none_of_whose_tracks_can_be_had_is_replaced(make_scene: MakeScene) -> None:
    """After the last refusal the next offer takes over."""
    scene = make_scene(made_result(ANNA, BOB))
    scene.visit.say("play some jazz from my peers")
    for track in range(4):
        scene.fail(track, PeerRefusedError("the file was deleted"))
    assert scene.playlist.whose == "Bob"


def test_after_a_long_pause_the_circle_is_asked_anew(make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that the provider has ended meanwhile is no fault of its tracks: the same wish is asked again."""
    scene = make_scene(made_result(ANNA, BOB), made_result(ANNA, BOB))
    scene.visit.say("play some jazz from my peers")
    stream = scene.streams.get(scene.playlist.stream)
    assert stream is not None
    stream.last_piece_at -= SESSION_IDLE_S + 1.0
    scene.fail(0, PeerRefusedError("the session is over"))
    assert scene.playlist.whose == "Anna"
    assert len(scene.page.playlists) == 2
    assert any("has ended our session" in text for _, text in scene.page.lines)


def test_a_track_the_browser_cannot_decode_is_skipped(make_scene: MakeScene) -> None:
    """The bytes came, the browser cannot play them: said with the kind of file."""
    scene = make_scene(made_result(ANNA))
    scene.visit.say("play some jazz from my peers")
    scene.visit.failed(Failed(stream=scene.playlist.stream, track=scene.playlist.tracks[0].id, code=3))
    assert scene.page.last == "Your browser cannot play “A” (mp3). On to the next."
    assert scene.page.commands[-1].do == "skip"


def test_a_track_whose_connection_broke_is_fetched_once_more(make_scene: MakeScene) -> None:
    """A network error between browser and app is no fault of the file: one more try, then the next track."""
    scene = make_scene(made_result(ANNA))
    scene.visit.say("play some jazz from my peers")
    failed = Failed(stream=scene.playlist.stream, track=scene.playlist.tracks[0].id, code=2)
    scene.visit.failed(failed)
    scene.visit.failed(failed)
    assert [command.do for command in scene.page.commands] == ["retry", "skip"]


def test_own_music_ends_without_asking_anybody(make_scene: MakeScene, make_track: MakeTrack) -> None:
    """At the end of the own playlist nobody is asked, and the player stops."""
    scene = make_scene(own=(make_track("Mine"),))
    scene.visit.say("play some jazz from my collection")
    assert scene.playlist.own
    scene.visit.more(More(stream=scene.playlist.stream))
    assert scene.page.commands[-1].do == "finish"
    assert scene.scripted.asked == []


def test_a_lost_broker_is_said_and_the_music_goes_on(make_scene: MakeScene) -> None:
    """The next request fails with a line in the chat; what plays is not touched."""
    scene = make_scene(made_result(ANNA), BrokerClosedError("the request was given up"))
    scene.visit.say("play some jazz from my peers")
    playing = scene.playlist.stream
    scene.visit.say("play some metal from my peers")
    assert "went away" in scene.page.last
    assert scene.streams.get(playing) is not None
    assert len(scene.page.playlists) == 1


def test_a_song_of_unsure_genre_is_played_with_a_word_of_warning(make_scene: MakeScene, make_track: MakeTrack) -> None:
    """The listener is told before the circle is asked, and before own music plays."""
    odd = make_track("Odd Thing", origin=GenreOrigin.UNSURE)
    scene = make_scene(made_result(ANNA), own=(odd,))
    for source in ("my peers", "my collection"):
        scene.visit.say(f"something like Odd Thing from {source}")
        notes = [text for kind, text in scene.page.lines if kind == "note"]
        assert notes[-2] == "I am not sure what “Odd Thing” is; I ask for jazz, my best guess (50 %)."


def test_what_plays_and_why_are_real_facts(make_scene: MakeScene) -> None:
    """The chatbot is told title, provider, distance and rivals, and that the player is paused."""
    scene = make_scene(made_result(ANNA, BOB))
    assert scene.visit.situation().playing is None
    scene.visit.say("play some jazz from my peers")
    scene.visit.now(Now(stream=scene.playlist.stream, track=scene.playlist.tracks[1].id))
    scene.visit.playing(playing=False)
    situation = scene.visit.situation()
    assert situation.paused
    assert situation.playing is not None
    assert (situation.playing.title, situation.playing.provider) == ("B", "Anna")
    assert (situation.playing.distance, situation.playing.offers) == (1.0, 2)
    scene.visit.more(More(stream=scene.playlist.stream))
    scene.visit.say("why this one?")
    assert scene.page.last == "Better still: Anna (1.00, already heard)."


def test_a_reload_shows_everything_again_and_starts_nothing(make_scene: MakeScene) -> None:
    """The same stream and chart, at the track that was on, paused."""
    scene = make_scene(made_result(ANNA, BOB))
    scene.visit.say("play some jazz from my peers")
    scene.visit.now(Now(stream=scene.playlist.stream, track=scene.playlist.tracks[2].id))
    before = scene.playlist
    scene.visit.reload()
    assert scene.playlist.stream == before.stream
    assert scene.playlist.start == before.tracks[2].id
    assert not scene.playlist.begin
    assert len(scene.page.circles) >= 2


def test_an_app_that_was_restarted_says_so_once(make_scene: MakeScene) -> None:
    """A page that plays a stream of an app before this one is told to ask again, once."""
    scene = make_scene()
    for _ in range(3):
        scene.visit.failed(Failed(stream="of-another-life", track="t", code=4))
    assert [text for kind, text in scene.page.lines if kind == "trouble"] == [
        "I no longer have that music: I was started anew. Ask me again."
    ]
    assert scene.page.commands == [Command(do="clear")]


def test_closing_ends_what_plays(make_scene: MakeScene) -> None:
    """A tab that is forgotten leaves no stream behind."""
    scene = make_scene(made_result(ANNA))
    scene.visit.say("play some jazz from my peers")
    scene.visit.close()
    assert len(scene.streams) == 0


def test_a_tab_that_is_dropped_while_a_provider_is_asked_keeps_no_stream(
    make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that was being opened is closed again, and the page that has gone is told nothing."""
    scene = make_scene(made_result(ANNA))
    opened = scene.scripted.open

    def open_and_leave(host: str, port: int, ticket: str) -> PlaylistSource:
        scene.visit.close()
        return opened(host, port, ticket)

    monkeypatch.setattr(scene.scripted, "open", open_and_leave)
    scene.visit.say("play some jazz from my peers")
    assert len(scene.scripted.opened) == 1
    assert len(scene.streams) == 0
    assert scene.page.playlists == []

"""Targets, own music and searches, with real catalogues and the real model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dnai.errors import BrokerClosedError, BrokerUnreachableError, UsageError
from dnai.genre.model import GenreModel
from dnai.library.collection import LiveCollection
from dnai.recommend.gather import ReceivedOffer
from dnai.tracks import Genre, GenreOrigin, Playlist
from tests.web.conftest import Clock, MakeListener, MakeTrack, Scripted, at, made_offer, made_result
from web.listener import Listener, Search
from web.sources import LocalSource
from web.succession import FRESH_S, PassedOver


def test_without_own_tracks_the_models_midpoint_stands_in(make_listener: MakeListener, model: GenreModel) -> None:
    """A listener with no catalogue at all can ask for any genre."""
    listener = make_listener()
    for genre in Genre:
        target = listener.target(genre=genre)
        assert target.is_reference
        assert target.space_id == model.space_id
        np.testing.assert_array_equal(target.vectors[model.space_id], model.midpoints[genre])


def test_with_own_tracks_their_midpoint_is_asked_for(
    make_listener: MakeListener, make_track: MakeTrack, model: GenreModel
) -> None:
    """The vector is the mean of the owner's tracks of that genre; other genres keep the reference."""
    listener = make_listener([(make_track("A"), 1.0), (make_track("B"), 3.0)])
    target = listener.target(genre=Genre.JAZZ)
    assert not target.is_reference
    assert target.vectors[model.space_id][0] == pytest.approx(model.midpoints[Genre.JAZZ][0] + 2.0, abs=1e-4)
    assert listener.target(genre=Genre.METAL).is_reference


def test_a_song_is_asked_for_with_its_own_vector_and_genre(
    make_listener: MakeListener, make_track: MakeTrack, model: GenreModel
) -> None:
    """Not the midpoint, but the track itself."""
    scripted = Scripted(made_result())
    listener = make_listener([(make_track("A"), 1.0), (make_track("B"), 3.0)], scripted=scripted)
    song = next(track for track in listener.own_tracks() if track.title == "B")
    listener.search(listener.target(track=song)).gather()
    genre, vectors = scripted.asked[0]
    assert genre is Genre.JAZZ
    assert vectors[model.space_id][0] == pytest.approx(model.midpoints[Genre.JAZZ][0] + 3.0, abs=1e-4)


def test_a_request_has_a_vector_of_each_space_the_preferred_first(
    make_listener: MakeListener, make_track: MakeTrack, model: GenreModel, other: GenreModel
) -> None:
    """Of a song its own in both; of a genre the midpoints, and where there is no such track the models' own."""
    scripted = Scripted(made_result(), made_result(), made_result())
    songs = [(make_track("A"), 1.0), (make_track("B"), 3.0)]
    listener = make_listener(songs, scripted=scripted, models=[other, model])
    targets = [listener.target(track=listener.own_tracks()[0])]
    targets += [listener.target(genre=genre) for genre in (Genre.JAZZ, Genre.METAL)]
    for target, offset, genre in zip(targets, (1.0, 2.0, 0.0), (Genre.JAZZ, Genre.JAZZ, Genre.METAL), strict=True):
        listener.search(target).gather()
        asked_genre, vectors = scripted.asked[-1]
        assert asked_genre is genre
        assert list(vectors) == [other.space_id, model.space_id]
        for each in (other, model):
            np.testing.assert_allclose(vectors[each.space_id], at(each, genre, offset), atol=1e-3)
        assert target.references == (set(vectors) if genre is Genre.METAL else set())


def test_while_a_new_space_is_filled_the_known_taste_is_asked_with_first(
    make_listener: MakeListener, make_track: MakeTrack, model: GenreModel, other: GenreModel
) -> None:
    """Own jazz counts before the preferred space's reference; without own tracks the preferred space does."""
    listener = make_listener([(make_track("A"), 1.0)], models=[other, model], unheard=[other])
    jazz, metal = listener.target(genre=Genre.JAZZ), listener.target(genre=Genre.METAL)
    assert list(jazz.vectors) == [model.space_id, other.space_id]
    assert (jazz.is_reference, jazz.references) == (False, {other.space_id})
    assert list(metal.vectors) == [other.space_id, model.space_id]
    assert metal.is_reference
    (song,) = listener.own_tracks()
    assert list(listener.target(track=song).vectors) == [model.space_id]
    assert [entry.title for entry in listener.own_nearest(jazz).playlist.entries] == ["A"]
    assert listener.own_nearest(metal).playlist.entries == ()


def test_own_music_is_measured_in_the_preferred_space(
    make_listener: MakeListener, make_track: MakeTrack, model: GenreModel, other: GenreModel
) -> None:
    """As soon as nearly all of it has a vector there; the two spaces are never mixed."""
    with_both = [(make_track(f"B{i}"), 1.0 + i) for i in range(9)]
    make_listener(with_both, models=[other, model])
    listener = make_listener([(make_track("Old"), 0.0)], models=[other, model], unheard=[other])
    target = listener.target(genre=Genre.JAZZ)
    assert list(target.vectors) == [other.space_id, model.space_id]
    entries = listener.own_nearest(target).playlist.entries
    titles = [entry.title for entry in entries]
    # The midpoint lies at the fifth: its neighbours on both sides are equally far, but for rounding.
    assert [set(titles[i : i + 2]) for i in (1, 3, 5, 7)] == [{f"B{4 - i}", f"B{4 + i}"} for i in (1, 2, 3, 4)]
    assert titles[0] == "B4"


def test_a_song_that_no_model_is_sure_of_is_asked_for_as_its_best_guess(
    make_listener: MakeListener, make_track: MakeTrack
) -> None:
    """And marked, so that the listener can be told."""
    unsure = make_track("Odd", origin=GenreOrigin.UNSURE)
    listener = make_listener([(unsure, 1.0), (make_track("Plain"), 2.0)])
    odd, plain = (listener.target(track=track) for track in listener.own_tracks())
    assert (odd.genre, odd.is_guess) == (Genre.JAZZ, True)
    assert not plain.is_guess
    assert not listener.target(genre=Genre.JAZZ).is_guess


def test_a_track_that_left_the_collection_cannot_be_asked_for(
    make_listener: MakeListener, make_track: MakeTrack
) -> None:
    """A stranger's track, or one that a rescan dropped, is refused by name."""
    listener = make_listener([(make_track("A"), 1.0)])
    with pytest.raises(UsageError, match="Stranger"):
        listener.target(track=make_track("Stranger"))
    with pytest.raises(UsageError):
        listener.target()


def test_own_music_comes_nearest_first_without_any_broker(make_listener: MakeListener, make_track: MakeTrack) -> None:
    """The own tracks of the genre, sorted by their distance from the target; other genres stay out."""
    tracks = [(make_track("Far"), 9.0), (make_track("Near"), 4.0), (make_track("Nearer"), 2.0)]
    listener = make_listener([*tracks, (make_track("Loud", genre=Genre.METAL), 0.0)])
    entries = listener.own_nearest(listener.target(genre=Genre.JAZZ)).playlist.entries
    assert [entry.title for entry in entries] == ["Near", "Nearer", "Far"]
    assert [entry.distance for entry in entries] == pytest.approx([1.0, 3.0, 4.0], abs=1e-3)


def test_a_rescan_is_noticed(make_listener: MakeListener, make_track: MakeTrack, tmp_path: Path) -> None:
    """Tracks that another process adds count at once."""
    listener = make_listener([(make_track("A"), 1.0)])
    assert listener.own_count() == 1
    make_listener([(make_track("B"), 1.0)])
    assert listener.own_count() == 2
    assert {track.title for track in listener.own_tracks()} == {"A", "B"}


def test_an_unreadable_catalogue_is_no_count(make_listener: MakeListener, tmp_path: Path) -> None:
    """A file that is no catalogue does not end anything."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalogue.sqlite3").write_bytes(b"this is no database" * 100)
    assert make_listener().own_count() is None


def test_without_a_broker_asking_says_how_to_set_one(model: GenreModel, tmp_path: Path) -> None:
    """No broker is set: an error that names the option, and nobody is there."""
    live = LiveCollection(tmp_path / "none.sqlite3", [model])
    listener = Listener(collection=live, models=[model], circle=None, peers=Scripted(), clock=Clock())
    assert not listener.has_broker
    assert listener.who() is None
    with pytest.raises(BrokerUnreachableError, match="--broker"):
        listener.search(listener.target(genre=Genre.JAZZ)).gather()


def test_a_broker_lost_while_asking_who_is_there_is_nobody_known(make_listener: MakeListener) -> None:
    """Who is there is unknown then, not "nobody"."""
    assert make_listener(scripted=Scripted()).who() is None


ANNA, BOB = made_offer("anna", 1.0), made_offer("bob", 2.0)


class Tried:
    """Notes who was passed over."""

    def __init__(self) -> None:
        self.passed: list[PassedOver] = []

    def __call__(self, passed: PassedOver) -> None:
        """Note it."""
        self.passed.append(passed)

    @property
    def names(self) -> list[str]:
        """Who it was, in order."""
        return [passed.name for passed in self.passed]


@pytest.fixture
def source(make_track: MakeTrack) -> LocalSource:
    """A playlist of one track."""
    return LocalSource([(make_track(), 1.0)])


def searching(make_listener: MakeListener, scripted: Scripted, clock: Clock | None = None) -> Search:
    listener = make_listener(scripted=scripted, clock=clock)
    return listener.search(listener.target(genre=Genre.JAZZ))


def test_the_nearest_is_opened_with_its_own_ticket(make_listener: MakeListener, source: LocalSource) -> None:
    """The winner's session is opened, nobody else's."""
    scripted = Scripted(made_result(ANNA, BOB), source=source)
    turn = searching(make_listener, scripted).next_turn(on_passed_over=Tried())
    assert turn is not None
    assert turn.offer == ANNA
    assert scripted.opened == [ANNA.ticket]


def test_who_cannot_be_reached_is_passed_over_at_once_and_told(
    make_listener: MakeListener, source: LocalSource
) -> None:
    """The next best takes over, and the reason names the address."""
    scripted = Scripted(made_result(ANNA, BOB), source=source)
    scripted.dead = {"anna"}
    tried = Tried()
    turn = searching(make_listener, scripted).next_turn(on_passed_over=tried)
    assert turn is not None
    assert turn.offer == BOB
    assert tried.names == ["Anna"]
    assert "127.0.0.1:7711" in tried.passed[0].reason


def test_an_empty_playlist_counts_as_a_refusal(make_listener: MakeListener) -> None:
    """A provider that promises tracks and then has none is passed over."""
    empty = LocalSource([])
    assert empty.playlist == Playlist(())
    tried = Tried()
    search = searching(make_listener, Scripted(made_result(ANNA), source=empty))
    assert search.next_turn(on_passed_over=tried) is None
    assert tried.names == ["Anna"]


def test_old_offers_are_asked_for_again(make_listener: MakeListener, source: LocalSource) -> None:
    """When the tickets may have run out the circle is asked anew, and who was heard stays out."""
    clock = Clock()
    fresh: ReceivedOffer = made_offer("bob", 2.5)
    scripted = Scripted(made_result(ANNA, BOB), made_result(ANNA, fresh), source=source)
    search = searching(make_listener, scripted, clock)
    search.next_turn(on_passed_over=Tried())
    clock.now += FRESH_S + 1.0
    turn = search.next_turn(on_passed_over=Tried())
    assert turn is not None
    assert turn.offer is fresh
    assert len(scripted.asked) == 2


def test_fresh_offers_are_not_asked_for_again(make_listener: MakeListener, source: LocalSource) -> None:
    """Within the tickets' time one request is enough for several providers; at the end nobody is left."""
    scripted = Scripted(made_result(ANNA, BOB), source=source)
    search = searching(make_listener, scripted)
    turns = [search.next_turn(on_passed_over=Tried()) for _ in range(3)]
    assert [turn.offer.name if turn else None for turn in turns] == ["Anna", "Bob", None]
    assert len(scripted.asked) == 1


def test_a_broker_that_is_gone_when_it_must_be_asked_is_an_error(
    make_listener: MakeListener, source: LocalSource
) -> None:
    """The search does not pretend that nobody is left; asked later, it goes on."""
    clock = Clock()
    scripted = Scripted(made_result(ANNA, BOB), BrokerClosedError("lost"), made_result(BOB), source=source)
    search = searching(make_listener, scripted, clock)
    search.next_turn(on_passed_over=Tried())
    clock.now += FRESH_S + 1.0
    with pytest.raises(BrokerClosedError):
        search.next_turn(on_passed_over=Tried())
    turn = search.next_turn(on_passed_over=Tried())
    assert turn is not None
    assert turn.offer == BOB


def test_who_failed_while_playing_is_not_asked_again(make_listener: MakeListener, source: LocalSource) -> None:
    """A provider that died in the middle is passed over like one that was never reached."""
    search = searching(make_listener, Scripted(made_result(ANNA, BOB), source=source))
    search.next_turn(on_passed_over=Tried())
    search.give_up_on(ANNA, reason="it broke off")
    turn = search.next_turn(on_passed_over=Tried())
    assert turn is not None
    assert turn.offer == BOB

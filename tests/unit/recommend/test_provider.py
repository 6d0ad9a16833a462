"""What a worker answers: from a shelf, to whom, how often, and which requests it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnai.errors import ProtocolError, UsageError
from dnai.library.collection import SpaceVectors, vectors_of_all
from dnai.recommend.messages import Decline, Offer, Request, decode, encode, type_name
from dnai.recommend.provider import PlaylistQuery, Provider, RequestLimit, Shelf
from dnai.tracks import MAX_PLAYLIST_TRACKS, Genre
from tests.unit.recommend.conftest import OTHER_SPACE, SPACE, made_track, provider_id

REPLY = {"user_id": "anna", "reply_to": "anna.inbox"}


def shelf_of(**vectors: list[float]) -> Shelf:
    """A shelf of jazz tracks, named by title; one called "metal" is metal."""
    tracks = [made_track(title, Genre.METAL if title.startswith("metal") else Genre.JAZZ) for title in vectors]
    matrix = np.array(list(vectors.values()), dtype=np.float32).reshape(len(tracks), -1)
    return Shelf(tracks, [vectors_of_all(SPACE, matrix, model_id="model-a")])


def query(*vector: float, genre: Genre = Genre.JAZZ, space_id: str = SPACE) -> PlaylistQuery:
    return PlaylistQuery(genre, space_id, np.array(vector, dtype=np.float32))


def request(*vector: float, genre: Genre = Genre.JAZZ, space_id: str = SPACE) -> Request:
    return Request(genre=genre, vectors={space_id: list(vector)})


class Tickets:
    """Gives numbered tickets and remembers what for."""

    def __init__(self) -> None:
        self.issued: list[tuple[str, PlaylistQuery]] = []

    def issue(self, user_id: str, wanted: PlaylistQuery) -> str:
        """Return the next ticket."""
        self.issued.append((user_id, wanted))
        return f"ticket-{len(self.issued):016d}"


@pytest.fixture
def tickets() -> Tickets:
    """The desk of one test."""
    return Tickets()


@pytest.fixture
def provider(tickets: Tickets) -> Provider:
    """Bob's provider, with two jazz tracks and one of metal, in two dimensions."""
    made = Provider(
        provider_id=provider_id("bob"),
        name="bob",
        issue_ticket=tickets.issue,
        host="192.168.1.20",
        port=7711,
        limit=RequestLimit(burst=3, per_s=2),
    )
    made.shelf = shelf_of(near=[3, 4], far=[6, 8], metal=[0, 0])
    return made


def test_a_shelf_gives_the_nearest_first_with_their_distances() -> None:
    """By hand: 0, 5 and 10 from the origin, and metal is not jazz."""
    shelf = shelf_of(far=[6, 8], here=[0, 0], near=[3, 4], metal=[0, 0.5])
    assert [(track.title, d) for track, d in shelf.nearest(query(0, 0))] == [("here", 0), ("near", 5), ("far", 10)]
    assert [track.title for track, _ in shelf.nearest(query(0, 0), limit=2)] == ["here", "near"]
    assert [track.title for track, _ in shelf.nearest(query(0, 0, genre=Genre.METAL))] == ["metal"]


def test_tracks_at_the_same_distance_keep_their_order() -> None:
    """So that a playlist is the same each time."""
    shelf = shelf_of(c=[1, 0], a=[0, 1], b=[-1, 0])
    assert [track.title for track, _ in shelf.nearest(query(0, 0))] == ["c", "a", "b"]


def test_a_playlist_is_bounded() -> None:
    """Twenty-five of forty, and those the nearest."""
    shelf = shelf_of(**{f"t{i}": [float(i)] for i in reversed(range(40))})
    found = shelf.nearest(query(0))
    assert [track.title for track, _ in found] == [f"t{i}" for i in range(MAX_PLAYLIST_TRACKS)]


def test_a_shelf_knows_what_is_on_it() -> None:
    """Tracks for each genre that has any, and the dimension of its spaces."""
    shelf = shelf_of(a=[0, 0], b=[0, 0], metal=[0, 0])
    assert len(shelf) == 3
    assert shelf.counts() == {Genre.JAZZ: 2, Genre.METAL: 1}
    assert shelf.dimension(SPACE) == 2
    assert shelf.dimension(OTHER_SPACE) is None
    assert shelf.nearest(query(0, 0, genre=Genre.POP)) == []
    assert shelf.nearest(query(0, 0, space_id=OTHER_SPACE)) == []


def test_an_empty_shelf_still_knows_its_spaces() -> None:
    """A worker whose folder is still empty says "no tracks", not "unknown space"."""
    shelf = Shelf([], [vectors_of_all(SPACE, np.empty((0, 2), dtype=np.float32), model_id="m")])
    assert shelf.dimension(SPACE) == 2
    assert shelf.nearest(query(0, 0)) == []


def test_a_shelf_needs_a_vector_for_each_track() -> None:
    """One too few, and one of a track that there is not."""
    tracks, vectors = [made_track("a"), made_track("b")], np.zeros((1, 2), dtype=np.float32)
    with pytest.raises(UsageError, match=r"shape \(1, 2\) for 2 tracks"):
        Shelf(tracks, [SpaceVectors(SPACE, "m", np.arange(2), vectors)])
    with pytest.raises(UsageError, match=r"rows from 2 to 2 of 2 tracks"):
        Shelf(tracks, [SpaceVectors(SPACE, "m", np.array([2]), vectors)])
    with pytest.raises(UsageError, match=r"places from 0 to 1 of 1 vectors"):
        Shelf(tracks, [SpaceVectors(SPACE, "m", np.arange(2), vectors, np.array([0, 1]))])


def test_an_offer_has_the_mean_distance_and_a_ticket_of_its_own(provider: Provider, tickets: Tickets) -> None:
    """Distances 5 and 10: the mean is 7.5, over two tracks."""
    offer = provider.answer(request(0, 0), **REPLY, now=0)
    assert offer == Offer(
        provider_id=provider_id("bob"),
        name="bob",
        space_id=SPACE,
        model_id="model-a",
        mean_distance=7.5,
        tracks=2,
        collection=3,
        host="192.168.1.20",
        port=7711,
        ticket="ticket-0000000000000001",
    )
    ((user_id, wanted),) = tickets.issued
    assert (user_id, wanted.genre, wanted.space_id, wanted.vector.tolist()) == ("anna", Genre.JAZZ, SPACE, [0, 0])


def test_refusals_give_their_reason_and_no_ticket(provider: Provider, tickets: Tickets) -> None:
    """No track of that genre; no space in common."""
    for wanted, reason in (
        (request(0, 0, genre=Genre.POP), "no_tracks"),
        (request(0, 0, space_id="x"), "unknown_space"),
    ):
        assert provider.answer(wanted, **REPLY, now=0) == Decline(provider_id("bob"), "bob", reason)
    assert tickets.issued == []


@pytest.mark.parametrize(
    "order", [[SPACE, OTHER_SPACE], [OTHER_SPACE, SPACE], ["unknown", OTHER_SPACE, SPACE], ["unknown", SPACE]]
)
def test_the_first_space_that_is_known_is_answered_in(provider: Provider, order: list[str]) -> None:
    """The order of the request is the asker's preference."""
    vectors = np.array([[1.0], [1.0]], dtype=np.float32)
    spaces = [vectors_of_all(space, vectors, model_id=f"model of {space}") for space in (SPACE, OTHER_SPACE)]
    provider.shelf = Shelf([made_track("a"), made_track("b")], spaces)
    answer = provider.answer(Request(Genre.JAZZ, {space: [0.0] for space in order}), **REPLY, now=0)
    assert isinstance(answer, Offer)
    assert answer.space_id == next(space for space in order if space != "unknown")
    assert answer.model_id == f"model of {answer.space_id}"


def half_upgraded(*, jazz: int, old: int, new: int) -> Shelf:
    """A shelf of jazz, of which the first `old` have a vector in SPACE and the first `new` in OTHER_SPACE."""
    tracks = [made_track(f"t{i}") for i in range(jazz)]
    spaces = [
        SpaceVectors(space_id, "m", np.arange(count), np.zeros((count, 1), dtype=np.float32))
        for space_id, count in ((OTHER_SPACE, new), (SPACE, old))
    ]
    return Shelf(tracks, spaces)


@pytest.mark.parametrize(
    ("old", "new", "asked", "answered"),
    [
        (20, 20, [OTHER_SPACE, SPACE], OTHER_SPACE),
        (20, 18, [OTHER_SPACE, SPACE], OTHER_SPACE),
        (20, 17, [OTHER_SPACE, SPACE], SPACE),
        (20, 0, [OTHER_SPACE, SPACE], SPACE),
        (20, 17, [SPACE, OTHER_SPACE], SPACE),
        (20, 3, [OTHER_SPACE], OTHER_SPACE),
        (10, 9, [OTHER_SPACE, SPACE], OTHER_SPACE),
        (20, 0, [OTHER_SPACE], None),
        (0, 0, [OTHER_SPACE, SPACE], None),
    ],
)
def test_a_new_space_is_answered_in_when_it_is_nearly_complete(
    provider: Provider, old: int, new: int, asked: list[str], answered: str | None
) -> None:
    """From nine tenths of what the best-covered space has; asked in the new one alone, with what there is."""
    provider.shelf = half_upgraded(jazz=20, old=old, new=new)
    answer = provider.answer(Request(Genre.JAZZ, {space: [0.0] for space in asked}), **REPLY, now=0)
    if answered is None:
        assert answer == Decline(provider_id("bob"), "bob", "unknown_space")
    else:
        assert isinstance(answer, Offer)
        assert (answer.space_id, answer.tracks) == (answered, new if answered == OTHER_SPACE else old)


def test_how_complete_a_space_is_counts_for_each_genre_by_itself() -> None:
    """Jazz is upgraded, metal is not yet: each is answered where it is complete."""
    tracks = [*(made_track(f"j{i}") for i in range(3)), *(made_track(f"m{i}", Genre.METAL) for i in range(3))]
    zeros = np.zeros((6, 1), dtype=np.float32)
    new = SpaceVectors(OTHER_SPACE, "m", np.array([0, 1, 2, 4]), zeros[:4])
    shelf = Shelf(tracks, [new, vectors_of_all(SPACE, zeros, model_id="m")])
    assert shelf.choose_space(Genre.JAZZ, [OTHER_SPACE, SPACE]) == OTHER_SPACE
    assert shelf.choose_space(Genre.METAL, [OTHER_SPACE, SPACE]) == SPACE
    assert shelf.choose_space(Genre.POP, [OTHER_SPACE, SPACE]) == OTHER_SPACE
    assert shelf.choose_space(Genre.POP, ["unknown"]) is None
    found = shelf.nearest(query(0, genre=Genre.METAL, space_id=OTHER_SPACE))
    assert [track.title for track, _ in found] == ["m1"]


@pytest.mark.parametrize(
    ("user_id", "reply_to"),
    [
        ("anna", "bob.inbox"),
        ("anna", "annabel.inbox"),
        ("anna", "anna"),
        ("anna", ""),
        ("anna", "dnai.requests"),
        ("anna", "anna.b.inbox"),
        ("", ".inbox"),
        ("", ""),
    ],
)
def test_an_answer_goes_to_the_asker_alone(provider: Provider, tickets: Tickets, user_id: str, reply_to: str) -> None:
    """The reply key must be of the user whom the broker has checked; nothing is spent on others."""
    with pytest.raises(ProtocolError, match="wants its answer sent to"):
        provider.answer(request(0, 0), user_id=user_id, reply_to=reply_to, now=0)
    assert tickets.issued == []


def test_a_vector_of_another_dimension_is_malformed(provider: Provider) -> None:
    """The space says how many numbers it has."""
    with pytest.raises(ProtocolError, match=f"{SPACE} has 2 numbers, not 3"):
        provider.answer(request(0, 0, 0), **REPLY, now=0)


def test_who_asks_too_often_is_told_to_wait_and_others_are_not(provider: Provider) -> None:
    """Three at once, then two a second; by the clock that is handed in."""

    def answers(user_id: str, now: float, count: int) -> int:
        got = [provider.answer(request(0, 0), user_id=user_id, reply_to=f"{user_id}.x", now=now) for _ in range(count)]
        assert {answer.reason for answer in got if isinstance(answer, Decline)} <= {"busy"}
        return sum(isinstance(answer, Offer) for answer in got)

    assert answers("anna", 100.0, 5) == 3
    assert answers("carl", 100.0, 2) == 2
    assert answers("anna", 100.4, 2) == 0
    assert answers("anna", 100.5, 2) == 1
    assert answers("anna", 1000.0, 9) == 3


def test_the_throttle_forgets_users_it_has_not_seen_for_long(provider: Provider) -> None:
    """Thousands of users cost no more memory than a thousand."""
    for i in range(3000):
        provider.answer(request(0, 0), user_id=f"u{i}", reply_to=f"u{i}.x", now=float(i))
    assert len(provider._throttle._buckets) <= 1000


def test_the_shelf_can_be_replaced_while_serving(provider: Provider) -> None:
    """After a rescan the next answer is from the new one, and so is the greeting."""
    assert provider.hello().tracks == 3
    provider.shelf = shelf_of(only=[0, 1])
    offer = provider.answer(request(0, 0), **REPLY, now=0)
    assert isinstance(offer, Offer)
    assert (offer.mean_distance, offer.tracks) == (1.0, 1)
    assert provider.hello().tracks == 1
    assert provider.goodbye().provider_id == provider.hello().provider_id == provider_id("bob")


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), st.sampled_from(Genre))
def test_whatever_passes_the_wire_gets_an_answer_that_passes_the_wire(vector: list[float], genre: Genre) -> None:
    """Also to the largest numbers that are let through: the distance stays finite."""
    shelf = shelf_of(a=[1e6, -1e6], b=[-1e6, 1e6], metal=[0, 0])
    made = Provider(
        provider_id=provider_id("bob"),
        name="bob",
        issue_ticket=lambda _user, _query: "ticket-0123456789abcdef",
        host="127.0.0.1",
        port=1,
    )
    made.shelf = shelf
    answer = made.answer(Request(genre, {SPACE: vector}), **REPLY, now=0)
    assert decode(encode(answer), message_type=type_name(answer), version=1) == answer
    assert isinstance(answer, Decline) or math.isfinite(answer.mean_distance)

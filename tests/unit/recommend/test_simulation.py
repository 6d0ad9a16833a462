"""Simulated circles, in worlds whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dnai.errors import UsageError
from dnai.recommend.circles import TASTES, CirclePlan, World, draw_circles
from dnai.recommend.preparations import (
    LENGTH_ONE,
    LENGTH_ONE_MIDPOINTS,
    STANDARDISED,
    Preparation,
    PreparedWorld,
    asks,
    standardised,
)
from dnai.recommend.rankings import (
    HANDFUL,
    MISSION,
    RANKINGS,
    Offers,
    by_share_guarded,
    handfuls_last,
    mean,
    nearest,
    nearest_filled,
    shrunk_to_all,
    shrunk_to_worst,
)
from dnai.recommend.simulation import BEST_POSSIBLE, CHANCE, RankingResult, run_circles, simulate

GENRES, ARTISTS, EACH = 5, 8, 6
PLAN = CirclePlan(circles=60, peers=(4, 6), tracks=(10, 40), seed=3)


def make_world(*, spread: float, told_right: float = 1.0, seed: int = 0) -> World:
    """Five genres on the axes of a space, 8 artists each, 6 tracks each, with noise of `spread` around."""
    rng = np.random.default_rng(seed)
    genres = np.repeat(np.arange(GENRES), ARTISTS * EACH)
    features = np.eye(GENRES)[genres] + spread * rng.normal(size=(len(genres), GENRES))
    told = np.where(rng.random(len(genres)) < told_right, genres, rng.integers(GENRES, size=len(genres)))
    groups = np.array([f"artist {i // EACH}" for i in range(len(genres))])
    return World(features, genres, told, groups)


def find(
    results: tuple[RankingResult, ...], ranking: str, *, tags: bool = False, asked_by: str = "genre"
) -> RankingResult:
    (found,) = (r for r in results if (r.ranking, r.tags, r.asked_by) == (ranking, tags, asked_by))
    return found


def make_offers(*distances: list[float], collection: list[int] | None = None) -> Offers:
    """Offers of peers with tracks so far away; without `collection` they have nothing else."""
    tracks = np.array([len(row) for row in distances])
    rows = np.zeros((len(distances), tracks.max()))
    for row, each in zip(rows, distances, strict=True):
        row[: len(each)] = sorted(each)
    sizes = tracks if collection is None else np.array(collection)
    return Offers(rows, tracks, sizes, midpoint=rows[:, 0], everything=rows[:, 0])


def winner(scores: np.ndarray) -> int:
    return int(np.argmin(scores))


def test_a_share_finds_the_right_person_among_genres_that_are_told_apart() -> None:
    """With every genre told right, the largest share wins each time, and ten of ten fit whoever wins."""
    results = simulate(make_world(spread=0.01), plan=PLAN, preparations=[LENGTH_ONE])
    for tags in (True, False):
        for asked_by in ("genre", "song"):
            assert find(results, "share alone", tags=tags, asked_by=asked_by).right_person.value == 1.0
            assert find(results, BEST_POSSIBLE, tags=tags, asked_by=asked_by).right_person.value == 1.0
    assert {result.fitting_first_ten.value for result in results} == {1.0}


def test_distance_alone_finds_the_right_person_when_a_wrong_genre_is_far_away() -> None:
    """All tracks are told to be of one genre; the mean over everything then is smallest where the share is largest."""
    world = make_world(spread=0.01)
    blind = replace(world, told=np.zeros_like(world.told))
    plan = replace(PLAN, circles=200, tracks=(60, 60))
    results = simulate(blind, plan=plan, preparations=[STANDARDISED])
    by_song = find(results, MISSION, asked_by="song")
    assert by_song.right_person.value == 1.0
    assert by_song.fitting_first_ten.value == 1.0
    assert find(results, CHANCE, asked_by="song").right_person.high < 0.6


def test_vectors_that_mean_nothing_find_people_by_chance() -> None:
    """Told genres and features are noise: the mission's mean is as good as drawing lots, within the interval."""
    rng = np.random.default_rng(5)
    world = make_world(spread=0.0, told_right=0.0)
    world = replace(world, features=rng.normal(size=world.features.shape))
    results = simulate(world, plan=replace(PLAN, circles=300, tracks=(40, 40)), preparations=[STANDARDISED])
    for asked_by in ("genre", "song"):
        by_lot = find(results, CHANCE, asked_by=asked_by)
        by_mean = find(results, MISSION, asked_by=asked_by)
        assert by_mean.right_person.low <= by_lot.right_person.value <= by_mean.right_person.high
        assert by_lot.gain.low <= 0 <= by_lot.gain.high
        assert by_mean.fitting_first_ten.value == pytest.approx(by_lot.fitting_first_ten.value, abs=0.06)


def test_every_figure_lies_in_its_interval_and_between_nothing_and_the_best_possible() -> None:
    """In a world with overlapping genres, for each way of ranking."""
    world = make_world(spread=0.6, told_right=0.6)
    results = simulate(world, plan=PLAN)
    assert len(results) == 3 * 2 * 2 * (len(RANKINGS) + 2)
    for result in results:
        (best,) = (
            r
            for r in results
            if r.ranking == BEST_POSSIBLE
            and (r.preparation, r.tags, r.asked_by) == (result.preparation, result.tags, result.asked_by)
        )
        assert result.right_person.value <= best.right_person.value
        assert result.fitting_first_ten.value <= best.fitting_first_ten.value + 1e-12
        assert result.lucky_winner.value >= best.lucky_winner.value
        for figure in (result.right_person, result.fitting_first_ten, result.lucky_winner, result.gain):
            assert figure.low - 1e-12 <= figure.value <= figure.high + 1e-12
        if result.ranking == MISSION:
            assert (result.gain.low, result.gain.value, result.gain.high) == (0.0, 0.0, 0.0)


def test_a_gain_is_the_difference_of_the_same_circles() -> None:
    """The value is the plain difference; the interval is narrower than of two figures that do not know each other."""
    results = simulate(make_world(spread=0.6, told_right=0.6), plan=PLAN, preparations=[LENGTH_ONE])
    by_mean, other = find(results, MISSION), find(results, "mean, shrunk to all (10)")
    assert other.gain.value == pytest.approx(other.right_person.value - by_mean.right_person.value)
    assert other.fitting_gain.value == pytest.approx(other.fitting_first_ten.value - by_mean.fitting_first_ten.value)
    apart = np.hypot(*(f.high - f.low for f in (by_mean.right_person, other.right_person)))
    assert other.gain.high - other.gain.low < apart


def test_no_peer_has_an_artist_of_the_asker() -> None:
    """In any circle; and what peers and asker have is of their tastes, in numbers within the plan."""
    world = make_world(spread=0.1)
    for circle in draw_circles(world, PLAN):
        of_peers = set(world.groups[circle.held.any(axis=0)])
        assert not of_peers & set(world.groups[circle.own])
        assert PLAN.peers[0] <= len(circle.held) <= PLAN.peers[1]
        assert PLAN.tracks[0] - 2 <= circle.sizes.min() <= circle.sizes.max() <= PLAN.tracks[1] + 2
        has_wish = circle.held @ (world.genres == circle.wish) > 0
        assert has_wish.sum() >= PLAN.holders
        assert world.genres[circle.song] == circle.wish
        assert circle.song in circle.own


def test_a_track_is_there_twice_only_where_there_are_too_few() -> None:
    """Peers of ten tracks find enough different ones; of 200 they do not."""
    world = make_world(spread=0.1)
    assert max(c.held.max() for c in draw_circles(world, replace(PLAN, tracks=(10, 10)))) == 1
    assert max(c.held.max() for c in draw_circles(world, replace(PLAN, tracks=(200, 200)))) > 1


def test_peers_have_tastes_in_the_given_shares() -> None:
    """Of 100 tracks each: the shares of each peer's genres are those of one of the three tastes."""
    world = make_world(spread=0.1)
    expected = {tuple(round(100 * share) for share in taste) for taste in TASTES}
    seen = set()
    for circle in draw_circles(world, replace(PLAN, tracks=(100, 100))):
        for held in circle.held:
            counts = np.bincount(world.genres, weights=held)
            seen.add(tuple(sorted(counts[counts > 0].astype(int).tolist(), reverse=True)))
    assert seen == expected


def test_a_seed_gives_the_same_figures_each_time_and_another_seed_others() -> None:
    """To the last digit."""
    world, plan = make_world(spread=0.6, told_right=0.6), replace(PLAN, circles=15)
    first = simulate(world, plan=plan, preparations=[LENGTH_ONE])
    assert first == simulate(world, plan=plan, preparations=[LENGTH_ONE])
    assert first != simulate(world, plan=replace(plan, seed=4), preparations=[LENGTH_ONE])


LUCKY = make_offers([0.9], [1.0] * 20, [1.4] * 20, collection=[40, 25, 40])
"""One track that happens to be near, in a collection of other music; the right person; somebody else."""


@pytest.mark.parametrize("k", [5, 10, 25])
def test_one_lucky_track_wins_by_a_mean_of_the_nearest_unless_missing_ones_count(k: int) -> None:
    """Also by the mission's mean; filled up with the farthest mean it does not."""
    assert winner(mean(LUCKY)) == 0
    assert winner(nearest(LUCKY, k=k)) == 0
    assert winner(nearest_filled(LUCKY, k=k)) == 1


def test_one_lucky_track_does_not_win_by_a_guarded_mean() -> None:
    """Shrunk, put last, or divided by its share."""
    assert winner(handfuls_last(LUCKY)) == 1
    assert winner(shrunk_to_all(LUCKY, weight=10)) == 1
    assert winner(shrunk_to_worst(LUCKY, weight=10)) == 1
    assert winner(by_share_guarded(LUCKY)) == 1


def test_a_collection_of_one_track_does_not_win_by_its_share() -> None:
    """All of it is of the genre and near, and yet it says nothing; among themselves handfuls are ranked by the rest."""
    offers = make_offers([0.5], [1.0] * 20, collection=[1, 30])
    assert winner(RANKINGS["mean / root of share"](offers)) == 0
    assert winner(by_share_guarded(offers)) == 1
    handfuls = make_offers([1.0] * (HANDFUL - 1), [1.2] * (HANDFUL - 1), collection=[10, 10])
    assert winner(by_share_guarded(handfuls)) == winner(handfuls_last(handfuls)) == 0


def test_handfuls_come_after_the_worst_of_the_others() -> None:
    """However near they are; one track more is no handful."""
    offers = make_offers([0.01] * (HANDFUL - 1), [5.0] * HANDFUL, [0.1])
    for ranking in (handfuls_last, by_share_guarded):
        assert np.argsort(ranking(offers)).tolist()[0] == 1


def test_ways_of_ranking_by_numbers_worked_out_by_hand() -> None:
    """Two peers, distances 1, 2, 3 and 4, out of 3 and 4 tracks."""
    offers = make_offers([1.0, 2.0, 3.0], [4.0], collection=[3, 4])
    assert mean(offers).tolist() == [2.0, 4.0]
    assert nearest(offers, k=2).tolist() == [1.5, 4.0]
    assert nearest_filled(offers, k=4).tolist() == [(6 + 4) / 4, 4.0]
    assert shrunk_to_worst(offers, weight=2).tolist() == [(6 + 8) / 5, 4.0]
    assert shrunk_to_all(offers, weight=2).tolist() == [(6 + 5) / 5, (4 + 5) / 3]
    assert RANKINGS["mean / root of share"](offers).tolist() == [2.0, 8.0]
    assert RANKINGS["share alone"](offers).tolist() == [-1.0, -0.25]


def test_lucky_winners_are_counted() -> None:
    """A classifier that scatters a few tracks into every genre makes handfuls, which the mean lets win."""
    world = make_world(spread=0.5, told_right=0.85)
    results = simulate(world, plan=replace(PLAN, circles=150), preparations=[LENGTH_ONE])
    by_mean, guarded = find(results, MISSION), find(results, "mean, handfuls last")
    assert by_mean.lucky_winner.low > guarded.lucky_winner.value
    assert find(results, CHANCE).lucky_winner.low > 0.1


def test_what_is_offered_is_what_the_vectors_say() -> None:
    """Distances, counts and shares of one request, against a plain loop over the peers' tracks."""
    world = make_world(spread=0.6, told_right=0.6)
    circle = next(draw_circles(world, replace(PLAN, tracks=(60, 60))))
    vectors = LENGTH_ONE_MIDPOINTS.vectors(world.features)
    by_genre = next(ask for ask in asks(world, circle) if not ask.tags)
    offered = PreparedWorld(world, LENGTH_ONE_MIDPOINTS).offered(by_genre, circle)
    taste = vectors[circle.own[world.told[circle.own] == circle.wish]].mean(axis=0)
    taste /= np.linalg.norm(taste)
    offering = 0
    for held in circle.held:
        rows = np.repeat(np.arange(len(world)), held)
        told = rows[world.told[rows] == circle.wish]
        if not len(told):
            continue
        distances = np.linalg.norm(vectors[told] - taste, axis=1)
        offers, i = offered.offers, offering
        np.testing.assert_allclose(offers.distances[i, : len(told)], np.sort(distances), rtol=1e-4)
        assert not offers.distances[i, len(told) :].any()
        assert (offers.tracks[i], offers.collection[i]) == (len(told), len(rows))
        everything = np.linalg.norm(vectors[rows] - taste, axis=1).mean()
        assert offers.everything[i] == pytest.approx(everything, rel=1e-4)
        middle = vectors[told].mean(axis=0)
        assert offers.midpoint[i] == pytest.approx(np.linalg.norm(middle / np.linalg.norm(middle) - taste), rel=1e-4)
        different = np.unique(told)
        first = different[np.argsort(np.linalg.norm(vectors[different] - taste, axis=1))][:10]
        assert offered.fitting[i] == pytest.approx((world.genres[first] == circle.wish).mean())
        offering += 1
    assert offering == len(offered.right)


def test_a_request_that_nobody_answers_finds_nobody() -> None:
    """Each artist is told to be a genre of its own, which no peer has: not even the best possible helps."""
    world = make_world(spread=0.1)
    odd = np.unique(world.groups, return_inverse=True)[1] + GENRES
    results = run_circles(replace(world, told=odd), plan=PLAN, preparations=[LENGTH_ONE])
    for case, outcomes in results.items():
        assert outcomes[:, 1].any() == case.tags, case
        assert not outcomes.any() or case.tags


def test_vectors_are_prepared_as_their_names_say() -> None:
    """Mean 0 and variance 1, a constant column 0; length one; midpoints as they are, or of length one."""
    rng = np.random.default_rng(1)
    features = np.column_stack([rng.normal(5, 3, size=50), rng.normal(-2, 0.1, size=50), np.full(50, 7.0)])
    rows = standardised(features)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=0), [1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(LENGTH_ONE.vectors(features), axis=1), 1, rtol=1e-6)
    means = np.array([[0.3, 0.4, 0.0]], dtype=np.float32)
    assert LENGTH_ONE.midpoints(means) is means
    np.testing.assert_allclose(LENGTH_ONE_MIDPOINTS.midpoints(means), [[0.6, 0.8, 0.0]], rtol=1e-6)
    raw = Preparation("raw", standardise=False)
    np.testing.assert_array_equal(raw.vectors(features), features.astype(np.float32))


def test_worlds_and_plans_that_cannot_be_are_refused() -> None:
    """Each says what does not fit."""
    world = make_world(spread=0.1)
    with pytest.raises(UsageError, match="239 artists"):
        replace(world, groups=world.groups[1:])
    with pytest.raises(UsageError, match="finite"):
        replace(world, features=np.full_like(world.features, np.nan))
    with pytest.raises(UsageError, match="from 1 to 4 peers"):
        CirclePlan(peers=(1, 4))
    with pytest.raises(UsageError, match="0 circles"):
        CirclePlan(circles=0)
    with pytest.raises(UsageError, match="3 genres, and there are 2"):
        simulate(replace(world, genres=world.genres % 2), plan=PLAN)
    with pytest.raises(UsageError, match="artists are too few"):
        simulate(replace(world, groups=np.array([f"only of {g}" for g in world.genres])), plan=PLAN)
    with pytest.raises(UsageError, match="'mean', which is missing"):
        simulate(world, plan=PLAN, rankings={"5 nearest": RANKINGS["5 nearest"]})

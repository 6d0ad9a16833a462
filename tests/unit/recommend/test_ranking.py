"""What offers are ranked by: the mean distance, weighed by the share of the genre."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dnai.recommend.ranking import HANDFUL, UNTOLD, weighed_distances


def weighed(*offers: tuple[float, int, int]) -> NDArray[np.float64]:
    """The weighed distances of offers of so far, so many tracks, of so many in all."""
    mean, tracks, collection = zip(*offers, strict=True)
    return weighed_distances(np.array(mean), np.array(tracks), np.array(collection))


def test_the_formula_is_the_one_that_was_measured() -> None:
    """Mean · √((collection + 5) / tracks)."""
    np.testing.assert_allclose(weighed((1.5, 20, 75)), [1.5 * np.sqrt(80 / 20)])


def test_of_two_equally_near_the_one_whose_genre_it_is_wins() -> None:
    """Twenty of twenty-five tracks against twenty of four hundred."""
    mostly, hardly = weighed((1.0, 20, 25), (1.0, 20, 400))
    assert mostly < hardly


def test_of_two_alike_the_nearer_wins() -> None:
    """As it always was."""
    near, far = weighed((0.9, 20, 100), (1.0, 20, 100))
    assert near < far


def test_a_handful_comes_after_everybody_else() -> None:
    """However near it is; among themselves handfuls are ranked as others are."""
    handful, other_handful, many = weighed((0.01, HANDFUL - 1, 4), (0.02, 1, 1), (9.0, HANDFUL, 1000))
    assert many < handful < other_handful


def test_a_handful_does_not_win_when_all_are_at_no_distance() -> None:
    """A peer that has the very song asked with, among others."""
    handful, many = weighed((0.0, 2, 50), (0.0, 50, 100))
    assert many < handful


def test_one_track_in_a_tiny_collection_is_no_whole_share() -> None:
    """The five more tracks weigh heavily on five of five, and hardly on five hundred of five hundred."""
    tiny, large = weighed((1.0, 5, 5), (1.0, 500, 500))
    assert tiny == pytest.approx(np.sqrt(2))
    assert large == pytest.approx(np.sqrt(505 / 500))


def test_who_does_not_tell_counts_as_the_smallest_share_told() -> None:
    """Not telling never helps; and where nobody tells, the mean alone decides."""
    told, smallest, untold = weighed((1.0, 50, 95), (1.0, 10, 95), (1.0, 50, UNTOLD))
    assert told < smallest == untold
    np.testing.assert_allclose(weighed((1.0, 50, UNTOLD), (2.0, 10, UNTOLD)), [1.0, 2.0])


def test_a_share_of_more_than_all_is_not_believed() -> None:
    """Fifty tracks of the genre out of one are fifty out of fifty."""
    assert weighed((1.0, 50, 1)) == weighed((1.0, 50, 50))


def test_no_offers_make_no_distances() -> None:
    """And no warning."""
    nothing = np.array([], dtype=np.int64)
    assert not len(weighed_distances(np.array([]), nothing, nothing))

"""Distances and midpoints, by numbers worked out by hand and by what must hold for all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dnai.errors import UsageError
from dnai.recommend.distance import euclidean_distances, nearest_rows
from dnai.recommend.midpoint import genre_midpoints
from dnai.tracks import Genre

numbers = st.floats(-100, 100, width=32)


def row(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_distances_are_euclidean() -> None:
    """The 3-4-5 triangle, a step of 2 in each of 4 directions, and none at all."""
    np.testing.assert_array_equal(
        euclidean_distances(row(0, 0), np.stack([row(3, 4), row(0, 0), row(-5, 12)])), [5, 0, 13]
    )
    assert euclidean_distances(row(1, 1, 1, 1), row(3, 3, 3, 3)[None])[0] == 4.0


@given(arrays(np.float32, 5, elements=numbers), arrays(np.float32, (4, 5), elements=numbers))
def test_distances_are_those_of_numpy_and_are_distances(vector: np.ndarray, matrix: np.ndarray) -> None:
    """Equal to the norm; never negative; nil to itself; the same both ways; no detour is shorter."""
    distances = euclidean_distances(vector, matrix)
    np.testing.assert_allclose(distances, np.linalg.norm(matrix - vector, axis=1), rtol=1e-5, atol=1e-5)
    assert (distances >= 0).all()
    assert euclidean_distances(vector, vector[None])[0] == 0
    back = [euclidean_distances(other, vector[None])[0] for other in matrix]
    np.testing.assert_allclose(distances, back, rtol=1e-6)
    detour = distances[1] + euclidean_distances(matrix[1], matrix[:1])[0]
    assert distances[0] <= detour * (1 + 1e-5) + 1e-4


@pytest.mark.parametrize("dimension", [1, 26, 200])
@pytest.mark.parametrize("kept", [1.0, 0.1, 0.0])
def test_distances_of_many_rows_are_those_of_each(dimension: int, kept: float) -> None:
    """Out of all rows or some of them, in whatever order, also where the last block is a short one.

    Each is as exact as single precision allows: to a millionth of itself, however near.
    """
    chance = np.random.default_rng(dimension)
    matrix = chance.normal(size=(9000, dimension)).astype(np.float32)
    vector = matrix[17] + np.float32(1e-6)
    places = chance.permutation(np.flatnonzero(chance.random(9000) < kept))
    exact = np.sqrt(((matrix.astype(np.float64) - vector.astype(np.float64)) ** 2).sum(axis=1))
    np.testing.assert_allclose(euclidean_distances(vector, matrix), exact, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(euclidean_distances(vector, matrix, places=places), exact[places], rtol=1e-6, atol=1e-30)


@given(
    arrays(np.float32, st.integers(0, 60), elements=st.sampled_from([0.0, 1.0, 2.0, 3.5, np.inf, np.nan])),
    st.integers(-1, 70),
)
def test_the_nearest_are_the_beginning_of_a_stable_sort(distances: np.ndarray, limit: int) -> None:
    """With many that are equal, at the end as well, and with what is no number, which comes last."""
    expected = np.argsort(distances, kind="stable")[: max(limit, 0)]
    np.testing.assert_array_equal(nearest_rows(distances, limit), expected)


def test_no_rows_have_no_distances() -> None:
    """An empty collection is no error."""
    assert euclidean_distances(row(1, 2), np.empty((0, 2), dtype=np.float32)).shape == (0,)


@pytest.mark.parametrize("shape", [(3, 3), (2,), (1, 2, 2)])
def test_vectors_of_another_dimension_are_never_compared(shape: tuple[int, ...]) -> None:
    """The message names both shapes."""
    with pytest.raises(UsageError, match=r"shape \(2,\)"):
        euclidean_distances(row(1, 2), np.zeros(shape, dtype=np.float32))


def test_a_midpoint_is_the_mean_and_the_reference_stands_in_for_what_is_missing() -> None:
    """Two jazz tracks and one of metal; pop comes from the model, rock from nowhere."""
    genres = [Genre.JAZZ, Genre.METAL, Genre.JAZZ]
    matrix = np.stack([row(1, 2), row(10, 10), row(3, 6)])
    reference = {Genre.JAZZ: row(9, 9), Genre.POP: row(7, 7)}
    midpoints = genre_midpoints(genres, matrix, reference=reference)
    assert set(midpoints) == {Genre.JAZZ, Genre.METAL, Genre.POP}
    assert midpoints[Genre.JAZZ].vector.tolist() == [2, 4]
    assert midpoints[Genre.METAL].vector.tolist() == [10, 10]
    assert midpoints[Genre.POP].vector.tolist() == [7, 7]
    assert [midpoints[g].tracks for g in (Genre.JAZZ, Genre.METAL, Genre.POP)] == [2, 1, 0]
    assert [g for g, midpoint in midpoints.items() if midpoint.is_reference] == [Genre.POP]


def test_an_empty_collection_has_the_midpoints_of_the_model() -> None:
    """A listener without music can ask."""
    reference = {genre: row(i, i) for i, genre in enumerate(Genre)}
    midpoints = genre_midpoints([], np.empty((0, 2), dtype=np.float32), reference=reference)
    assert all(midpoints[genre].vector is reference[genre] and midpoints[genre].is_reference for genre in Genre)


@given(arrays(np.float32, st.tuples(st.integers(1, 20), st.just(3)), elements=numbers))
def test_a_midpoint_lies_between_its_tracks_wherever_they_stand(matrix: np.ndarray) -> None:
    """Within their bounds in each direction, and the same in every order."""
    genres = [Genre.ROCK] * len(matrix)
    midpoint = genre_midpoints(genres, matrix, reference={})[Genre.ROCK].vector
    assert (midpoint >= matrix.min(axis=0) - 1e-4).all()
    assert (midpoint <= matrix.max(axis=0) + 1e-4).all()
    turned = genre_midpoints(genres, matrix[::-1].copy(), reference={})[Genre.ROCK].vector
    np.testing.assert_allclose(midpoint, turned, atol=1e-4)


def test_a_genre_for_each_vector_is_needed() -> None:
    """Two genres for three vectors."""
    with pytest.raises(UsageError, match="2 genres for 3 vectors"):
        genre_midpoints([Genre.JAZZ] * 2, np.zeros((3, 2), dtype=np.float32), reference={})

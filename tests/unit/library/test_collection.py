"""A collection: the genre of each track, and its vectors in each space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dnai.errors import ConfigurationError
from dnai.genre.model import GenreAnswer, GenreModel
from dnai.library.catalogue import Catalogue
from dnai.library.collection import Collection, read_collection
from dnai.library.models import load_models
from dnai.library.register import Snapshot
from dnai.library.rows import CataloguedTrack, Hearing
from dnai.tracks import Genre, GenreOrigin
from tests.models import SHIPPED, copy_model, other_model
from tests.unit.library.conftest import catalogued, heard
from tests.unit.recommend.conftest import made_track

SURE_POP = GenreAnswer(Genre.POP, 0.9, is_sure=True)
MAYBE_ROCK = GenreAnswer(Genre.ROCK, 0.3, is_sure=False)
Told = tuple[Genre, GenreOrigin, float, str]


def told(
    catalogue: Catalogue, models: list[GenreModel], known: CataloguedTrack, *, use_tags: bool = True
) -> list[Told]:
    """What is said of the genre of the only track."""
    catalogue.put_track(known)
    tracks = read_collection(catalogue, models, use_tags=use_tags).tracks
    return [(track.genre, track.genre_origin, track.confidence, track.told_by) for track in tracks]


def test_a_tag_comes_first_and_the_models_own_answer_is_kept_beside_it(catalogue: Catalogue, model: GenreModel) -> None:
    """Genre and origin are the tag's; the confidence is that of the model's own answer."""
    known = catalogued("/m/a.mp3", heard(model=model, answer=MAYBE_ROCK), tag=Genre.JAZZ)
    assert told(catalogue, [model], known) == [(Genre.JAZZ, GenreOrigin.TAG, 0.3, "librosa26")]
    assert read_collection(catalogue, [model]).tracks[0].model_genre is Genre.ROCK


@pytest.mark.parametrize("tag", [Genre.JAZZ, None])
def test_without_tags_the_model_tells(catalogue: Catalogue, model: GenreModel, tag: Genre | None) -> None:
    """Where the file has none, and where the setting says that they do not count."""
    known = catalogued("/m/a.mp3", heard(model=model, answer=SURE_POP), tag=tag)
    assert told(catalogue, [model], known, use_tags=False) == [(Genre.POP, GenreOrigin.MODEL, 0.9, "librosa26")]


def test_an_answer_that_is_not_sure_is_kept_and_marked(catalogue: Catalogue, model: GenreModel) -> None:
    """The most probable genre serves for matching."""
    known = catalogued("/m/a.mp3", heard(model=model, answer=MAYBE_ROCK), tag=None)
    assert told(catalogue, [model], known) == [(Genre.ROCK, GenreOrigin.UNSURE, 0.3, "librosa26")]


def test_the_preferred_model_that_has_heard_a_track_tells(
    catalogue: Catalogue, model: GenreModel, other: GenreModel
) -> None:
    """Sure or not; the other one only where the preferred has not heard it yet, or could not."""
    by_other = heard(model=other, answer=MAYBE_ROCK)
    by_model = heard(model=model, answer=SURE_POP)
    both = catalogued("/m/a.mp3", by_model, by_other, tag=None)
    assert told(catalogue, [other, model], both) == [(Genre.ROCK, GenreOrigin.UNSURE, 0.3, "other26")]
    assert told(catalogue, [model, other], both) == [(Genre.POP, GenreOrigin.MODEL, 0.9, "librosa26")]
    one = catalogued("/m/a.mp3", by_model, tag=None)
    assert told(catalogue, [other, model], one) == [(Genre.POP, GenreOrigin.MODEL, 0.9, "librosa26")]
    deaf = Hearing(other.feature_id, other.space_id, other.model_id, np.empty(0), None, reason="too short")
    one = catalogued("/m/a.mp3", by_model, deaf, tag=None)
    assert told(catalogue, [other, model], one) == [(Genre.POP, GenreOrigin.MODEL, 0.9, "librosa26")]


def test_a_track_that_nobody_has_heard_yet_has_its_tag_or_is_left_out(
    catalogue: Catalogue, model: GenreModel, other: GenreModel
) -> None:
    """As with a model that was added, without the old one, before the next scan."""
    tagged = catalogued("/m/a.mp3", heard(model=model), tag=Genre.JAZZ)
    assert told(catalogue, [other], tagged) == [(Genre.JAZZ, GenreOrigin.TAG, 0.0, "")]
    assert read_collection(catalogue, [other]).tracks[0].model_genre is None
    assert told(catalogue, [other], catalogued("/m/a.mp3", heard(model=model), tag=None)) == []


def test_each_space_has_the_vectors_of_the_tracks_that_were_heard_in_it(
    catalogue: Catalogue, model: GenreModel, other: GenreModel
) -> None:
    """Rows and vectors belong together, also where tracks in between are left out."""
    a, b, c = (heard(model=model, seed=seed) for seed in range(3))
    new_c, new_d = heard(model=other, seed=8), heard(model=other, seed=9)
    catalogue.put_track(catalogued("/m/a.mp3", a))
    catalogue.put_track(catalogued("/m/b.mp3", Hearing("x", "x", "x", np.empty(0), None, reason="x"), tag=None))
    catalogue.put_track(catalogued("/m/c.mp3", c, new_c, tag=None))
    catalogue.put_track(catalogued("/m/d.mp3", new_d, tag=None))
    catalogue.put_track(catalogued("/m/e.mp3", b, tag=None))
    collection = read_collection(catalogue, [other, model])
    assert [track.path.stem for track in collection.tracks] == ["a", "c", "d", "e"]
    first, second = collection.spaces
    assert (first.space_id, first.model_id, first.rows.tolist()) == (other.space_id, other.model_id, [1, 2])
    assert (second.space_id, second.model_id, second.rows.tolist()) == (model.space_id, model.model_id, [0, 1, 3])
    np.testing.assert_array_equal(first.vectors, other.vectors(np.array([new_c.features, new_d.features])))
    np.testing.assert_array_equal(second.vectors, model.vectors(np.array([x.features for x in (a, c, b)])))
    vectors = [collection.vectors(track) for track in collection.tracks]
    assert [list(found) for found in vectors] == [
        [model.space_id],
        [other.space_id, model.space_id],
        [other.space_id],
        [model.space_id],
    ]
    np.testing.assert_array_equal(vectors[3][model.space_id], second.vectors[2])
    with pytest.raises(KeyError):
        collection.vectors(made_track("stranger"))


def test_an_empty_collection_knows_its_spaces(model: GenreModel, other: GenreModel) -> None:
    """With their dimensions."""
    collection = Collection(Snapshot(), [model, other])
    assert len(collection) == 0
    assert [(space.space_id, space.vectors.shape) for space in collection.spaces] == [
        (model.space_id, (0, 26)),
        (other.space_id, (0, 26)),
    ]


def test_vectors_of_length_one_have_that_length(catalogue: Catalogue, tmp_path: Path) -> None:
    """Where the space asks for it."""
    directed = other_model(tmp_path / "directed", length_one=True)
    catalogue.put_track(catalogued("/m/a.mp3", heard(model=directed, seed=5)))
    (space,) = read_collection(catalogue, [directed]).spaces
    np.testing.assert_allclose(np.linalg.norm(space.vectors, axis=1), 1.0, rtol=1e-6)


def test_models_are_loaded_in_their_order(other: GenreModel) -> None:
    """The first is the preferred one."""
    assert [model.name for model in load_models([other.folder, SHIPPED])] == ["other26", "librosa26"]


def test_two_models_of_one_space_or_of_the_same_features_are_refused(tmp_path: Path) -> None:
    """One of the two would be of no use; both are named."""
    twin = copy_model(tmp_path / "twin", sure_from=0.9)
    with pytest.raises(ConfigurationError, match=r"librosa26 and .*twin have the same feature space, librosa26-"):
        load_models([SHIPPED, twin])
    rescaled = copy_model(tmp_path / "rescaled", scale_by=2.0)
    with pytest.raises(ConfigurationError, match=r"librosa26 and .*rescaled are two models of the same features"):
        load_models([SHIPPED, rescaled])

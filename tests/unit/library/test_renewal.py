"""A collection that is renewed after whatever was written equals one that is read anew; old ones stay as they were."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest

from dnai.errors import CatalogueError
from dnai.genre.model import GenreAnswer, GenreModel
from dnai.library import heard as heard_module
from dnai.library import schema
from dnai.library.catalogue import Catalogue
from dnai.library.collection import Collection, LiveCollection, read_collection
from dnai.library.rows import Changes, Failure, FileStamp, Hearing, Recognised
from dnai.recommend.provider import PlaylistQuery, Shelf
from dnai.tracks import Genre, GenreOrigin, Track
from tests.unit.library.conftest import catalogued, heard

PATHS = [Path(f"/{folder}/{name}.mp3") for folder in ("m", "m/b", "n", "o") for name in ("a", "é", "z", "\udce9", "_")]
UNDER = (Path("/m"), Path("/n"))
STAMP = FileStamp(1000, 0)
Content = tuple[list[Track], list[tuple[str, str, list[int], list[list[float]]]]]


class Writer:
    """Writes whatever may be written, by chance."""

    def __init__(self, catalogue: Catalogue, models: Sequence[GenreModel], chance: Random) -> None:
        self._catalogue = catalogue
        self._models = models
        self._chance = chance
        self._kinds = [*[self._track] * 6, self._failure, self._forget, self._seen]
        self._kinds += [self._recognised, self._answers, self._hearings, self._contents]

    def write(self) -> None:
        """Write one thing."""
        self._chance.choice(self._kinds)()

    def _path(self) -> Path:
        return self._chance.choice(PATHS)

    def _some(self) -> list[Path]:
        return self._chance.sample(PATHS, self._chance.randrange(4))

    def _ids(self) -> list[int]:
        return [known.track for known in self._catalogue.known_files().values()]

    def _heard(self) -> tuple[Hearing, ...]:
        """What some of the models heard, as older classifiers of the same features answered; or could not."""
        return tuple(self._one(model) for model in self._models if self._chance.random() < 0.7)

    def _one(self, model: GenreModel) -> Hearing:
        if self._chance.random() < 0.2:
            return Hearing(model.feature_id, "s", "m", np.empty(0), None, reason="too short")
        return heard(seed=self._chance.randrange(1000), model=model, answer=self._answer())

    def _answer(self) -> GenreAnswer:
        sure = self._chance.random() < 0.5
        return GenreAnswer(self._chance.choice(list(Genre)), self._chance.random(), is_sure=sure)

    def _track(self) -> None:
        hearings = self._heard() or (heard("unheard of"),)
        tag = self._chance.choice([None, Genre.JAZZ, Genre.POP])
        year, content = self._chance.choice([None, 1959]), self._chance.choice([None, None, *"abcdefgh"])
        one = catalogued(str(self._path()), *hearings, tag=tag, year=year, content_id=content, title='"Ü" \\ 日本')
        self._catalogue.put_track(one)

    def _failure(self) -> None:
        self._catalogue.put_failure(Failure(self._path(), STAMP, "r", passing=False))

    def _forget(self) -> None:
        self._catalogue.forget(self._some())

    def _seen(self) -> None:
        self._catalogue.write_changes(Changes(gone=self._some()[:1], away=self._some(), back=self._some()))

    def _recognised(self) -> None:
        ids = self._ids()
        for_whom = self._chance.sample(ids, min(len(ids), self._chance.randrange(3)))
        paths = self._chance.sample(PATHS, len(for_whom))
        is_copy = self._chance.random() < 0.3
        if is_copy and any(known.track in for_whom for path, known in self._known(paths)):
            return
        found = [Recognised(one, path, STAMP, is_copy=is_copy) for one, path in zip(for_whom, paths, strict=True)]
        self._catalogue.write_changes(Changes(recognised=found))

    def _known(self, paths: Sequence[Path]) -> Iterator[tuple[Path, object]]:
        known = self._catalogue.known_files()
        return ((path, known[path]) for path in paths if path in known)

    def _answers(self) -> None:
        ids = self._ids()[:3]
        # The same as a classifier of another id would write.
        model = self._chance.choice(self._models)
        self._catalogue._connection.execute("UPDATE hearings SET model_id = 'older' WHERE track % 2")
        self._catalogue.put_answers(model, ids, [self._answer() for _ in ids])

    def _hearings(self) -> None:
        self._catalogue.put_hearings(self._path(), STAMP, self._heard())

    def _contents(self) -> None:
        for one in self._ids()[:2]:
            told = catalogued(self._path(), title=self._chance.choice("xyz")).file
            genre = self._chance.choice([None, *Genre])
            self._catalogue.put_description(one, told._replace(tag_genre=genre, content_id=self._chance.choice("abc")))
        for one in self._ids()[2:3]:
            self._catalogue.put_content_id(one, self._chance.choice("abc"))


def content(collection: Collection) -> Content:
    """All that a collection holds, as values of its own."""
    spaces = [(one.space_id, one.model_id, one.rows.tolist(), one.vectors.tolist()) for one in collection.spaces]
    return [collection.tracks[i] for i in range(len(collection))], spaces


def expected(catalogue: Catalogue, models: Sequence[GenreModel], *, use_tags: bool) -> Content:
    """The same, put together one by one out of everything that the catalogue holds."""
    tracks: list[Track] = []
    vectors: dict[str, list[tuple[int, list[float]]]] = {model.space_id: [] for model in models}
    contents = {known_path: known.content_id for known_path, known in catalogue.known_files().items()}
    seen: set[str] = set()
    for one in catalogue.tracks(under=UNDER):
        told = {hearing.feature_id: hearing for hearing in one.hearings if hearing.answer}
        teller = next((model for model in models if model.feature_id in told), None)
        answer = told[teller.feature_id].answer if teller else None
        tag = one.file.tag_genre if use_tags else None
        known = contents[one.file.path]
        is_again = known in seen
        seen |= {known} if known else set()
        if is_again or not (tag or answer):
            continue
        origin = GenreOrigin.MODEL if answer and answer.is_sure else GenreOrigin.UNSURE
        for model in models:
            if model.feature_id in told:
                (vector,) = model.vectors(told[model.feature_id].features[np.newaxis]).tolist()
                vectors[model.space_id].append((len(tracks), vector))
        fields = {name: getattr(one.file, name) for name in one.file._fields if name not in {"tag_genre", "content_id"}}
        tracks.append(
            Track(
                **fields,
                genre=tag or (answer.genre if answer else Genre.POP),
                genre_origin=GenreOrigin.TAG if tag else origin,
                model_genre=answer.genre if answer else None,
                confidence=answer.confidence if answer else 0.0,
                told_by=teller.name if teller else "",
            )
        )
    spaces = [
        (
            model.space_id,
            model.model_id,
            [row for row, _ in vectors[model.space_id]],
            [vector for _, vector in vectors[model.space_id]],
        )
        for model in models
    ]
    return tracks, spaces


@pytest.mark.parametrize("use_tags", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_written_a_renewed_collection_is_as_one_read_anew(
    tmp_path: Path,
    model: GenreModel,
    other: GenreModel,
    seed: int,
    *,
    use_tags: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After each few writes: the tracks, the rows and the vectors to the last bit; those handed out never change."""
    monkeypatch.setattr(heard_module, "_LEAST_SLACK", 2)  # so that the array is exchanged now and then
    path, models, chance = tmp_path / "catalogue.sqlite3", [other, model], Random(seed)
    kept: list[tuple[Collection, Content]] = []
    with (
        Catalogue(path) as catalogue,
        closing(LiveCollection(path, models, use_tags=use_tags, under=UNDER)) as live,
    ):
        writer = Writer(catalogue, models, chance)
        for _ in range(60):
            for _ in range(chance.randrange(1, 4)):
                writer.write()
            now = live.current()
            anew = read_collection(catalogue, models, use_tags=use_tags, under=UNDER)
            assert content(now) == content(anew) == expected(catalogue, models, use_tags=use_tags)
            assert list(now.tracks) == content(now)[0]
            kept.append((now, content(now)))
    assert max(len(collection) for collection, _ in kept) >= 4
    assert [content(collection) for collection, _ in kept] == [as_it_was for _, as_it_was in kept]


def test_what_does_not_concern_the_tracks_renews_nothing(tmp_path: Path, model: GenreModel) -> None:
    """A file that cannot be used; and a track of another folder leaves the tracks equal, without making them."""
    path = tmp_path / "catalogue.sqlite3"
    with Catalogue(path) as catalogue, closing(LiveCollection(path, [model], under=Path("/m"))) as live:
        catalogue.put_track(catalogued("/m/a.mp3", heard(model=model)))
        first = live.current()
        catalogue.put_failure(Failure(Path("/m/b.mp3"), STAMP, "r", passing=False))
        assert live.current() is first
        catalogue.put_track(catalogued("/n/c.mp3", heard(model=model)))
        assert live.current().tracks == first.tracks
        catalogue.put_track(catalogued("/m/a.mp3", heard(model=model), title="Other"))
        assert live.current().tracks != first.tracks


def test_who_has_missed_more_changes_than_are_remembered_reads_everything(tmp_path: Path, model: GenreModel) -> None:
    """The log of changes does not grow for ever, and nothing is overlooked for it."""
    path = tmp_path / "catalogue.sqlite3"
    with Catalogue(path) as catalogue, closing(LiveCollection(path, [model])) as live:
        for name in "abc":
            catalogue.put_track(catalogued(f"/m/{name}.mp3", heard(model=model)))
        assert len(live.current()) == 3
        with catalogue.moment() as moment:
            known = moment.revision
        catalogue.forget([Path("/m/b.mp3")])
        with catalogue.moment(since=known) as moment:
            assert moment.changed is not None
            assert len(moment.changed) == 1
        with catalogue._transaction() as connection:
            connection.executemany("UPDATE tracks SET year = ? WHERE id = 1", ((i,) for i in range(schema.LOG_LENGTH)))
        with catalogue.moment(since=known) as moment:
            assert moment.changed is None
        assert [track.path.stem for track in live.current().tracks] == ["a", "c"]
        assert catalogue._connection.execute("SELECT count(*) FROM changes").fetchone() == (1,)


def test_a_renewal_that_fails_costs_nothing(tmp_path: Path, model: GenreModel) -> None:
    """The damage is named each time; when it is mended, all is there, and what was handed out was never touched."""
    path = tmp_path / "catalogue.sqlite3"
    with Catalogue(path) as catalogue, closing(LiveCollection(path, [model])) as live:
        for i in range(100):
            catalogue.put_track(catalogued(f"/m/{i:02d}.mp3", heard(model=model, seed=i)))
        first = live.current()
        before = content(first)
        damaged = heard(model=model, seed=5)
        short = Hearing(damaged.feature_id, "s", "m", damaged.features[:-1], damaged.answer)
        for i in range(99):
            catalogue.put_track(catalogued(f"/m/{i:02d}.mp3", heard(model=model, seed=i + 1)))
        catalogue.put_track(catalogued("/m/99.mp3", short))
        for _ in range(2):
            with pytest.raises(CatalogueError, match=r"is damaged: features librosa26-.* of different lengths"):
                live.current()
        catalogue.put_track(catalogued("/m/99.mp3", heard(model=model)))
        assert content(live.current()) == content(read_collection(catalogue, [model]))
        assert content(first) == before


def test_readers_go_on_with_what_they_have_while_it_is_renewed(tmp_path: Path, model: GenreModel) -> None:
    """A shelf answers the same all the time, in another thread, whatever is added to the array meanwhile."""
    path = tmp_path / "catalogue.sqlite3"
    query = PlaylistQuery(Genre.JAZZ, model.space_id, np.zeros(26, dtype=np.float32))
    with Catalogue(path) as catalogue, closing(LiveCollection(path, [model])) as live:
        for i in range(50):
            catalogue.put_track(catalogued(f"/m/{i:02d}.mp3", heard(model=model, seed=i)))
        collection = live.current()
        shelf = Shelf(collection.tracks, collection.spaces)
        first, stop = shelf.nearest(query), threading.Event()
        answers: list[bool] = []

        def ask() -> None:
            while not stop.is_set() or not answers:
                answers.append(shelf.nearest(query) == first)

        reader = threading.Thread(target=ask)
        reader.start()
        for i in range(150):
            catalogue.put_track(catalogued(f"/m/{i % 60:02d}.mp3", heard(model=model, seed=1000 + i)))
            live.current()
        stop.set()
        reader.join(60)
        assert not reader.is_alive()
        assert all(answers)


def test_the_tracks_of_a_collection_are_a_sequence(tmp_path: Path, model: GenreModel) -> None:
    """By index, from behind, in slices and one after the other; equal to any sequence of the same tracks."""
    with Catalogue(tmp_path / "catalogue.sqlite3") as catalogue:
        for name in "abcd":
            catalogue.put_track(catalogued(f"/m/{name}.mp3", heard(model=model), title=name))
        tracks = read_collection(catalogue, [model]).tracks
        catalogue.put_track(catalogued("/m/d.mp3", heard(model=model), title="other"))
        others = read_collection(catalogue, [model]).tracks
    a, b, c, d = tracks
    assert (tracks[0], tracks[-1], tracks[1:3], tracks[::-2]) == (a, d, (b, c), (d, b))
    assert (tracks.index(c), b in tracks, others[3] in tracks) == (2, True, False)
    assert tracks == (a, b, c, d)
    assert tracks != [a, b, c]
    assert tracks != others
    assert others[:3] == tracks[:3]
    with pytest.raises(IndexError):
        tracks[4]

"""Scans with several models: one decoding for all, and old catalogues that are brought up to date."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dnai.audio.decode import SoundSource, decode
from dnai.audio.features import extract_features
from dnai.errors import DecodeError, UnusableAudioError
from dnai.genre.extraction import Extractor, open_extractor
from dnai.genre.model import GenreModel
from dnai.library import analysis
from dnai.library.catalogue import Catalogue
from dnai.library.collection import LiveCollection, read_collection
from dnai.library.rows import CataloguedTrack
from dnai.library.scanner import ScanProgress, ScanStep, ScanSummary, scan_folder
from dnai.tracks import Genre
from tests.models import OTHER_DEFINITION, OtherExtractor, WholeSong, copy_model, other_model
from tests.unit.library.conftest import Scan, add_song


class Deaf(WholeSong):
    """An extractor that can measure nothing."""

    feature_id = "deaf"

    def measure(self, y: np.ndarray) -> np.ndarray:
        """Refuse it."""
        raise UnusableAudioError("deaf today")


class Scanning:
    """Scans, and counts what is decoded and opened."""

    def __init__(self, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decoded: list[str] = []
        self.opened: list[str] = []
        self.seen: list[ScanProgress] = []
        self.extractors: dict[str, Extractor] = {}
        self._catalogue = catalogue
        monkeypatch.setattr(analysis, "SoundSource", self._open_source)

    def __call__(self, folder: Path, *models: GenreModel) -> ScanSummary:
        """Scan with these models, counting anew."""
        for noted in (self.decoded, self.opened, self.seen):
            noted.clear()
        return scan_folder(folder, self._catalogue, models, report=self.seen.append, open_extractor=self._open)

    def _open_source(self, path: Path) -> SoundSource:
        self.decoded.append(path.name)
        return SoundSource(path)

    def _open(self, model: GenreModel) -> Extractor:
        self.opened.append(model.name)
        if model.feature_definition != OTHER_DEFINITION:
            return open_extractor(model)
        return self.extractors.setdefault(model.name, OtherExtractor(model.feature_id))


@pytest.fixture
def scanning(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> Scanning:
    """A scan that is watched."""
    return Scanning(catalogue, monkeypatch)


def heard_by(catalogue: Catalogue) -> dict[str, set[str]]:
    """For each file the spaces, without their fingerprints, in which it was heard."""
    return {
        one.file.path.name: {heard.space_id.rpartition("-")[0] for heard in one.hearings if heard.answer is not None}
        for one in catalogue.tracks()
    }


def features(one: CataloguedTrack, model: GenreModel) -> list[float]:
    return next(heard.features.tolist() for heard in one.hearings if heard.feature_id == model.feature_id)


def test_one_decoding_serves_all_models(
    music_folder: Path, catalogue: Catalogue, scanning: Scanning, model: GenreModel, other: GenreModel
) -> None:
    """Each file is read once, each extractor opened once, and both kinds of numbers are those of the samples."""
    assert scanning(music_folder, other, model) == ScanSummary(analysed=3, failed=0, unchanged=0, dropped=0)
    assert sorted(scanning.decoded) == ["01.mp3", "plain.wav", "tagged.flac"]
    assert scanning.opened == ["other26", "librosa26"]
    assert set(map(frozenset, heard_by(catalogue).values())) == {frozenset({"other26", "librosa26"})}
    for one in catalogue.tracks():
        y = decode(one.file.path).y
        assert features(one, model) == pytest.approx(extract_features(y).tolist(), rel=1e-4, abs=1e-4)
        assert features(one, other) == np.resize(y[:100].astype(np.float64), 26).tolist()
    assert [track.told_by for track in read_collection(catalogue, [other, model]).tracks] == ["other26"] * 3


def test_nothing_is_opened_where_nothing_is_to_be_decoded(
    music_folder: Path, scanning: Scanning, model: GenreModel, other: GenreModel
) -> None:
    """Extractors may be large."""
    scanning(music_folder, other, model)
    assert scanning(music_folder, other, model).unchanged == 3
    assert (scanning.opened, scanning.decoded) == ([], [])
    assert [(p.done, p.total) for p in scanning.seen] == [(0, 0)]


def test_an_old_catalogue_gets_only_what_is_missing(
    music_folder: Path, catalogue: Catalogue, scanning: Scanning, model: GenreModel, other: GenreModel
) -> None:
    """The files are decoded once more for the new model alone; what the old one heard stays to the last bit."""
    scanning(music_folder, model)
    before = {one.file: features(one, model) for one in catalogue.tracks()}
    summary = scanning(music_folder, other, model)
    assert summary == ScanSummary(analysed=0, failed=0, unchanged=3, dropped=0, updated=3)
    assert len(scanning.decoded) == 3
    assert {one.file: features(one, model) for one in catalogue.tracks()} == before
    assert set(map(frozenset, heard_by(catalogue).values())) == {frozenset({"other26", "librosa26"})}
    assert scanning(music_folder, other, model).updated == 0
    assert scanning.decoded == []


def test_new_files_come_before_old_rows_and_progress_tells_them_apart(
    music_folder: Path, scanning: Scanning, model: GenreModel, other: GenreModel
) -> None:
    """Each step counts for itself, and ends at its own total."""
    scanning(music_folder, model)
    add_song(music_folder, "zz new.wav", seed=7)
    summary = scanning(music_folder, other, model)
    assert (summary.analysed, summary.updated) == (1, 3)
    assert [(p.step, p.done, p.total, p.current) for p in scanning.seen] == [
        (ScanStep.NEW, 0, 1, "zz new.wav"),
        (ScanStep.NEW, 1, 1, ""),
        (ScanStep.UPDATE, 0, 3, "01.mp3"),
        (ScanStep.UPDATE, 1, 3, "plain.wav"),
        (ScanStep.UPDATE, 2, 3, "tagged.flac"),
        (ScanStep.UPDATE, 3, 3, ""),
    ]


def test_whoever_reads_meanwhile_sees_each_row_at_once(
    music_folder: Path, catalogue: Catalogue, scanning: Scanning, model: GenreModel, other: GenreModel
) -> None:
    """A worker answers with what it has: the old space stays complete, the new one grows row by row."""
    scanning(music_folder, model)
    live = LiveCollection(catalogue._path, [other, model])
    covered: list[tuple[int, int]] = []

    def look(_progress: ScanProgress) -> None:
        new, old = live.current().spaces
        covered.append((len(new.rows), len(old.rows)))

    scan_folder(
        music_folder,
        catalogue,
        [other, model],
        report=look,
        open_extractor=lambda each: OtherExtractor(each.feature_id),
    )
    live.close()
    assert covered == [(0, 3), (0, 3), (1, 3), (2, 3), (3, 3)]


def test_what_one_model_cannot_hear_is_kept_with_what_the_other_can_and_not_tried_again(
    music_folder: Path, catalogue: Catalogue, scanning: Scanning, model: GenreModel, other: GenreModel
) -> None:
    """In a scan of new files and in an update; the reason is kept."""
    scanning.extractors["other26"] = Deaf()
    assert scanning(music_folder, other, model).analysed == 3
    assert set(map(frozenset, heard_by(catalogue).values())) == {frozenset({"librosa26"})}
    reasons = {heard.reason for one in catalogue.tracks() for heard in one.hearings if heard.answer is None}
    assert reasons == {"deaf today"}
    assert scanning(music_folder, other, model).updated == 0
    assert scanning.decoded == []
    assert [track.told_by for track in read_collection(catalogue, [other, model]).tracks] == ["librosa26"] * 3


def test_an_update_that_can_hear_nothing_costs_nothing_that_was_known(
    music_folder: Path,
    catalogue: Catalogue,
    scanning: Scanning,
    model: GenreModel,
    other: GenreModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An extractor that refuses, and a file that cannot be decoded any more: noted, and not tried again."""
    scanning(music_folder, model)
    scanning.extractors["other26"] = Deaf()

    def spoilt(path: Path) -> SoundSource:
        if path.name == "plain.wav":
            raise DecodeError("spoilt")
        return SoundSource(path)

    monkeypatch.setattr(analysis, "SoundSource", spoilt)
    assert scanning(music_folder, other, model) == ScanSummary(0, 0, 3, 0, updated=0)
    assert len(read_collection(catalogue, [other, model])) == 3
    reasons = {one.file.path.name: {h.reason for h in one.hearings if h.reason} for one in catalogue.tracks()}
    assert reasons == {"01.mp3": {"deaf today"}, "plain.wav": {"spoilt"}, "tagged.flac": {"deaf today"}}
    monkeypatch.setattr(analysis, "SoundSource", None)
    assert scanning(music_folder, other, model).updated == 0


def test_a_file_that_cannot_be_read_now_is_updated_another_time(
    music_folder: Path,
    catalogue: Catalogue,
    scanning: Scanning,
    model: GenreModel,
    other: GenreModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when a network drive hiccups: nothing is noted."""
    scanning(music_folder, model)

    def away(path: Path) -> SoundSource:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(analysis, "SoundSource", away)
    assert scanning(music_folder, other, model).updated == 0
    monkeypatch.setattr(analysis, "SoundSource", SoundSource)
    assert scanning(music_folder, other, model).updated == 3


def test_a_file_that_no_model_can_hear_is_a_failure_with_all_reasons(
    tmp_path: Path, catalogue: Catalogue, scanning: Scanning, other: GenreModel
) -> None:
    """Each said once."""
    add_song(tmp_path / "music", "a.wav")
    third = other_model(tmp_path / "third", name="third26")
    scanning.extractors = {"other26": Deaf(), "third26": OtherExtractor(third.feature_id, fails_on_longer_than=10)}
    assert scanning(tmp_path / "music", other, third).failed == 1
    assert [failure.reason for failure in catalogue.failures()] == ["deaf today; too long for the tests"]
    scanning.extractors["third26"] = Deaf()
    (tmp_path / "music" / "a.wav").touch()
    scanning(tmp_path / "music", other, third)
    assert [failure.reason for failure in catalogue.failures()] == ["deaf today"]


def test_an_error_that_nobody_thought_of_in_one_model_leaves_the_others_answer(
    tmp_path: Path, catalogue: Catalogue, scanning: Scanning, model: GenreModel, other: GenreModel
) -> None:
    """Numbers of a wrong shape, for instance."""

    class Broken(Deaf):
        def measure(self, y: np.ndarray) -> np.ndarray:
            return np.zeros(3)

    add_song(tmp_path / "music", "a.wav")
    scanning.extractors["other26"] = Broken()
    assert scanning(tmp_path / "music", other, model).analysed == 1
    (one,) = catalogue.tracks()
    (reason,) = (heard.reason for heard in one.hearings if heard.reason)
    assert reason.startswith("the analysis failed: UsageError: other26 takes features of shape (n, 26)")


def test_a_new_classifier_of_one_space_leaves_the_other_alone_and_reads_no_file(
    music_folder: Path, catalogue: Catalogue, scanning: Scanning, model: GenreModel, other: GenreModel, tmp_path: Path
) -> None:
    """Only its own answers change, and the features stay."""
    scanning(music_folder, other, model)
    before = {one.file: {h.feature_id: h for h in one.hearings} for one in catalogue.tracks()}
    better = GenreModel(copy_model(tmp_path / "better", sure_from=1.0, scale_by=2.0))
    assert better.feature_id == model.feature_id
    summary = scanning(music_folder, other, better)
    assert (summary.analysed, summary.updated, scanning.decoded) == (0, 0, [])
    for one in catalogue.tracks():
        for heard in one.hearings:
            old = before[one.file][heard.feature_id]
            assert heard.features.tolist() == old.features.tolist()
            if heard.feature_id == other.feature_id:
                assert (heard.answer, heard.model_id) == (old.answer, old.model_id)
            else:
                assert (heard.space_id, heard.model_id) == (better.space_id, better.model_id)
                (answer,) = better.classify(heard.features[np.newaxis])
                assert heard.answer is not None
                assert (heard.answer.genre, heard.answer.is_sure) == (answer.genre, False)
                assert heard.answer.confidence == pytest.approx(answer.confidence, abs=1e-5)


def test_answers_are_renewed_in_batches(
    tmp_path: Path, catalogue: Catalogue, scan: Scan, model: GenreModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows, whatever the size of a batch."""
    monkeypatch.setattr("dnai.library.scanner._BATCH", 2)
    for i in range(5):
        add_song(tmp_path / "music", f"{i}.wav", seed=i)
    scan(tmp_path / "music")
    stricter = GenreModel(copy_model(tmp_path / "stricter", sure_from=1.0))
    scan_folder(tmp_path / "music", catalogue, [stricter], report=lambda _progress: None)
    hearings = [heard for one in catalogue.tracks() for heard in one.hearings]
    assert [heard.model_id for heard in hearings] == [stricter.model_id] * 5
    assert not any(heard.answer.is_sure for heard in hearings if heard.answer)
    assert [heard.answer.genre for heard in hearings if heard.answer] == [
        answer.genre for answer in model.classify(np.array([heard.features for heard in hearings]))
    ]


def test_two_scans_at_once_agree(music_folder: Path, tmp_path: Path, model: GenreModel, other: GenreModel) -> None:
    """A worker's and one by hand: each row is there once, with both spaces."""
    path = tmp_path / "catalogue.sqlite3"

    def scan(models: Sequence[GenreModel]) -> None:
        with Catalogue(path) as own:
            scan_folder(
                music_folder,
                own,
                models,
                report=lambda _progress: None,
                open_extractor=lambda each: OtherExtractor(each.feature_id),
            )

    threads = [threading.Thread(target=scan, args=([other, model],)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with Catalogue(path) as catalogue:
        assert set(map(frozenset, heard_by(catalogue).values())) == {frozenset({"other26", "librosa26"})}
        assert [track.genre for track in read_collection(catalogue, [model]).tracks][-1] is Genre.JAZZ

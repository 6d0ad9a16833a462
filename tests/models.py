"""Models for the tests: changed copies of the one that comes with DN.ai, whose ids fit their content."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from dnai.config import PROJECT_DIR
from dnai.errors import UnusableAudioError
from dnai.genre.extractor import Extractor, Measurement
from dnai.genre.model import (
    LITERT_FILE,
    MANIFEST_FILE,
    MIDPOINTS_FILE,
    SCALER_FILE,
    GenreAnswer,
    GenreModel,
    Manifest,
    Scaler,
    file_sha256,
    make_model_id,
    make_space_id,
)
from dnai.library.rows import CataloguedFile, CataloguedTrack, Hearing
from dnai.tracks import Genre, GenreOrigin, Track

SHIPPED = PROJECT_DIR / "models" / "librosa26"
OTHER_NAME = "other26"
OTHER_DEFINITION = "numbers of the tests"


def copy_model(
    folder: Path,
    *,
    name: str | None = None,
    definition: str | None = None,
    feature_names: Sequence[str] | None = None,
    labels: Sequence[Genre] | None = None,
    scale_by: float = 1.0,
    length_one: bool | None = None,
    sure_from: float | None = None,
) -> Path:
    """Copy the shipped model to `folder`, change what is given, and make the ids anew; return `folder`."""
    shutil.copytree(SHIPPED, folder)
    old = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    scaler = msgspec.json.decode((folder / SCALER_FILE).read_bytes(), type=Scaler)
    scaler = Scaler(scaler.mean, tuple(scale * scale_by for scale in scaler.scale))
    (folder / SCALER_FILE).write_bytes(msgspec.json.encode(scaler))
    manifest = msgspec.structs.replace(
        old,
        name=name or old.name,
        feature_definition=definition or old.feature_definition,
        feature_names=tuple(feature_names or old.feature_names),
        labels=tuple(labels or old.labels),
        length_one=old.length_one if length_one is None else length_one,
        sure_from=old.sure_from if sure_from is None else sure_from,
        sha256={file: file_sha256(folder / file) for file in (SCALER_FILE, MIDPOINTS_FILE, LITERT_FILE)},
    )
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(_with_ids(manifest, scaler)))
    return folder


def identify(folder: Path) -> None:
    """Make the ids in a model's folder anew, so that they fit whatever was changed there."""
    manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    scaler = msgspec.json.decode((folder / SCALER_FILE).read_bytes(), type=Scaler)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(_with_ids(manifest, scaler)))


def _with_ids(manifest: Manifest, scaler: Scaler) -> Manifest:
    return msgspec.structs.replace(
        manifest,
        space_id=make_space_id(
            manifest.name,
            manifest.feature_definition,
            manifest.feature_names,
            scaler,
            length_one=manifest.length_one,
        ),
        model_id=make_model_id(
            manifest.name,
            manifest.labels,
            sure_from=manifest.sure_from,
            network_sha256=manifest.sha256[LITERT_FILE],
        ),
    )


def other_model(folder: Path, **changes: object) -> GenreModel:
    """Return a model of a second feature space, of 26 numbers that only `OtherExtractor` measures."""
    names = tuple(f"other{i}" for i in range(26))
    given = {"name": OTHER_NAME, "definition": OTHER_DEFINITION, "feature_names": names, **changes}
    return GenreModel(copy_model(folder, **given))  # type: ignore[arg-type]  # the options of copy_model


def raw_features(model: GenreModel, vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the raw features, shape ``(d,)``, that a model standardises to `vector`."""
    raw: NDArray[np.float64] = np.asarray(vector, dtype=np.float64) * model._scale + model._mean
    return raw


def known_of(track: Track, *heard: tuple[GenreModel, NDArray[np.floating]]) -> CataloguedTrack:
    """Return what the catalogue keeps of a track that models have heard at these vectors of their spaces."""
    tag = track.genre if track.genre_origin is GenreOrigin.TAG else None
    file = CataloguedFile(
        path=track.path,
        size_bytes=track.size_bytes,
        mtime_ns=track.mtime_ns,
        title=track.title,
        artist=track.artist,
        album=track.album,
        year=track.year,
        tag_genre=tag,
        duration_s=track.duration_s,
        audio_type=track.audio_type,
    )
    is_sure = track.genre_origin is not GenreOrigin.UNSURE
    answer = GenreAnswer(track.model_genre or track.genre, track.confidence, is_sure=is_sure)
    hearings = [
        Hearing(model.feature_id, model.space_id, model.model_id, raw_features(model, vector), answer)
        for model, vector in heard
    ]
    return CataloguedTrack(file, tuple(hearings))


class WholeSong(Extractor):
    """An extractor for tests, which is given the whole song."""

    def start(self) -> Measurement:
        """Return what gathers the song."""
        return _Gathering(self)

    def measure(self, y: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the features of a song, shape ``(n,)``."""
        raise NotImplementedError


@dataclass
class _Gathering:
    extractor: WholeSong
    blocks: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, y: NDArray[np.float32]) -> None:
        self.blocks.append(y)

    def rewind(self) -> bool:
        return False

    def finish(self) -> NDArray[np.float64]:
        return self.extractor.measure(np.concatenate(self.blocks))


@dataclass
class OtherExtractor(WholeSong):
    """Measures the features of `other_model`: numbers that follow from the first samples; counts its calls."""

    feature_id: str
    calls: int = 0
    fails_on_longer_than: int | None = None

    def measure(self, y: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return 26 numbers, or refuse what is too long."""
        self.calls += 1
        if self.fails_on_longer_than is not None and len(y) > self.fails_on_longer_than:
            raise UnusableAudioError("too long for the tests")
        return np.resize(y[:100].astype(np.float64), 26)

"""A folder of music → rows of the catalogue."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dnai.audio.decode import decode
from dnai.audio.features import FEATURE_DEFINITION, FEATURE_NAMES, extract_features
from dnai.audio.tags import read_tags
from dnai.errors import AudioError, CatalogueFullError, ModelError, UsageError
from dnai.genre.model import GenreModel
from dnai.library.catalogue import Catalogue, CataloguedTrack, Failure, FileStamp
from dnai.text import clean_text
from dnai.tracks import AUDIO_SUFFIXES, GenreOrigin, Track

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan is: `done` of `total` new or changed files, and the name of the one in hand."""

    done: int
    total: int
    current: str


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What a scan did, in files. `unchanged` counts tracks and failures that were known already."""

    analysed: int
    failed: int
    unchanged: int
    dropped: int


def scan_folder(
    folder: Path, catalogue: Catalogue, model: GenreModel, *, report: Callable[[ScanProgress], None]
) -> ScanSummary:
    """Bring the catalogue up to date with `folder` and everything below it.

    Only new and changed files are analysed; files that are gone are dropped. Rows of other folders
    stay as they are. A file that cannot be used is recorded with its reason and costs only itself.

    Raises
    ------
    UsageError
        When the folder does not exist or cannot be read.
    ModelError
        When the model knows other features than the ones that are measured.
    CatalogueError
        When the catalogue cannot be written; what was written before is kept.
    """
    _check_model(model)
    root = music_root(folder)
    known = {one.track.path: one for one in catalogue.tracks(under=root)}
    failed_before = {failure.path: failure for failure in catalogue.failures(under=root)}
    found = dict(find_sound_files(root))
    catalogue.forget([path for path in (*known, *failed_before) if path not in found])
    for one in known.values():
        if one.model_id != model.model_id and one.track.path in found:
            catalogue.put_track(_reclassified(one, model))
    fresh = [path for path, stamp in found.items() if not _is_known(path, stamp, known, failed_before)]
    failed = 0
    for done, path in enumerate(fresh):
        report(ScanProgress(done, len(fresh), path.name))
        failed += not _scan_file(path, found[path], catalogue, model)
    report(ScanProgress(len(fresh), len(fresh), ""))
    return ScanSummary(
        analysed=len(fresh) - failed,
        failed=failed,
        unchanged=len(found) - len(fresh),
        dropped=len({*known, *failed_before} - found.keys()),
    )


def find_sound_files(root: Path) -> Iterator[tuple[Path, FileStamp]]:
    """Yield the files below `root` whose names end like sound files, in the order of their names.

    Links are followed, each folder once, so that a loop of links ends.
    """
    seen: set[tuple[int, int]] = set()
    for folder, folder_names, file_names in os.walk(root, followlinks=True, onerror=_log_unreadable):
        identity = _identity(Path(folder))
        if identity is None or identity in seen:
            folder_names.clear()
            continue
        seen.add(identity)
        folder_names.sort()
        for name in sorted(file_names):
            path = Path(folder, name)
            stamp = _stamp(path) if path.suffix.lower() in AUDIO_SUFFIXES else None
            if stamp is not None:
                yield path, stamp


def music_root(folder: Path) -> Path:
    """Return the absolute path that the catalogue knows a music folder by.

    Raises
    ------
    UsageError
        When the folder does not exist or cannot be read.
    """
    try:
        root = folder.expanduser().absolute()
    except RuntimeError as error:
        raise UsageError(f"the music folder {folder} cannot be found: {error}") from error
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UsageError(f"the music folder {root} {what}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise UsageError(f"the music folder {root} may not be read by this user")
    return Path(os.path.normpath(root))


def _check_model(model: GenreModel) -> None:
    if model.feature_names != FEATURE_NAMES or model.feature_definition != FEATURE_DEFINITION:
        raise ModelError(
            f"the model {model.name} knows {model.feature_definition!r}, "
            f"and this program measures {FEATURE_DEFINITION!r}: choose another model"
        )


def _log_unreadable(error: OSError) -> None:
    _logger.warning("left out %s: %s", clean_text(os.fsdecode(error.filename or "")), error.strerror)


def _identity(folder: Path) -> tuple[int, int] | None:
    """What makes a folder the same under all its names; None when it has gone meanwhile."""
    try:
        status = folder.stat()
    except OSError as error:
        _log_unreadable(error)
        return None
    return status.st_dev, status.st_ino


def _stamp(path: Path) -> FileStamp | None:
    """The stamp of a file, or of a link that leads nowhere; None when it has gone meanwhile."""
    try:
        status = path.stat()
    except OSError:
        try:
            status = path.lstat()
        except OSError as error:
            _log_unreadable(error)
            return None
    return FileStamp(status.st_size, status.st_mtime_ns)


def _is_known(
    path: Path, stamp: FileStamp, known: dict[Path, CataloguedTrack], failed_before: dict[Path, Failure]
) -> bool:
    if path in known:
        return FileStamp(known[path].track.size_bytes, known[path].track.mtime_ns) == stamp
    failure = failed_before.get(path)
    return failure is not None and failure.stamp == stamp and not failure.passing


def _scan_file(path: Path, stamp: FileStamp, catalogue: Catalogue, model: GenreModel) -> bool:
    """Analyse one file and write its row; return whether it became a track."""
    try:
        catalogued = analyse_file(path, stamp, model)
    except AudioError as error:
        catalogue.put_failure(Failure(path, stamp, reason=str(error), passing=False))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CatalogueFullError(f"no room on the disk while scanning {path}: make room and scan again") from error
        catalogue.put_failure(Failure(path, stamp, reason=f"not readable: {error.strerror}", passing=True))
    except Exception as error:  # one file must never end the scan of the others
        _logger.exception("the analysis of %s failed", clean_text(str(path)))
        reason = f"the analysis failed: {type(error).__name__}: {error}"
        catalogue.put_failure(Failure(path, stamp, reason=clean_text(reason), passing=False))
    else:
        catalogue.put_track(catalogued)
        return True
    return False


def analyse_file(path: Path, stamp: FileStamp, model: GenreModel) -> CataloguedTrack:
    """Return everything that the catalogue keeps of a sound file.

    Raises
    ------
    AudioError
        When the file is none, cannot be read as sound, or nothing can be measured on it.
    OSError
        When it cannot be opened or read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise AudioError("not a file, but a pipe, a socket or a device")
    if not stamp.size_bytes:
        raise AudioError("empty: 0 bytes")
    samples = decode(path)
    features = extract_features(samples.y)
    answer = model.classify(features[np.newaxis])[0]
    tags = read_tags(path)
    track = Track(
        path=path,
        title=tags.title,
        artist=tags.artist,
        album=tags.album,
        year=tags.year,
        genre=tags.genre or answer.genre,
        genre_origin=GenreOrigin.TAG if tags.genre else GenreOrigin.MODEL,
        model_genre=answer.genre,
        confidence=answer.confidence,
        duration_s=samples.duration_s,
        audio_type=AUDIO_SUFFIXES[path.suffix.lower()],
        size_bytes=stamp.size_bytes,
        mtime_ns=stamp.mtime_ns,
    )
    return CataloguedTrack(track, features, model.model_id)


def _reclassified(one: CataloguedTrack, model: GenreModel) -> CataloguedTrack:
    """The same track as another classifier hears it; its file is not read again."""
    answer = model.classify(one.features[np.newaxis])[0]
    genre = one.track.genre if one.track.genre_origin is GenreOrigin.TAG else answer.genre
    track = replace(one.track, genre=genre, model_genre=answer.genre, confidence=answer.confidence)
    return CataloguedTrack(track, one.features, model.model_id)

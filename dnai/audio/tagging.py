"""Writes tags into sound files of our own making; a user's files are never written to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import mutagen

from dnai.errors import AudioError


def write_tags(path: Path, tags: Mapping[str, str]) -> None:
    """Replace all tags of `path` by `tags`: of title, artist, album, genre, date and copyright, those not empty.

    Raises
    ------
    AudioError
        When the file has no place for tags, or cannot be written.
    """
    try:
        file = mutagen.File(path, easy=True)
        if file is None:
            raise AudioError(f"{path} is no kind of sound file that can be tagged")
        if file.tags is None:
            file.add_tags()
        file.tags.clear()
        for name, text in tags.items():
            if text:
                file.tags[name] = [text]
        file.save()
    except (mutagen.MutagenError, OSError, KeyError) as error:
        raise AudioError(f"cannot write tags into {path}: {error}") from error

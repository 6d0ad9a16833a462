"""What kind of sound a file holds, where its name does not say it."""

from __future__ import annotations

from pathlib import Path

import av

from dnai.audio.readers import ReaderError, open_briefly
from dnai.tracks import AUDIO_SUFFIXES, AudioType


def read_audio_type(path: Path) -> AudioType:
    """Return the kind of a sound file: that of its name, and of an m4a file whether it holds AAC or ALAC.

    A file that FFmpeg cannot open is of the kind that its name says.

    Raises
    ------
    KeyError
        When the name ends like that of no sound file.
    """
    kind = AUDIO_SUFFIXES[path.suffix.lower()]
    if kind is AudioType.M4A and _codec(path) == "alac":
        return AudioType.ALAC
    return kind


def _codec(path: Path) -> str:
    """FFmpeg's name for the codec of the first stream of sound, or nothing."""
    try:
        with path.open("rb") as file, open_briefly(file) as container:
            # FFmpeg may know that there is a stream, and not what it is.
            contexts = [stream.codec_context for stream in container.streams.audio]
            return contexts[0].name if contexts and contexts[0] else ""
    except (ReaderError, av.FFmpegError, ValueError, OSError):
        return ""

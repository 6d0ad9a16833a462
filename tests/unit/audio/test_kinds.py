"""What kind of sound a file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnai.audio.kinds import read_audio_type
from dnai.tracks import AudioType
from tests.sounds import FORMATS, tone, write_sound


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_a_kind_of_its_own(kind: str, tmp_path: Path) -> None:
    """An m4a file is opened to see which of two it is."""
    path = write_sound(tmp_path / f"song.{kind}", tone(duration_s=0.5, sr=48_000), sr=48_000)
    assert read_audio_type(path) is AudioType(kind.split(".")[0])


def test_an_m4a_file_that_cannot_be_opened_is_told_by_its_name(tmp_path: Path) -> None:
    """Whether it is sound is for the decoder to say."""
    path = tmp_path / "song.m4a"
    path.write_bytes(b"no sound")
    assert read_audio_type(path) is AudioType.M4A


def test_browsers_play_all_but_three_kinds() -> None:
    """What they do not play must be converted for them."""
    assert {kind for kind in AudioType if not kind.is_played_by_browsers} == {
        AudioType.ALAC,
        AudioType.AIFF,
        AudioType.WMA,
    }

"""Who takes part in the demo: folders, data directories, broker users, settings."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dnai.cli.demo_circle import Seat, listener_with, make_seat, seats_for_folders, write_settings
from dnai.config import load_settings
from dnai.errors import UsageError


def folder(path: Path) -> Path:
    """Make a folder."""
    path.mkdir(parents=True)
    return path


def test_a_folder_keeps_its_data_directory(tmp_path: Path) -> None:
    """The same folder finds its catalogue again; its password is a new one."""
    jazz = folder(tmp_path / "Jazz & more")
    first, second = (seats_for_folders([jazz], members_dir=tmp_path / "members")[0] for _ in range(2))
    assert first.data_dir == second.data_dir
    assert first.member.password != second.member.password
    assert first.name == "Jazz & more"


def test_folders_of_the_same_name_are_different_members(tmp_path: Path) -> None:
    """Two folders called Music are two users with two catalogues."""
    folders = [folder(tmp_path / who / "Music") for who in ("a", "b")]
    seats = seats_for_folders(folders, members_dir=tmp_path)
    assert len({seat.user for seat in seats}) == len({seat.data_dir for seat in seats}) == 2


@pytest.mark.parametrize("name", ["музыка", "...", "-", "x" * 200, "guest", "a.b"])
def test_any_folder_name_makes_a_broker_user(tmp_path: Path, name: str) -> None:
    """Whatever a folder is called, its member has a name that the broker takes."""
    seat = seats_for_folders([folder(tmp_path / f"{name}")], members_dir=tmp_path)[0] if name != "..." else None
    seat = seat or make_seat(name, None, members_dir=tmp_path)
    assert seat.user
    assert seat.name


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A folder that is not there is told by its whole path."""
    with pytest.raises(UsageError, match=f"no folder {tmp_path}/nowhere"):
        seats_for_folders([folder(tmp_path / "here"), tmp_path / "nowhere"], members_dir=tmp_path)


def test_the_same_folder_twice_is_refused(tmp_path: Path) -> None:
    """One folder, also when it is written in two ways, is one provider."""
    music = folder(tmp_path / "music")
    with pytest.raises(UsageError, match="given twice"):
        seats_for_folders([music, tmp_path / "music" / ".." / "music"], members_dir=tmp_path)


def test_listener_may_own_music_or_none(tmp_path: Path) -> None:
    """Without a folder the listener's collection is empty; with one it has a catalogue of its own."""
    music = folder(tmp_path / "mine")
    with_music, without = listener_with(music, members_dir=tmp_path), listener_with(None, members_dir=tmp_path)
    assert without.folder is None
    assert with_music.folder == music
    assert with_music.data_dir != without.data_dir


def test_settings_are_secret_and_every_command_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The member's own file holds the broker with its password, for the owner's eyes only, and loads as settings."""
    monkeypatch.delenv("DNAI_BROKER", raising=False)
    seat: Seat = make_seat('Anna "the great"', None, members_dir=tmp_path)
    for port in (1, 2):  # a second run writes it anew
        write_settings(seat, broker_url=f"amqp://{seat.user}:{seat.member.password}@127.0.0.1:{port}/dnai")
    settings = load_settings({"data_dir": seat.data_dir})
    assert settings.broker_url == f"amqp://{seat.user}:{seat.member.password}@127.0.0.1:2/dnai"
    assert settings.display_name == 'Anna "the great"'
    assert stat.S_IMODE((seat.data_dir / "config.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE(seat.data_dir.stat().st_mode) == 0o700

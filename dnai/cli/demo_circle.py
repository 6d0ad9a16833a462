"""Who takes part in the demo: members with a folder of music, a data directory and a broker user each."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dnai.broker.members import Member, new_member
from dnai.config import CONFIG_FILE_NAME, load_settings
from dnai.errors import UsageError
from dnai.text import clean_text

LISTENER_USER = "listener"

_MAX_SLUG_CHARS = 24


@dataclass(frozen=True, slots=True)
class Seat:
    """One member: the name others see, the broker user and its password, music if any, and a data directory."""

    name: str
    member: Member
    folder: Path | None
    data_dir: Path

    @property
    def user(self) -> str:
        """The broker user, also the name of the log."""
        return self.member.name


def make_seat(name: str, folder: Path | None, *, members_dir: Path, user: str | None = None) -> Seat:
    """Return a seat with a new password; its data directory is always the same for the same user."""
    member = new_member(user or _slug(name))
    return Seat(name=name, member=member, folder=folder, data_dir=members_dir / member.name)


def seats_for_folders(folders: Sequence[Path], *, members_dir: Path) -> list[Seat]:
    """Return a provider for each of the user's folders; the same folder finds its catalogue again.

    Raises
    ------
    UsageError
        When a folder does not exist, cannot be read, or is given twice; the message names it.
    """
    roots = [check_folder(folder) for folder in folders]
    for root in roots:
        if roots.count(root) > 1:
            raise UsageError(f"the folder {root} is given twice; each provider needs one of its own")
    return [make_seat(_label(root), root, members_dir=members_dir, user=_folder_user(root)) for root in roots]


def listener_with(folder: Path | None, *, members_dir: Path) -> Seat:
    """Return the listener who owns the music in `folder`, or none."""
    if folder is None:
        return make_seat("Listener", None, members_dir=members_dir, user=LISTENER_USER)
    root = check_folder(folder)
    return make_seat("Listener", root, members_dir=members_dir, user=f"{LISTENER_USER}-{_fingerprint(root)}")


def check_folder(folder: Path) -> Path:
    """Return the absolute path of a folder that can be read; raises `UsageError` naming it."""
    root = Path(os.path.normpath(folder.expanduser().absolute()))
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise UsageError(f"the folder {root} may not be read by this user")
    return root


def write_settings(seat: Seat, *, broker_url: str) -> None:
    """Write the member's own config.toml, which only its owner may read: every `dnai` command uses it."""
    seat.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = seat.data_dir / CONFIG_FILE_NAME
    path.unlink(missing_ok=True)
    # What JSON writes as a string is a TOML string too.
    lines = [f"broker = {json.dumps(broker_url)}", f"name = {json.dumps(seat.name, ensure_ascii=False)}"]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def catalogue_path(seat: Seat) -> Path:
    """Return the seat's catalogue, which every command that is given its data directory uses."""
    return load_settings({"data_dir": seat.data_dir}).catalogue_path


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:_MAX_SLUG_CHARS].strip("-") or "music"


def _label(root: Path) -> str:
    return clean_text(root.name, max_chars=64) or "Music"


def _folder_user(root: Path) -> str:
    return f"{_slug(root.name)}-{_fingerprint(root)}"


def _fingerprint(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:8]

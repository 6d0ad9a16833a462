"""``dnai understand``: what the chatbot makes of a conversation, message by message."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing

import click

from dnai.chatbot.dialogue import Dialogue, understand
from dnai.command_line import settings_options
from dnai.config import Settings
from dnai.library.catalogue import Catalogue
from dnai.library.collection import read_collection
from dnai.library.models import load_models
from dnai.tracks import Track


@click.command()
@settings_options("models", "use_tags")
def understand_command(settings: Settings) -> None:
    """Read one message a line on stdin as one conversation; print a JSON object for each.

    Nothing is played. What is taught is kept, as on the page.
    """
    tracks = _own_tracks(settings)
    with closing(Dialogue(memory=settings.chat_memory_path, collection=lambda: tracks)) as dialogue:
        lines = (line.decode("utf-8", errors="replace") for line in sys.stdin.buffer)
        for answer in understand(lines, dialogue.conversation()):
            click.echo(answer)


def _own_tracks(settings: Settings) -> Sequence[Track]:
    """Return the tracks of the catalogue, without making one where there is none."""
    if not settings.catalogue_path.is_file():
        return ()
    with Catalogue(settings.catalogue_path) as catalogue:
        return read_collection(catalogue, load_models(settings.model_dirs), use_tags=settings.use_tags).tracks

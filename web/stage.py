"""What a visit acts on: the tab's page, and what is on air there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dnai.chatbot.intents import Intent
from dnai.recommend.gather import ReceivedOffer
from dnai.tracks import PlaylistEntry
from web.listener import Target
from web.payloads import CircleShown, Command, PlaylistShown
from web.streams import Stream

COMMANDS = {
    Intent.NEXT: "next",
    Intent.PREVIOUS: "previous",
    Intent.RESTART: "restart",
    Intent.PAUSE: "pause",
    Intent.RESUME: "resume",
    Intent.STOP: "stop",
    Intent.VOLUME_UP: "volume_up",
    Intent.VOLUME_DOWN: "volume_down",
    Intent.MUTE: "mute",
    Intent.UNMUTE: "unmute",
}


class Page(Protocol):
    """The tab's page, as far as a visit needs it; what is said to a page that is gone is lost."""

    def line(self, kind: str, text: str) -> None:
        """Add a line to the chat."""

    def circle(self, shown: CircleShown) -> None:
        """Show who offered what."""

    def playlist(self, shown: PlaylistShown) -> None:
        """Hand the player a playlist."""

    def command(self, command: Command) -> None:
        """Let the player do something."""


@dataclass
class OnAir:
    """What the tab plays: a stream, for a target, from a provider or (offer None) the own collection."""

    stream: Stream
    target: Target
    offer: ReceivedOffer | None
    track_id: str
    paused: bool = False

    @property
    def entry(self) -> PlaylistEntry | None:
        """The track that plays."""
        return self.stream.source.playlist.entry(self.track_id)

    @property
    def whose(self) -> str | None:
        """The provider's name, None for the own collection."""
        return self.offer.name if self.offer else None

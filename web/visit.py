"""One tab's conversation and music: what happens on a message, at the end of a playlist, and when a provider fails."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from dnai.chatbot.dialogue import Conversation
from dnai.chatbot.intents import Intent, Playing, Reply, Situation, Source
from dnai.errors import BrokerError, DnaiError, PeerRefusedError, StreamError
from dnai.recommend.gather import ReceivedOffer
from web import wording
from web.listener import Listener, Search, Target, Turn
from web.payloads import Command, Failed, More, Now, PlaylistShown, circle_shown, playlist_shown
from web.sources import PlaylistSource
from web.stage import COMMANDS, OnAir, Page
from web.streams import Stream, Streams

logger = logging.getLogger(__name__)

MEDIA_ERR_NETWORK = 2
"""The browser's code for a connection to us that broke while a track was coming."""

SESSION_IDLE_S = 20 * 60.0
"""After this long without a byte, a refusal means that the provider has ended the session (it does so after 30 min)."""

FORMER_STREAMS = 20


class Visit:
    """A tab's conversation and music; for one thread at a time.

    Parameters
    ----------
    conversation
        The chatbot's side.
    listener, streams
        Shared by all tabs.
    page
        The tab's own page.
    tab_id
        Whose streams these are.
    later
        Runs a job in the tab's thread; streams report their failures through it.
    """

    def __init__(
        self,
        conversation: Conversation,
        *,
        listener: Listener,
        streams: Streams,
        page: Page,
        tab_id: str,
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._conversation = conversation
        self._listener = listener
        self._streams = streams
        self._page = page
        self._tab_id = tab_id
        self._later = later
        self._on_air: OnAir | None = None
        self._search: Search | None = None
        self._failing: set[str] = set()
        self._retried: set[str] = set()
        self._closed = False
        self._former: deque[str] = deque(maxlen=FORMER_STREAMS)

    def say(self, text: str) -> None:
        """Answer a message, then do what it asks for."""
        reply = self._conversation.answer(text, situation=self.situation())
        self._page.line("bot", reply.reply)
        if reply.intent is Intent.PLAY:
            self._try(lambda: self._play(reply))
        elif reply.intent in COMMANDS:
            self._page.command(Command(do=COMMANDS[reply.intent]))
        elif reply.intent is Intent.WHY:
            self._say_who_was_nearer()

    def _say_who_was_nearer(self) -> None:
        on_air, search = self._on_air, self._search
        if on_air and on_air.offer and search and search.succession:
            line = wording.better_line(search.succession, on_air.offer)
            if line:
                self._page.line("note", line)

    def situation(self) -> Situation:
        """Return what plays, and who is there, for the chatbot's answers."""
        on_air = self._on_air
        others = self._listener.who()
        return Situation(
            playing=self._playing(on_air) if on_air else None,
            paused=on_air.paused if on_air else False,
            providers=None if others is None else tuple(sorted(other.name for other in others)),
        )

    def now(self, now: Now) -> None:
        """The player has taken up a track."""
        if self._on_air and self._on_air.stream.stream_id == now.stream:
            self._on_air.track_id = now.track
            self._failing.discard(now.track)

    def playing(self, playing: bool) -> None:
        """The player plays, or has paused."""
        if self._on_air:
            self._on_air.paused = not playing

    def more(self, more: More) -> None:
        """The playlist is at its end: go on to the next offer's."""
        on_air = self._on_air
        if on_air is None or on_air.stream.stream_id != more.stream:
            return
        if on_air.offer is None or self._search is None:
            self._page.line("note", "That was the last of them.")
            self._page.command(Command(do="finish"))
            return
        self._next_turn(self._search, heard=True)

    def failed(self, failed: Failed) -> None:
        """The player could not play a track, for a reason that the app may not have seen."""
        on_air = self._on_air
        if on_air is None or on_air.stream.stream_id != failed.stream:
            self._failed_before_my_time(failed)
            return
        entry = on_air.stream.source.playlist.entry(failed.track)
        if entry is None or failed.track in self._failing or failed.track != on_air.track_id:
            return
        if failed.code == MEDIA_ERR_NETWORK and failed.track not in self._retried:
            self._retried.add(failed.track)
            self._page.command(Command(do="retry", track=failed.track))
            return
        self._page.line("trouble", wording.cannot_decode(entry.title, entry.audio_type.value))
        self._skip(on_air, failed.track)

    def _failed_before_my_time(self, failed: Failed) -> None:
        """A stream that this visit has replaced says nothing new; one that it never knew was of an app before it."""
        if failed.stream not in self._former:
            self._former.append(failed.stream)
            self._page.line("trouble", "I no longer have that music: I was started anew. Ask me again.")
            self._page.command(Command(do="clear"))

    def reload(self) -> None:
        """The page was loaded anew: show again what there is, without starting it."""
        if self._search and self._search.succession:
            self._page.circle(circle_shown(self._search.succession, self._search.target))
        if self._on_air:
            self._on_air.paused = True
            self._page.playlist(self._shown(self._on_air, begin=False))

    def close(self) -> None:
        """End what plays, and what a search that is under way would play; called by any thread."""
        self._closed = True
        self._stop_stream()

    def _play(self, reply: Reply) -> None:
        target = self._listener.target(genre=reply.genre, track=reply.track)
        guess = wording.guess_line(target)
        if guess:
            self._page.line("note", guess)
        if reply.source is Source.MINE:
            self._play_own(target)
        else:
            self._play_peers(target)

    def _try(self, act: Callable[[], None]) -> None:
        """Do something that may fail, and say in the chat how it failed."""
        try:
            act()
        except BrokerError as error:
            logger.warning("the circle cannot be asked: %s", error)
            self._page.line("trouble", wording.broker_trouble(error))
        except DnaiError as error:
            logger.warning("a wish could not be met: %s", error)
            self._page.line("trouble", wording.sentence(error))

    def _play_own(self, target: Target) -> None:
        source = self._listener.own_nearest(target)
        if not source.playlist.entries:
            self._page.line("trouble", wording.own_nothing(target.genre, len(self._listener.own_tracks())))
            return
        self._page.line("note", wording.own_line(target, len(source.playlist.entries)))
        self._search = None
        self._put_on(source, target=target, offer=None)

    def _play_peers(self, target: Target) -> None:
        search = self._listener.search(target)
        result = search.gather()
        self._show_circle(search)
        if not result.offers:
            self._page.line("trouble", wording.nothing_found(result, target))
            return
        self._next_turn(search, heard=False)

    def _next_turn(self, search: Search, *, heard: bool) -> None:
        """Let the next best provider of `search` play; say so, or that there is none."""
        try:
            turn = search.next_turn(
                on_passed_over=lambda passed: self._page.line("trouble", wording.passed_over_line(passed))
            )
        except BrokerError as error:
            self._page.line("trouble", wording.broker_trouble(error))
            turn = None
        else:
            if turn is None:
                self._page.line("note" if heard else "trouble", wording.nobody_left(heard=heard))
        self._show_circle(search)
        if turn is None:
            self._page.command(Command(do="finish" if self._on_air else "clear"))
            return
        self._announce(turn, search, first=search is not self._search)
        self._search = search
        self._put_on(turn.source, target=search.target, offer=turn.offer)

    def _announce(self, turn: Turn, search: Search, *, first: bool) -> None:
        succession = search.succession
        if first and succession is not None and turn.offer == succession.result.winner:
            self._page.line("note", wording.winner_line(turn.offer, succession.result, search.target))
        else:
            self._page.line("note", wording.next_line(turn.offer))

    def _put_on(self, source: PlaylistSource, *, target: Target, offer: ReceivedOffer | None) -> None:
        self._stop_stream()
        stream = self._streams.open(source, tab_id=self._tab_id, on_failure=self._report)
        first = source.playlist.entries[0].track_id
        self._on_air = on_air = OnAir(stream=stream, target=target, offer=offer, track_id=first)
        self._failing.clear()
        self._retried.clear()
        if self._closed:  # while the provider was asked
            self._stop_stream()
            return
        self._page.playlist(self._shown(on_air, begin=True))

    def _shown(self, on_air: OnAir, *, begin: bool) -> PlaylistShown:
        playlist = on_air.stream.source.playlist
        whose = f"From {wording.name(on_air.whose)}" if on_air.whose else "From your own collection"
        near = f"“{wording.name(on_air.target.spoken)}”" if on_air.target.track else f"your {on_air.target.spoken}"
        return playlist_shown(
            playlist,
            stream=on_air.stream.stream_id,
            whose=on_air.whose,
            line=f"{whose}, the nearest to {near} first.",
            start=on_air.track_id,
            begin=begin,
        )

    def _report(self, stream: Stream, track_id: str, error: StreamError) -> None:
        """Called by whichever thread serves the audio."""
        self._later(lambda: self._broke(stream, track_id, error))

    def _broke(self, stream: Stream, track_id: str, error: StreamError) -> None:
        """The bytes of a track cannot be had: leave out the track, or the provider."""
        on_air = self._on_air
        if on_air is None or on_air.stream is not stream or track_id in self._failing:
            return
        entry = stream.source.playlist.entry(track_id)
        if isinstance(error, PeerRefusedError) and on_air.offer and stream.idle_s > SESSION_IDLE_S:
            self._page.line("note", wording.slept_too_long(on_air.offer.name))
            self._try(lambda: self._play_peers(on_air.target))
        elif isinstance(error, PeerRefusedError) or on_air.offer is None:
            title = entry.title if entry else "that track"
            self._page.line("trouble", wording.track_gone(title, on_air.whose, error))
            self._skip(on_air, track_id)
        else:
            self._replace_provider(on_air.offer, error)

    def _skip(self, on_air: OnAir, track_id: str) -> None:
        """Leave out a track; when the whole playlist is like that, go on to the next provider."""
        self._failing.add(track_id)
        if len(self._failing) < len(on_air.stream.source.playlist.entries):
            self._page.command(Command(do="skip", track=track_id))
        elif on_air.offer is not None:
            self._replace_provider(on_air.offer, "none of its tracks can be had")
        else:
            self._page.line("trouble", "None of these files can be played any more: scan the folder again.")
            self._stop_stream()
            self._page.command(Command(do="clear"))

    def _replace_provider(self, offer: ReceivedOffer, reason: object) -> None:
        self._page.line("trouble", wording.broke_off_line(offer.name, reason))
        self._stop_stream()
        if self._search is not None:
            self._search.give_up_on(offer, reason=str(reason))
            self._next_turn(self._search, heard=False)

    def _show_circle(self, search: Search) -> None:
        if search.succession is not None:
            self._page.circle(circle_shown(search.succession, search.target))

    def _stop_stream(self) -> None:
        on_air, self._on_air = self._on_air, None
        if on_air is not None:
            self._former.append(on_air.stream.stream_id)
            self._streams.close(on_air.stream)

    def _playing(self, on_air: OnAir) -> Playing | None:
        entry = on_air.entry
        if entry is None:
            return None
        succession = self._search.succession if self._search and on_air.offer else None
        return Playing(
            title=entry.title,
            artist=entry.artist,
            provider=on_air.whose,
            distance=on_air.offer.mean_distance if on_air.offer else entry.distance,
            wanted=on_air.target.spoken,
            offers=succession.left_to_play if succession else 0,
        )

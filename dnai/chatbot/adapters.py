"""ChatterBot's logic adapters: each reads a message in its own way, and ChatterBot takes the surest.

Adapters are named by import path in :data:`LOGIC_ADAPTERS`; of equally sure ones the first wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from dnai.chatbot.controls import find_control, find_hint
from dnai.chatbot.finding import find_answer, find_music
from dnai.chatbot.following import Correction, FollowUp
from dnai.chatbot.genres import find_genre
from dnai.chatbot.intents import Intent, Reading, Wish
from dnai.chatbot.learning import Remembered, Teaching
from dnai.chatbot.naming import EXACT_TITLE, track_wish
from dnai.chatbot.requests import Strength, find_ask
from dnai.chatbot.teaching import (
    find_exception,
    find_liking,
    find_rejection,
)
from dnai.chatbot.turn_adapter import TurnAdapter, as_request
from dnai.chatbot.turns import Question, Turn
from dnai.chatbot.wording import Utterance, fold, utterance

HINTED = 0.75
"""How sure a command is that only its words point to."""


_LONE_COMMANDS = frozenset(
    ["stop", "pause", "skip", "next", "resume", "continue", "help", "louder", "quieter", "mute", "unmute", "previous"]
)


class Request(TurnAdapter):
    """Music asked for by genre, title or artist."""

    clause_worth = 1.0

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the music that `said` asks for; a clause must ask for it, where a whole message may only name it."""
        if not whole and not self._asks(said):
            return None
        said = _naming_peers(said, turn)
        found = find_music(said, turn.known)
        asked = turn.asked(Question.WHAT)
        if found is None and asked and whole:
            found = find_answer(said, turn.known, fresh=asked.turns == 0)
        if found is None or self.halted_play(said, turn):
            return None
        return self._answered(found, asked.wish) if asked and not self._anew(said, turn) else found

    @staticmethod
    def _anew(said: Utterance, turn: Turn) -> bool:
        """Return whether `said` is a new request in full, after one that could not be met."""
        ask = find_ask(said)
        strong = ask is not None and ask.strength is Strength.STRONG
        return strong and turn.state.intent in {Intent.UNKNOWN_GENRE, Intent.UNKNOWN_TITLE}

    @staticmethod
    def _answered(found: Reading, asked: Wish) -> Reading:
        """Return `found` as the answer to "a genre or a song?": from the source that was named before."""
        wish = found.wish.sourced(found.wish.source or asked.source)
        complete = wish.complete and found.intent is Intent.ASK_SOURCE
        confidence = max(found.confidence, EXACT_TITLE) if found.exact else found.confidence
        return replace(found, wish=wish, intent=Intent.PLAY if complete else found.intent, confidence=confidence)

    @staticmethod
    def halted_play(said: Utterance, turn: Turn) -> bool:
        """Return whether a bare "play" means to go on with what was paused."""
        paused = turn.known.situation is not None and turn.known.situation.paused
        return said.core in {"play", "start", "go"} and (turn.state.halted or paused)

    @staticmethod
    def _asks(said: Utterance) -> bool:
        ask = find_ask(said)
        if ask is None:
            return False
        wanted = re.match(r"(?:some|a bit of|something|anything|more|music) ", said.lead) or said.folded.endswith(
            " please"
        )
        return ask.strength > Strength.BARE or bool(wanted)


class Control(TurnAdapter):
    """Commands to the player, and questions about it."""

    clause_worth = 0.9

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the command or question that `said` is, or None."""
        if said.text and not said.text.strip("? "):
            return Reading(Intent.HELP, 0.95)
        for words in dict.fromkeys(self._wordings(said)):
            intent = find_control(words)
            if intent is not None and (whole or " " in words or words in _LONE_COMMANDS):
                return None if self._nothing_to_resume(intent, words, turn) else Reading(intent, 0.95)
        if Request.halted_play(said, turn):
            return Reading(Intent.RESUME, 0.95)
        if self._guesses(said, turn):
            return Reading(Intent.WHAT, 0.95)
        hint = find_hint(said.folded) if whole else None
        return Reading(hint, HINTED) if hint else None

    @staticmethod
    def _guesses(said: Utterance, turn: Turn) -> bool:
        """Return whether `said` asks whether what is on is a certain song or artist."""
        guess = re.fullmatch(r"(?:is|was) (?:this|that|it) (?:by |from )?(.+)", said.folded) if said.question else None
        index = turn.known.index
        return guess is not None and bool(index.artist(guess[1], cutoff=88) or index.title(guess[1], cutoff=88))

    @staticmethod
    def _wordings(said: Utterance) -> Iterator[str]:
        yield from (said.lead, said.core, said.folded)
        yield said.core.removeprefix("no ")
        if len(set(said.core.split())) == 1:  # "next next next"
            yield said.core.split()[0]

    @staticmethod
    def _nothing_to_resume(intent: Intent, words: str, turn: Turn) -> bool:
        """Return whether "start the music" begins with nothing: then it asks for music."""
        idle = turn.state.wish is None and not turn.state.halted and turn.known.situation is None
        return (
            intent is Intent.RESUME and idle and words.startswith(("start the", "play the", "let the music", "turn on"))
        )


class Refusal(TurnAdapter):
    """What the listener does not want to hear."""

    clause_worth = 0.85

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return that the music named in `said` shall not be played; for "anything but …", what else."""
        if whole and len(turn.clauses) > 1:
            return None
        excepted = find_exception(said)
        if excepted is not None and find_genre(excepted, request=True):
            return Reading(Intent.ASK_WHAT, 0.94, reply="Then which one? ")
        what = find_rejection(said)
        if what is None:
            return None
        return self._refused(what, said, turn)

    @staticmethod
    def _refused(what: str, said: Utterance, turn: Turn) -> Reading | None:
        genre = find_genre(what, request=True)
        named = genre.genre.spoken if genre else None
        if genre is None:
            found = turn.known.index.title(what, cutoff=90) or turn.known.index.artist(what, cutoff=90)
            named = found.tracks[0].title if found else None
        ordered = re.match(r"(?:please )?(?:do not|never|stop) (?:play|put on|queue)", said.core) is not None
        if named is None and not ordered:
            return None
        reply = f"No {named}, then. Tell me what you’d rather hear." if named else "All right, I won’t."
        pending = turn.state.pending
        cancels = pending is not None and genre is not None and pending.wish.genre is genre.genre
        return Reading(Intent.SMALL_TALK, 0.94, reply=reply, cancels=cancels)


class Liking(TurnAdapter):
    """What the listener says to like: no music without being asked, but an offer to play some."""

    clause_worth = 0.7

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the offer to play what `said` calls a liking; as an answer to "a genre or a song?", a request."""
        what = find_liking(said)
        if what is None:
            return None
        genre = find_genre(what, request=False, bare=True)
        wish = Wish(genre=genre.genre) if genre and not genre.others else None
        if wish is None:
            found = turn.known.index.title(what, cutoff=92) or turn.known.index.artist(what, cutoff=92)
            wish = track_wish(found.tracks[0], Wish()) if found else None
        if wish is None:
            return None
        if turn.asked(Question.WHAT):
            return as_request(wish, 0.9)
        named = wish.genre.spoken if wish.genre else f"“{wish.title}”"
        return Reading(Intent.SMALL_TALK, 0.91, offers=wish, reply=f"A fine choice. Shall I play {_near(wish)}{named}?")


class Chatter(TurnAdapter):
    """Small talk."""

    clause_worth = 0.5

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return the answer to the known saying nearest to `said`, or None."""
        found = [
            saying for words in dict.fromkeys((said.folded, said.core)) if (saying := turn.small_talk.nearest(words))
        ]
        best = max(found, key=lambda saying: saying.likeness, default=None)
        if best is None:
            return None
        return Reading(
            Intent.SMALL_TALK, 0.9 * best.likeness, reply=best.answers[turn.state.number % len(best.answers)]
        )


class Fallback(TurnAdapter):
    """What is said when nothing else was understood."""

    clause_worth = 0.0

    def read(self, said: Utterance, turn: Turn, *, whole: bool) -> Reading | None:
        """Return a hint at what can be said; what was said is kept, in case it is corrected."""
        ask = find_ask(said)
        heard = ask.words if ask and ask.strength > Strength.BARE else said.text
        return Reading(Intent.SMALL_TALK, 0.1, heard=heard, reply=turn.small_talk.fallback(turn.state.number))


LOGIC_ADAPTERS = tuple(
    f"{adapter.__module__}.{adapter.__name__}"
    for adapter in (FollowUp, Teaching, Correction, Control, Refusal, Remembered, Request, Liking, Chatter, Fallback)
)
"""The adapters by import path, as ChatterBot wants them."""


def _near(wish: Wish) -> str:
    return "some " if wish.genre else "music near "


def _naming_peers(said: Utterance, turn: Turn) -> Utterance:
    """Return `said` with "from peers" for "from anna", where a peer of that name is there."""
    situation = turn.known.situation
    names = [fold(name) for name in situation.providers or ()] if situation else []
    name = next((name for name in names if name and re.search(rf"\bfrom {re.escape(name)}s?\b", said.core)), None)
    return (
        utterance(re.sub(rf"\bfrom {re.escape(name)}s?\b(?: (?:collection|music|library))?", "from peers", said.core))
        if name
        else said
    )

"""Sessions: the tracks that one listener was promised, under ids that mean nothing elsewhere.

Only the server's loop uses them, so that there is no lock here.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dnai.stream.payloads import Refusal
from dnai.tracks import MAX_PLAYLIST_TRACKS, Track

IDLE_S = 30 * 60.0
MAX_SESSIONS = 256
MAX_SESSIONS_PER_USER = 8
EVICTABLE_AFTER_S = 60.0
"""A session that was used within this time is not dropped for another user's."""


@dataclass(eq=False, slots=True)
class StreamSession:
    """What one listener may read until it has been idle for too long."""

    session_id: str
    secret: str
    user_id: str
    tracks: Mapping[str, tuple[Track, float]]
    used_at: float

    @property
    def label(self) -> str:
        """The start of the id, for logs; it opens nothing."""
        return self.session_id[:6]

    def __repr__(self) -> str:
        return f"StreamSession({self.label}…, {len(self.tracks)} tracks)"


class SessionBook:
    """All open sessions, bounded for each user and in all.

    A user's own least used session makes room for that user's next one. Where all places are taken,
    the session that has been idle longest goes, unless even that was used within the last minute:
    then the newcomer is refused, because nobody's song is cut off for somebody else's.
    """

    def __init__(
        self,
        *,
        idle_s: float = IDLE_S,
        max_sessions: int = MAX_SESSIONS,
        max_sessions_per_user: int = MAX_SESSIONS_PER_USER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle_s = idle_s
        self._max_sessions = max_sessions
        self._max_sessions_per_user = max_sessions_per_user
        self._clock = clock
        self._sessions: dict[str, StreamSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, user_id: str, offered: Sequence[tuple[Track, float]]) -> StreamSession | Refusal:
        """Return a new session over the first `MAX_PLAYLIST_TRACKS` of `offered`, or why there is none."""
        if not offered:
            return Refusal.NO_TRACKS
        if not self._make_room(user_id):
            return Refusal.BUSY
        session = StreamSession(
            session_id=secrets.token_urlsafe(18),
            secret=secrets.token_urlsafe(24),
            user_id=user_id,
            tracks=MappingProxyType({secrets.token_urlsafe(12): item for item in offered[:MAX_PLAYLIST_TRACKS]}),
            used_at=self._clock(),
        )
        self._sessions[session.session_id] = session
        return session

    def resume(self, session_id: str, secret: str) -> StreamSession | Refusal:
        """Return the session that this id and secret belong to, or why not."""
        session = self._sessions.get(session_id)
        if session is None or not secrets.compare_digest(session.secret, secret):
            return Refusal.BAD_TICKET
        return session if self.touch(session) else Refusal.EXPIRED

    def touch(self, session: StreamSession) -> bool:
        """Note that `session` is in use; False where it is over."""
        now = self._clock()
        if session.session_id not in self._sessions or now - session.used_at > self._idle_s:
            return False
        session.used_at = now
        return True

    def close(self, session: StreamSession) -> None:
        """End `session`; ending it twice does nothing."""
        self._sessions.pop(session.session_id, None)

    def __contains__(self, session: StreamSession) -> bool:
        return session.session_id in self._sessions

    def close_idle(self) -> None:
        """End the sessions that have been idle for too long."""
        now = self._clock()
        for session in [s for s in self._sessions.values() if now - s.used_at > self._idle_s]:
            self.close(session)

    def _make_room(self, user_id: str) -> bool:
        self.close_idle()
        own = [session for session in self._sessions.values() if session.user_id == user_id]
        if len(own) >= self._max_sessions_per_user:
            self.close(min(own, key=lambda session: session.used_at))
        if len(self._sessions) < self._max_sessions:
            return True
        idlest = min(self._sessions.values(), key=lambda session: session.used_at)
        if self._clock() - idlest.used_at < EVICTABLE_AFTER_S:
            return False
        self.close(idlest)
        return True

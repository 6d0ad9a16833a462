"""Titles and artists of the listener's collection, found in the words of a message, typos and all.

The index of a collection is built once and kept until the collection is another sequence; looking
one name up in 30,000 tracks takes a few milliseconds.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from rapidfuzz import fuzz, process

from dnai.chatbot.wording import fold
from dnai.tracks import Track

MAX_CANDIDATES = 4
"""How many matching titles the listener is asked to choose from."""

_CUTOFF_BY_LENGTH = ((3, 100.0), (4, 85.0), (6, 80.0), (9, 78.0))
_LONG_CUTOFF = 76.0
_CLOSE_POINTS = 3.0
_CONTAINED_SCORE = 86.0
_ARTIST_CUTOFF = 80.0
_SHORT_QUERY_CHARS = 3
_CACHED_NAMES = 100_000  # while a scan runs, the collection changes again and again, its names hardly

_VERSION = re.compile(
    r"\s*[\(\[][^()\[\]]{1,80}[\)\]]|\s+-\s+(?:live|remaster|mono|stereo|single|radio|album|demo|\d{4}).*$|\s+(?:feat|ft)\.?\s.*$",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\d{1,3}[\s._-]+(?=\S)")


@dataclass(frozen=True, slots=True)
class Match:
    """Tracks that a name fits about equally well, one of each title and artist; the best first.

    `score` is the likeness of the words, from 0 to 100.
    """

    tracks: tuple[Track, ...]
    score: float


class TitleIndex:
    """The titles and artists of one collection, folded and ready to be compared."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.size = len(tracks)
        self._titles: dict[str, list[Track]] = defaultdict(list)
        self._artists: dict[str, list[Track]] = defaultdict(list)
        for track in tracks:
            for key in _title_keys(track.title):
                self._titles[key].append(track)
            for key in _artist_keys(track.artist):
                self._artists[key].append(track)
        self._title_keys = list(self._titles)
        self._artist_keys = list(self._artists)
        self._genres = Counter(track.genre for track in tracks)

    def commonest_genre(self) -> str | None:
        """Return the genre of most of the tracks, None in an empty collection."""
        return max(self._genres, key=lambda genre: (self._genres[genre], genre)) if self._genres else None

    def title(self, words: str, *, artist: str | None = None, cutoff: float = 0.0, part: bool = False) -> Match | None:
        """Return the tracks whose title is like `words`, or None.

        Parameters
        ----------
        words
            A title as :func:`~dnai.chatbot.wording.fold` gives it.
        artist
            A folded artist that the tracks must be by.
        cutoff
            The least likeness, where more is asked than the length of the words asks for.
        part
            Whether a few words of a longer title will do.
        """
        if not words:
            return None
        if words in self._titles:
            return self._match(self._titles[words], 100.0, artist)
        wanted = max(cutoff, _cutoff(words))
        scored = process.extract(
            words, self._title_keys, scorer=fuzz.ratio, processor=None, score_cutoff=wanted, limit=8
        )
        near = [(key, score) for key, score, _ in scored]
        if not near and part:
            near = self._containing(words)
        near = [(key, score) for key, score in near if score > near[0][1] - _CLOSE_POINTS]
        return (
            self._match([track for key, _ in near for track in self._titles[key]], near[0][1], artist) if near else None
        )

    def artist(self, words: str, *, cutoff: float = _ARTIST_CUTOFF, part: bool = False) -> Match | None:
        """Return tracks of the artist whose name is like folded `words`, or None; see :meth:`title`."""
        key = self._artist_key(words, cutoff=cutoff, part=part)
        return Match(tuple(self._artists[key]), 100.0 if key == words else cutoff) if key else None

    def title_and_artist(self, words: str, *, cutoff: float) -> Match | None:
        """Return the track that `words` name by artist and title together, in either order, or None."""
        for key in self._artists:
            if words.startswith(f"{key} ") or words.endswith(f" {key}"):
                rest = words.removeprefix(f"{key} ") if words.startswith(f"{key} ") else words.removesuffix(f" {key}")
                found = self.title(re.sub(r" (?:by|from|of)$|^(?:s|with) ", "", rest), artist=key, cutoff=cutoff)
                if found:
                    return found
        return None

    def _artist_key(self, words: str, *, cutoff: float, part: bool) -> str | None:
        if not words or words in self._artists:
            return words or None
        if len(words) > _SHORT_QUERY_CHARS:
            found = process.extractOne(
                words, self._artist_keys, scorer=fuzz.ratio, processor=None, score_cutoff=max(cutoff, _cutoff(words))
            )
            if found:
                return str(found[0])
        return (
            next((key for key in self._artist_keys if f" {words} " in f" {key} "), None)
            if part and len(words) > _SHORT_QUERY_CHARS
            else None
        )

    def _containing(self, words: str) -> list[tuple[str, float]]:
        if len(words) <= _SHORT_QUERY_CHARS:
            return []
        padded = f" {words} "
        return [(key, _CONTAINED_SCORE) for key in self._title_keys if padded in f" {key} "]

    def _match(self, tracks: Sequence[Track], score: float, artist: str | None) -> Match | None:
        key = self._artist_key(artist, cutoff=_ARTIST_CUTOFF, part=True) if artist else None
        if artist and key is None:
            return None
        kept = [track for track in tracks if key is None or key in _artist_keys(track.artist)]
        different = {(_title_keys(track.title), _artist_keys(track.artist)): track for track in reversed(kept)}
        return Match(tuple(reversed(different.values())), score) if kept else None


class TitleIndexes:
    """The index of the collection as it is now; made anew when the caller hands out another sequence."""

    def __init__(self, collection: Callable[[], Sequence[Track]]) -> None:
        self._collection = collection
        self._lock = Lock()
        self._indexed: Sequence[Track] | None = None
        self._index = TitleIndex(())

    def current(self) -> TitleIndex:
        """Return the index of what the collection holds now."""
        tracks = self._collection()
        with self._lock:
            if tracks is not self._indexed and tracks != self._indexed:
                self._index = TitleIndex(tracks)
            self._indexed = tracks
            return self._index


def _cutoff(words: str) -> float:
    return next((cutoff for length, cutoff in _CUTOFF_BY_LENGTH if len(words) <= length), _LONG_CUTOFF)


@lru_cache(maxsize=_CACHED_NAMES)
def _title_keys(title: str) -> frozenset[str]:
    plain = _VERSION.sub("", title)
    keys = {fold(form) for form in {title, plain, _NUMBERED.sub("", plain)}}
    return frozenset(key for key in keys | {key.removeprefix("the ") for key in keys} if key)


@lru_cache(maxsize=_CACHED_NAMES)
def _artist_keys(artist: str) -> frozenset[str]:
    whole = fold(artist)
    return frozenset(key for key in (whole, whole.removeprefix("the ")) if key)

"""The parts that read words: spellings, genres, sources, commands, lessons and titles."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dnai.chatbot.controls import find_control
from dnai.chatbot.genres import find_genre, find_unknown_genre, spoken_list
from dnai.chatbot.intents import Intent, Source
from dnai.chatbot.lessons import LIKENESS_NEEDED, likeness
from dnai.chatbot.phrases import load_wording_lists, load_wordings
from dnai.chatbot.requests import find_ask
from dnai.chatbot.small_talk import SmallTalk
from dnai.chatbot.sources import source_alone, split_source
from dnai.chatbot.teaching import find_corrections, find_lesson, find_rejection, find_unlearning
from dnai.chatbot.titles import TitleIndex, TitleIndexes
from dnai.chatbot.wording import MAX_MESSAGE_CHARS, clauses, corrected, fold, utterance
from dnai.tracks import Genre, Track
from tests.unit.chatbot.collection import COLLECTION, make_track


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("What's THIS?", "what is this"),
        ("don’t", "do not"),
        ("Rock 'n' Roll", "rock and roll"),
        ("Björk", "bjork"),
        ("<b>jazz</b>", "jazz"),
        ("pleeease", "please"),
        ("Devil's", "devils"),
        ("AC/DC", "ac dc"),
        ("\x1b[0m", "0m"),
    ],
)
def test_words_are_folded(text: str, folded: str) -> None:
    """Case, accents, quotes, tags and contractions make no difference."""
    assert fold(text) == folded


def test_politeness_is_taken_off() -> None:
    """What is said around the point is not part of it."""
    assert utterance("Hey, could you please play some jazz for me now, thanks").core == "play some jazz"


def test_a_message_is_bounded() -> None:
    """Only the beginning of a very long message is read."""
    assert len(utterance("jazz " * 100_000).text) <= MAX_MESSAGE_CHARS


def test_clauses_are_told_apart() -> None:
    """A message of several sentences is cut where they end."""
    assert [clause.core for clause in clauses(utterance("I am tired. Play some blues!"))] == [
        "i am tired",
        "play some blues",
    ]
    assert clauses(utterance("play some blues")) == []


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("puase", "pause"), ("skp", "skip"), ("conitnue", "continue"), ("rock", "rock"), ("plan", "plan")],
)
def test_slips_in_command_words_are_mended(slip: str, meant: str) -> None:
    """A letter left out or swapped is mended; other words stay."""
    assert corrected(slip) == meant


@pytest.mark.parametrize(
    ("words", "genre"),
    [
        ("some jazz", Genre.JAZZ),
        ("some really good old jazz music for dinner", Genre.JAZZ),
        ("hip hop", Genre.HIPHOP),
        ("regae", Genre.REGGAE),
        ("classicla", Genre.CLASSICAL),
        ("heavy mettal", Genre.METAL),
        ("something bluesy", Genre.BLUES),
        ("rock climbing shoes", None),
        ("blue", None),
        ("metallica", None),
        ("rhythm and blues", None),
        ("county", None),
    ],
)
def test_genres_are_found_in_requests(words: str, genre: Genre | None) -> None:
    """Genres are found in their everyday spellings, wrapped and with slips, and not in other words."""
    found = find_genre(words, request=True)
    assert (found.genre if found else None) is genre


@pytest.mark.parametrize("words", ["some rock for my garden", "a rock", "the country", "jazz in the park was nice"])
def test_ordinary_words_are_no_requests(words: str) -> None:
    """Where nobody said "play", a word that is also a genre is just a word."""
    assert find_genre(words, request=False, bare=True) is None


@pytest.mark.parametrize(
    "name", ["techno", "some polka", "some folk music", "r and b", "drum and bass", "film music", "deep house"]
)
def test_other_genres_are_known_to_be_unknown(name: str) -> None:
    """Names of genres outside the ten are recognised as such."""
    assert find_unknown_genre(name, request=True) is not None
    assert find_genre(name, request=True) is None


def test_the_ten_are_listed() -> None:
    """The list of genres names all ten."""
    assert all(genre.spoken in spoken_list() for genre in Genre)


@pytest.mark.parametrize(
    ("words", "rest", "source"),
    [
        ("play jazz from my own collection", "play jazz", Source.MINE),
        ("play from peers some jazz", "play some jazz", Source.PEERS),
        ("play jazz but not from peers", "play jazz", Source.MINE),
        ("play rock that i own", "play rock", Source.MINE),
        ("play jazz for my cat", "play jazz for my cat", None),
        ("play music from the 80s", "play music from the 80s", None),
    ],
)
def test_sources_are_split_off(words: str, rest: str, source: Source | None) -> None:
    """The words that say whose music it is are found anywhere in a request."""
    found = split_source(words)
    assert (found.rest, found.source) == (rest, source)


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("peers", Source.PEERS),
        ("from my friends please", Source.PEERS),
        ("mine", Source.MINE),
        ("the first one", Source.MINE),
        ("either", Source.PEERS),
        ("i do not care", Source.PEERS),
        ("not mine", Source.PEERS),
        ("jazz", None),
        ("the the the " * 50, None),
    ],
)
def test_answers_about_the_source(answer: str, source: Source | None) -> None:
    """The answers to "from your collection or from peers?" are understood, and nothing else is one."""
    assert source_alone(answer.strip(), asked=True) is source


def test_every_wording_of_a_command_is_its_own() -> None:
    """A plain wording (no choices in it) under an intent is understood as that intent."""
    plain = {
        "stop": Intent.STOP,
        "next": Intent.NEXT,
        "pause": Intent.PAUSE,
        "help": Intent.HELP,
        "louder": Intent.VOLUME_UP,
    }
    assert {words: find_control(words) for words in plain} == plain
    assert all(load_wordings("commands")[intent.value] for intent in (Intent.NEXT, Intent.WHAT, Intent.LESSONS))


@pytest.mark.parametrize(
    "sentence", ["the next meeting is on monday", "i stopped smoking", "what is jazz", "who are you", ""]
)
def test_sentences_are_no_commands(sentence: str) -> None:
    """A sentence that only holds the word of a command is none."""
    assert find_control(sentence) is None


@pytest.mark.parametrize(
    ("message", "phrase", "meaning"),
    [
        ("when I say rainy day, play jazz", "rainy day", "jazz"),
        ("Whenever I say “cosy”, put on some blues from peers!", "cosy", "some blues from peers"),
        ("rainy day means jazz", "rainy day", "jazz"),
        ("play jazz when I say rainy day", "rainy day", "jazz"),
        ("by lullaby I mean classical", "lullaby", "classical"),
        ("rainy day = jazz", "rainy day", "jazz"),
        ("when it rains, play blues", "rains", "blues"),
        ("when I say zzz", "zzz", None),
    ],
)
def test_lessons_are_recognised(message: str, phrase: str, meaning: str | None) -> None:
    """The ways of teaching a phrase are understood."""
    taught = find_lesson(utterance(message))
    assert taught is not None
    assert (taught.phrase, taught.meaning) == (phrase, meaning)


@pytest.mark.parametrize(
    "message", ["when I was young I would play jazz", "what does rainy day mean?", "play some jazz"]
)
def test_other_sentences_are_no_lessons(message: str) -> None:
    """A sentence that only looks like teaching is none."""
    taught = find_lesson(utterance(message))
    assert taught is None or not taught.explicit


def test_what_is_to_be_forgotten() -> None:
    """The latest lesson, one phrase, and everything are told apart."""
    assert find_unlearning(utterance("forget that")) is not None
    named = find_unlearning(utterance("please forget what rainy day means"))
    assert named is not None
    assert named.phrase == "rainy day"
    everything = find_unlearning(utterance("forget everything I taught you"))
    assert everything is not None
    assert everything.everything
    assert find_unlearning(utterance("play some jazz")) is None


def test_corrections_and_refusals() -> None:
    """What was meant is found after "no", and what is not wanted after "don't play"."""
    assert next(iter(find_corrections(utterance("no, I meant blues")))).meaning == "blues"
    assert find_rejection(utterance("please don't play any metal")) == "metal"
    assert list(find_corrections(utterance("hello there"))) == []


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("so waht", "So What"),
        ("bohemian rapsody", "Bohemian Rhapsody"),
        ("teen spirit", "Smells Like Teen Spirit"),
        ("stairway to heaven", None),
        ("xyz", None),
        ("", None),
    ],
)
def test_titles_are_found_with_typos(words: str, title: str | None) -> None:
    """A title of the collection is found with typos or by a part of it, and nothing is found for others."""
    found = TitleIndex(COLLECTION).title(words, part=True)
    assert (found.tracks[0].title if found else None) == title


def test_versions_of_a_title_are_the_title() -> None:
    """What stands in brackets after a title, and a track number before it, need not be said."""
    index = TitleIndex([make_track("03 - Hey Jude (Remastered 2009)", "The Beatles")])
    found = index.title("hey jude", artist="beatles")
    assert found is not None
    assert found.score == 100.0


def test_the_index_is_kept_until_the_collection_changes() -> None:
    """The same tracks are indexed once; other tracks are indexed anew."""
    collections: list[tuple[Track, ...]] = [COLLECTION]
    indexes = TitleIndexes(lambda: collections[-1])
    first = indexes.current()
    assert indexes.current() is first
    collections.append(COLLECTION[:3])
    assert indexes.current().size == 3


def test_likeness_of_phrases() -> None:
    """The words that matter decide; "night" is not "day", and much else in a sentence makes it another one."""
    rainy_day = frozenset({"rain", "day"})
    assert likeness(rainy_day, frozenset({"rain", "day"})) == 1.0
    assert likeness(rainy_day, frozenset({"rain", "night"})) < LIKENESS_NEEDED
    assert likeness(rainy_day, frozenset({"rain", "day", "pari"})) < LIKENESS_NEEDED
    assert likeness(rainy_day, frozenset()) == 0.0


def test_small_talk_is_near_or_nothing() -> None:
    """A known saying is found with a slip in it; what is like none gets no answer."""
    small_talk = SmallTalk()
    assert small_talk.nearest(fold("helo there")) is not None
    assert small_talk.nearest(fold("the train leaves at noon")) is None
    assert small_talk.nearest("") is None


def test_the_corpus_is_read_from_files() -> None:
    """Every wording of every corpus file can be read as a pattern."""
    assert all(load_wording_lists(name) for name in ("commands", "requests", "sources", "teaching", "politeness"))


@pytest.mark.timeout(60)
def test_no_message_keeps_the_patterns_busy() -> None:
    """Random rows of the very words that the patterns are made of are read, whatever their order."""
    words = [
        "no",
        "not",
        "i",
        "meant",
        "that",
        "wrong",
        ",",
        "play",
        "some",
        "the",
        "when",
        "say",
        "if",
        "want",
        "to",
        "a",
        "my",
        "friends",
        "from",
        "it",
        "like",
        "back",
        "go",
        "now",
        "just",
        "who",
    ]
    dice = random.Random(7)
    for length in (10, 30, 100) * 10:
        said = utterance(" ".join(dice.choice(words) for _ in range(length)))
        assert said.core
        find_control(said.core)
        find_ask(said)
        find_lesson(said)
        list(find_corrections(said))


def test_the_corpus_is_beside_the_code() -> None:
    """The corpus is part of the package, so that an installed DN.ai has it."""
    import dnai.chatbot  # noqa: PLC0415

    assert (Path(dnai.chatbot.__file__).parent / "corpus" / "small_talk.yaml").is_file()

"""The dialogue as a whole: learning, restarts, other conversations, threads, what it says, and hostile text."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnai.chatbot.dialogue import Conversation, Dialogue
from dnai.chatbot.intents import Intent, Lesson, Playing, QueryKind, Reply, Situation, Source, Wish
from dnai.chatbot.replies import MAX_REPLY_CHARS
from dnai.errors import ChatMemoryError
from dnai.tracks import Genre, Track
from tests.unit.chatbot.collection import make_track

OpenDialogue = Callable[[], Dialogue]

PLAYING = Playing(title="So What", artist="Miles Davis", provider="anna", distance=1.234, wanted="jazz", offers=3)


def say(conversation: Conversation, *messages: str) -> Reply:
    return [conversation.answer(message) for message in messages][-1]


def test_what_is_missing_is_asked_and_filled_in(conversation: Conversation) -> None:
    """A genre without a source is asked for its source, and the answer completes the request."""
    asked = conversation.answer("play some jazz")
    assert (asked.intent, asked.genre, asked.source) == (Intent.ASK_SOURCE, Genre.JAZZ, None)
    assert "collection" in asked.reply
    assert "peers" in asked.reply
    done = conversation.answer("peers")
    assert (done.intent, done.genre, done.source) == (Intent.PLAY, Genre.JAZZ, Source.PEERS)
    assert done.kind is QueryKind.GENRE


def test_a_song_carries_its_track(conversation: Conversation) -> None:
    """A title with typos is answered with the track of the collection, ready to be looked for."""
    reply = conversation.answer("play Bohemian Rapsody from peers")
    assert reply.kind is QueryKind.SONG
    assert reply.track is not None
    assert reply.track.title == "Bohemian Rhapsody"


def test_two_titles_that_match_are_asked_about(conversation: Conversation) -> None:
    """Two tracks of one title are both named, nothing is played, and the answer chooses."""
    asked = conversation.answer("play Hello from peers")
    assert asked.intent is Intent.ASK_WHAT
    assert {track.artist for track in asked.candidates} == {"Adele", "Lionel Richie"}
    assert "Adele" in asked.reply
    assert "Lionel Richie" in asked.reply
    chosen = conversation.answer("the second")
    assert (chosen.intent, chosen.artist, chosen.source) == (Intent.PLAY, "Lionel Richie", Source.PEERS)


def test_a_genre_outside_the_ten_is_answered_with_the_ten(conversation: Conversation) -> None:
    """The answer to an unknown genre names it, and every genre that is known."""
    reply = conversation.answer("play some techno")
    assert reply.intent is Intent.UNKNOWN_GENRE
    assert "techno" in reply.reply
    assert all(genre.spoken in reply.reply for genre in Genre)


def test_conversations_know_nothing_of_each_other(open_dialogue: OpenDialogue) -> None:
    """What is asked in one tab is not answered in another."""
    dialogue = open_dialogue()
    first, second = dialogue.conversation(), dialogue.conversation()
    first.answer("play some jazz")
    second.answer("play some metal")
    assert first.answer("peers").genre is Genre.JAZZ
    assert second.answer("peers").genre is Genre.METAL


@pytest.mark.parametrize(
    "worded", ["rainy day", "a rainy day", "it's a rainy day again", "Rainy days!", "play rainy day"]
)
def test_a_lesson_outlives_the_process(open_dialogue: OpenDialogue, worded: str) -> None:
    """What was taught is known after a restart, also when it is worded a little differently."""
    first = open_dialogue()
    assert say(first.conversation(), "when I say rainy day, play jazz from peers").intent is Intent.TEACH
    first.close()
    reply = say(open_dialogue().conversation(), worded)
    assert (reply.intent, reply.genre, reply.source) == (Intent.PLAY, Genre.JAZZ, Source.PEERS)


def test_another_process_is_heard(open_dialogue: OpenDialogue) -> None:
    """A lesson that another process teaches is known at once."""
    here, there = open_dialogue(), open_dialogue()
    here.conversation().answer("rainy day")
    there.conversation().answer("rainy day means jazz")
    assert here.conversation().answer("rainy day").genre is Genre.JAZZ


def test_forgetting_undoes_the_latest_lesson(open_dialogue: OpenDialogue) -> None:
    """Each "forget that" takes back one lesson, the newest first, and says so when there is none left."""
    conversation = open_dialogue().conversation()
    say(conversation, "rainy day means jazz", "gym time means metal")
    assert "gym time" in say(conversation, "forget that").reply
    assert conversation.answer("rainy day").genre is Genre.JAZZ
    assert "rainy day" in say(conversation, "forget that").reply
    assert conversation.answer("rainy day").genre is None
    assert "nothing to forget" in say(conversation, "forget that").reply


def test_everything_is_forgotten_when_asked(open_dialogue: OpenDialogue) -> None:
    """To forget everything leaves no lesson, in the file as in memory."""
    dialogue = open_dialogue()
    say(dialogue.conversation(), "rainy day means jazz", "gym time means metal", "forget everything")
    assert dialogue.lessons.all() == ()
    assert open_dialogue().lessons.all() == ()


def test_a_correction_is_learned(open_dialogue: OpenDialogue) -> None:
    """What was corrected is understood the next time, after a restart too, until it is forgotten."""
    corrected = say(open_dialogue().conversation(), "play some rainy tunes from peers", "no, I meant blues")
    assert (corrected.intent, corrected.genre, corrected.source) == (Intent.PLAY, Genre.BLUES, Source.PEERS)
    later = open_dialogue().conversation()
    assert later.answer("play rainy tunes from peers").genre is Genre.BLUES
    assert say(later, "forget that", "play rainy tunes from peers").intent is Intent.UNKNOWN_TITLE


def test_a_correction_of_a_lesson_changes_the_lesson(conversation: Conversation) -> None:
    """A taught phrase that is corrected means the other genre from then on."""
    say(conversation, "rainy day means jazz", "rainy day", "no, I meant blues")
    assert conversation.answer("a rainy day").genre is Genre.BLUES


@pytest.mark.parametrize("name", ["jazz", "some jazz", "hip hop", "So What"])
def test_a_plain_name_keeps_its_meaning(open_dialogue: OpenDialogue, name: str) -> None:
    """Correcting a genre or a title by its own name changes the music now, and teaches nothing."""
    dialogue = open_dialogue()
    corrected = say(dialogue.conversation(), f"play {name} from peers", "no, I meant blues")
    assert corrected.genre is Genre.BLUES
    assert dialogue.lessons.all() == ()


@pytest.mark.parametrize("phrase", ["stop", "next", "help", "peers", "yes", "jazz", "the"])
def test_commands_and_genres_cannot_be_taught_away(open_dialogue: OpenDialogue, phrase: str) -> None:
    """A phrase that already means something keeps its meaning, and the answer says why."""
    dialogue = open_dialogue()
    before = dialogue.conversation().answer(phrase)
    refused = dialogue.conversation().answer(f"when I say {phrase}, play blues")
    assert refused.intent is Intent.TEACH
    assert refused.genre is None
    assert dialogue.lessons.all() == ()
    assert dialogue.conversation().answer(phrase).intent is before.intent


@pytest.mark.parametrize(
    "message",
    ["I had a rainy day in Paris once", "it is not a rainy day", "what is a rainy day?", "a sunny day", "stop"],
)
def test_a_lesson_does_not_hijack_other_sentences(conversation: Conversation, message: str) -> None:
    """A message that only shares words with a taught phrase, or turns it round, plays nothing."""
    conversation.answer("rainy day means jazz from peers")
    assert conversation.answer(message).intent is not Intent.PLAY


def test_a_title_that_is_gone_is_unknown(tmp_path: Path, open_dialogue: OpenDialogue) -> None:
    """A taught song that has left the collection is said to be unknown, not played."""
    say(open_dialogue().conversation(), "bedtime means So What from peers")
    emptied = Dialogue(memory=tmp_path / "chat.sqlite3", collection=lambda: ())
    try:
        reply = emptied.conversation().answer("bedtime")
    finally:
        emptied.close()
    assert (reply.intent, reply.title, reply.track) == (Intent.UNKNOWN_TITLE, "So What", None)


def test_nothing_that_was_typed_is_parroted(open_dialogue: OpenDialogue) -> None:
    """A sentence that was typed, and not taught, is neither stored nor ever said back."""
    dialogue = open_dialogue()
    typed = "my secret sentence about the purple aardvark"
    conversation = dialogue.conversation()
    replies = [conversation.answer(text).reply for text in (typed, "hello", typed, "my secret sentence", "hello")]
    assert not any("aardvark" in reply for reply in replies)
    assert dialogue.lessons.all() == ()


def test_an_empty_collection_can_still_ask_by_genre(tmp_path: Path) -> None:
    """A listener without music is understood by genre, and told why titles are not known."""
    dialogue = Dialogue(memory=tmp_path / "new" / "chat.sqlite3", collection=lambda: ())
    try:
        conversation = dialogue.conversation()
        assert conversation.answer("play some jazz from peers").intent is Intent.PLAY
        assert "empty" in conversation.answer("play So What").reply
    finally:
        dialogue.close()


def test_a_changed_collection_is_seen(tmp_path: Path) -> None:
    """Titles of tracks that are scanned later are known as soon as the collection hands them out."""
    tracks: list[tuple[Track, ...]] = [()]
    dialogue = Dialogue(memory=tmp_path / "chat.sqlite3", collection=lambda: tracks[-1])
    try:
        conversation = dialogue.conversation()
        assert conversation.answer("play Take Five").intent is Intent.UNKNOWN_TITLE
        tracks.append((make_track("Take Five", "Dave Brubeck"),))
        assert conversation.answer("play Take Five").title == "Take Five"
    finally:
        dialogue.close()


@pytest.mark.parametrize(
    ("message", "situation", "expected"),
    [
        ("what is playing?", Situation(playing=PLAYING), ["So What", "Miles Davis", "anna"]),
        ("what is playing?", Situation(playing=PLAYING, paused=True), ["Paused", "So What"]),
        ("what is playing?", Situation(playing=replace(PLAYING, provider=None)), ["your own collection"]),
        ("what is playing?", Situation(), ["Nothing is playing"]),
        ("why this one?", Situation(playing=PLAYING), ["jazz", "anna", "1.23", "3 offers"]),
        ("why this one?", Situation(), ["Nothing is playing"]),
        ("who is there?", Situation(providers=("anna", "bob")), ["2 others", "anna", "bob"]),
        ("who is there?", Situation(providers=("anna",)), ["One other", "anna"]),
        ("who is there?", Situation(providers=()), ["Nobody else"]),
    ],
)
def test_questions_are_answered_with_the_facts(
    conversation: Conversation, message: str, situation: Situation, expected: list[str]
) -> None:
    """What, why and who are answered from what the player and the circle look like."""
    reply = conversation.answer(message, situation=situation).reply
    assert all(words in reply for words in expected), reply


def test_a_peer_named_in_a_request_is_a_peer(conversation: Conversation) -> None:
    """A request from anna is from peers where a peer of that name is there."""
    situation = Situation(providers=("Anna",))
    assert conversation.answer("play some jazz from anna", situation=situation).source is Source.PEERS


def test_like_this_is_like_what_plays(conversation: Conversation) -> None:
    """To ask for something like this stands for the song that plays, where it is in the collection."""
    reply = conversation.answer("something like this from peers", situation=Situation(playing=PLAYING))
    assert (reply.intent, reply.title) == (Intent.PLAY, "So What")


def test_play_goes_on_where_it_was_paused(conversation: Conversation) -> None:
    """A bare "play" resumes what is paused, and asks what to play otherwise."""
    assert conversation.answer("play").intent is Intent.ASK_WHAT
    assert conversation.answer("play", situation=Situation(playing=PLAYING, paused=True)).intent is Intent.RESUME


@pytest.mark.parametrize("hostile", ["\x1b[31mSo What\x07", "a\u202eb", "title\nwith\tlines", "\ud800", "x" * 100_000])
def test_what_others_wrote_is_shown_clean(conversation: Conversation, hostile: str) -> None:
    """Titles and names from peers come back on one line, bounded, without control or direction characters."""
    situation = Situation(playing=Playing(title=hostile, artist=hostile, provider=hostile), providers=(hostile,))
    for message in ("what is playing", "why", "who is there", f"play {hostile}"):
        assert_clean(conversation.answer(message, situation=situation))


def assert_clean(reply: Reply) -> None:
    assert 0 < len(reply.reply) <= 2 * MAX_REPLY_CHARS
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in reply.reply)


WORDS = st.sampled_from(
    [
        "play",
        "some",
        "jazz",
        "from",
        "peers",
        "mine",
        "no",
        "i",
        "meant",
        "blues",
        "when",
        "say",
        "means",
        "forget",
        "that",
        "next",
        "like",
        "by",
        "so",
        "what",
        ",",
        ".",
        "?",
        "'",
        '"',
        "hello",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=40).map(" ".join)), min_size=1, max_size=4))
def test_any_text_is_answered(conversation: Conversation, messages: list[str]) -> None:
    """Whatever is typed, in whatever order, is answered with clean, bounded text and never raises."""
    for message in messages:
        reply = conversation.answer(message)
        assert_clean(reply)
        assert reply.intent is not Intent.PLAY or (reply.source is not None and reply.kind is not None)


def test_conversations_in_several_threads(open_dialogue: OpenDialogue) -> None:
    """Eight threads that teach, ask and play at once get their own answers, and no lesson is lost."""
    dialogue = open_dialogue()
    failures: list[str] = []

    def talk(number: int) -> None:
        conversation = dialogue.conversation()
        genre = list(Genre)[number]
        taught = conversation.answer(f"zebra{'abcdefgh'[number]}quux means {genre.spoken}")
        replies = [say(conversation, f"play {genre.spoken}", "peers") for _ in range(5)]
        if taught.intent is not Intent.TEACH or any(reply.genre is not genre for reply in replies):
            failures.append(f"thread {number}: {taught}, {replies}")

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads), "the conversations did not end within 60 s"
    assert failures == []
    assert len(dialogue.lessons.all()) == 8


def test_answers_are_right_with_much_to_remember(tmp_path: Path) -> None:
    """Among 200 lessons and 10,000 titles, the one that is meant is found, with a slip of the keyboard too."""
    tracks = tuple(make_track(f"Song number {number} of the {number % 97} sort", "Dave") for number in range(10_000))
    dialogue = Dialogue(memory=tmp_path / "big.sqlite3", collection=lambda: tracks)
    try:
        for number in range(200):
            dialogue.lessons.teach(Lesson(f"phrase{number} word{number}", wish=Wish(genre=Genre.JAZZ)))
        dialogue.lessons.teach(Lesson("my rainy sunday", wish=Wish(genre=Genre.BLUES)))
        song = dialogue.conversation().answer("play song numer 77 of the 77 sort from peers")
        lesson = dialogue.conversation().answer("my rainy sunday")
        talk = dialogue.conversation().answer("my foot hurts")
    finally:
        dialogue.close()
    assert (song.intent, song.title) == (Intent.PLAY, "Song number 77 of the 77 sort")
    assert lesson.genre is Genre.BLUES
    assert talk.intent is Intent.SMALL_TALK


def test_a_memory_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """A file that is no database is named in the error, with what to do."""
    broken = tmp_path / "chat.sqlite3"
    broken.write_bytes(b"this is not a database, whatever its name says" * 50)
    with pytest.raises(ChatMemoryError, match=r"chat\.sqlite3"):
        Dialogue(memory=broken, collection=lambda: ())


def test_a_lesson_that_cannot_be_written_is_said(
    conversation: Conversation, open_dialogue: OpenDialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs the lesson, not the conversation."""
    dialogue = open_dialogue()

    def full_disk(lesson: Lesson) -> Lesson:
        raise ChatMemoryError("no space left on device")

    monkeypatch.setattr(dialogue.lessons, "teach", full_disk)
    reply = dialogue.conversation().answer("rainy day means jazz")
    assert "cannot be written" in reply.reply
    assert dialogue.conversation().answer("hello").intent is Intent.SMALL_TALK

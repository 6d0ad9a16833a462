"""``dnai ask``: a request from the terminal, with everything that came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
import msgspec

from dnai.broker.scatter import Scatter
from dnai.chatbot.dialogue import Dialogue
from dnai.chatbot.intents import Intent, Reply, Source
from dnai.command_line import settings_options
from dnai.config import Settings
from dnai.errors import UsageError
from dnai.genre.model import GenreModel
from dnai.library.collection import LiveCollection
from dnai.library.models import load_models
from dnai.recommend.gather import GatherResult, ReceivedOffer
from dnai.stream.client import PeerClient
from dnai.tracks import Playlist, PlaylistEntry
from web.listener import Listener, Target
from web.peers import address_rule
from web.succession import PassedOver
from web.wording import guess_line, why_left_out

_READY_TO_PLAY = frozenset({Intent.PLAY, Intent.ASK_SOURCE})


@dataclass(slots=True)
class _Outcome:
    """What came of a request."""

    target: Target
    source: Source
    result: GatherResult | None = None
    winner: ReceivedOffer | None = None
    playlist: Playlist = field(default_factory=lambda: Playlist(()))
    passed_over: list[PassedOver] = field(default_factory=list)


@click.command()
@click.argument("message", nargs=-1, required=True)
@click.option("--mine", "source", flag_value=Source.MINE.value, help="From your own collection, without a broker.")
@click.option("--peers", "source", flag_value=Source.PEERS.value, help="From your peers; the default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@settings_options("broker", "broker_ca", "name", "models", "use_tags", "deadline_s")
def ask_command(settings: Settings, message: tuple[str, ...], source: str | None, as_json: bool) -> None:
    """Ask for music in words: "play some jazz", "something like So What".

    Prints every offer with its distance and latency, the winner, and the winner's playlist.
    """
    with ExitStack() as stack:
        models = load_models(settings.model_dirs)
        collection = LiveCollection(settings.catalogue_path, models, use_tags=settings.use_tags)
        stack.callback(collection.close)
        reply = _understand(settings, collection, " ".join(message))
        chosen = Source(source) if source else reply.source or Source.PEERS
        listener = stack.enter_context(_listener(settings, collection, models, with_circle=chosen is Source.PEERS))
        target = listener.target(track=reply.track) if reply.track else listener.target(genre=reply.genre)
        outcome = _ask_peers(listener, target) if chosen is Source.PEERS else _own(listener, target)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_record(outcome)), indent=1).decode())
    else:
        for line in _lines(outcome):
            click.echo(line)


def _understand(settings: Settings, collection: LiveCollection, message: str) -> Reply:
    dialogue = Dialogue(memory=settings.chat_memory_path, collection=lambda: collection.current().tracks)
    try:
        reply = dialogue.conversation().answer(message)
    finally:
        dialogue.close()
    if reply.intent not in _READY_TO_PLAY or (reply.genre is None and reply.track is None):
        raise UsageError(
            f'{reply.reply} (ask for a genre, "play some jazz", or a song of yours, "something like TITLE")'
        )
    return reply


@contextmanager
def _listener(
    settings: Settings, collection: LiveCollection, models: Sequence[GenreModel], *, with_circle: bool
) -> Iterator[Listener]:
    with ExitStack() as stack:
        circle = None
        if with_circle:
            scatter = Scatter(settings.broker_url, ca_file=settings.broker_ca, deadline_s=settings.deadline_s)
            circle = stack.enter_context(scatter)
        peers = stack.enter_context(PeerClient(allow=address_rule(settings)))
        yield Listener(collection=collection, models=models, circle=circle, peers=peers, clock=time.monotonic)


def _own(listener: Listener, target: Target) -> _Outcome:
    return _Outcome(target, Source.MINE, playlist=listener.own_nearest(target).playlist)


def _ask_peers(listener: Listener, target: Target) -> _Outcome:
    outcome = _Outcome(target, Source.PEERS)
    search = listener.search(target)
    outcome.result = search.gather()
    turn = search.next_turn(on_passed_over=outcome.passed_over.append)
    if turn is not None:
        outcome.winner, outcome.playlist = turn.offer, turn.source.playlist
        turn.source.close()
    return outcome


def _lines(outcome: _Outcome) -> Iterator[str]:
    guess = guess_line(outcome.target)
    if guess:
        yield guess
    yield f"asked for: {_target_words(outcome.target)}"
    if outcome.result is not None:
        yield from _result_lines(outcome.result, outcome.winner, outcome.passed_over)
    if outcome.playlist.entries:
        yield f"playlist of {outcome.winner.name if outcome.winner else 'your own collection'}:"
        yield from (_entry_line(number, entry) for number, entry in enumerate(outcome.playlist.entries, start=1))
    elif outcome.source is Source.MINE:
        yield f"your collection has no {outcome.target.genre.spoken}"


def _target_words(target: Target) -> str:
    if target.track is not None:
        return f"{target.genre.spoken} near {target.track.title!r}"
    whose = "the model's own midpoint" if target.is_reference else "your midpoint"
    return f"{target.genre.spoken} near {whose}"


def _result_lines(
    result: GatherResult, winner: ReceivedOffer | None, passed_over: Sequence[PassedOver]
) -> Iterator[str]:
    if result.nobody_else:
        yield "nobody else is in the circle now"
    elif not result.offers:
        yield f"nobody offers {result.genre.spoken}"
    else:
        yield "   weighed  distance  tracks of all  latency  provider"
    for offer in result.offers:
        mark = "*" if winner is not None and offer.provider == winner.provider else " "
        distances = f"{offer.weighed_distance:7.3f}  {offer.mean_distance:8.3f}"
        tracks = f"{offer.tracks:6d} {offer.collection or '?':>6}"
        yield f" {mark} {distances}  {tracks}  {_ms(offer):4.0f} ms  {_who(offer)}"
    for offer in result.left_out:
        yield f"   left out: {_who(offer)} {why_left_out(offer, result)}"
    for decline in result.declines:
        yield f"   declined: {decline.name} ({decline.provider.user_id}): {decline.reason.replace('_', ' ')}"
    for name in result.silent:
        yield f"   silent: {name} did not answer in time"
    for passed in passed_over:
        yield f"   passed over: {passed.name}: {passed.reason}"


def _who(offer: ReceivedOffer) -> str:
    return f"{offer.name} ({offer.provider.user_id})"


def _ms(offer: ReceivedOffer) -> float:
    return offer.latency_s * 1000.0


def _entry_line(number: int, entry: PlaylistEntry) -> str:
    minutes, seconds = divmod(round(entry.duration_s), 60)
    return f"  {number:2d}. {entry.distance:7.3f}  {minutes:3d}:{seconds:02d}  {entry.artist or '?'} – {entry.title}"


def _record(outcome: _Outcome) -> Mapping[str, Any]:
    result, winner = outcome.result, outcome.winner
    return {
        "genre": outcome.target.genre,
        "title": outcome.target.track.title if outcome.target.track else None,
        "source": outcome.source,
        "reference_midpoint": outcome.target.is_reference,
        "guess": outcome.target.is_guess,
        "space_id": outcome.target.space_id,
        "spaces": list(outcome.target.vectors),
        "correlation_id": result.correlation_id if result else None,
        "elapsed_ms": round(result.elapsed_s * 1000.0, 3) if result else None,
        "nobody_else": result.nobody_else if result else None,
        "offers": [_offer_record(offer) for offer in result.offers] if result else [],
        "left_out": [_offer_record(offer) for offer in result.left_out] if result else [],
        "declines": [
            {"name": d.name, "user": d.provider.user_id, "reason": d.reason}
            for d in (result.declines if result else ())
        ],
        "silent": result.silent if result else (),
        "passed_over": [{"name": one.name, "reason": one.reason} for one in outcome.passed_over],
        "winner": _offer_record(winner) if winner else None,
        "playlist": [_entry_record(entry) for entry in outcome.playlist.entries],
    }


def _offer_record(offer: ReceivedOffer) -> Mapping[str, Any]:
    return {
        "name": offer.name,
        "user": offer.provider.user_id,
        "provider_id": offer.provider.provider_id,
        "distance": offer.mean_distance,
        "weighed_distance": offer.weighed_distance,
        "tracks": offer.tracks,
        "collection": offer.collection,
        "latency_ms": round(_ms(offer), 3),
        "space_id": offer.space_id,
    }


def _entry_record(entry: PlaylistEntry) -> Mapping[str, Any]:
    return {
        "title": entry.title,
        "artist": entry.artist,
        "album": entry.album,
        "genre": entry.genre,
        "distance": entry.distance,
        "duration_s": entry.duration_s,
        "type": entry.audio_type,
        "size_bytes": entry.size_bytes,
    }

"""What the page says in the chat about the circle and the music: plain sentences, made of facts.

Names and titles come from other people: they were cleaned where they arrived, and are cleaned again
here, where they are put into sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dnai.errors import BrokerClosedError, BrokerError, BrokerRefusedError, BrokerRightsError
from dnai.recommend.gather import GatherResult, ReceivedOffer
from dnai.recommend.provider import BUSY, NO_TRACKS, UNKNOWN_SPACE
from dnai.recommend.requester import PresentProvider
from dnai.text import clean_text
from dnai.tracks import Genre
from web.listener import NO_BROKER, Target
from web.succession import Fate, PassedOver, Succession

MAX_NAMES = 6

DECLINE_REASONS = {
    NO_TRACKS: "has no track of that genre",
    UNKNOWN_SPACE: "measures music in another feature space",
    BUSY: "is too busy at the moment",
}

OWN_STILL_PLAYS = "Your own collection still plays: say “from my collection”."


def broker_trouble(error: BrokerError) -> str:
    """Say that the circle cannot be asked, and what to do."""
    if str(error) == NO_BROKER:
        return f"I know no broker to ask, so I cannot reach your peers: {NO_BROKER}. {OWN_STILL_PLAYS}"
    if isinstance(error, BrokerRefusedError):
        return f"The broker does not let us in: {sentence(error)} {OWN_STILL_PLAYS}"
    if isinstance(error, BrokerRightsError):
        return f"The broker lets us in, but our user lacks rights: {sentence(error)} {OWN_STILL_PLAYS}"
    if isinstance(error, BrokerClosedError):
        return f"The broker went away while I was asking. I go on trying; ask again in a moment. {OWN_STILL_PLAYS}"
    return f"I cannot reach the broker: {sentence(error)} I go on trying. {OWN_STILL_PLAYS}"


def nothing_found(result: GatherResult, target: Target) -> str:
    """Say why nobody's music can be played, naming who declined and why."""
    wanted = target.genre.spoken
    if result.nobody_else:
        return f"Nobody else is in the circle right now, so there is nobody to ask for {wanted}. {OWN_STILL_PLAYS}"
    parts = [f"Nobody in the circle can play {wanted} for you."]
    for reason, said in DECLINE_REASONS.items():
        names = [decline.name for decline in result.declines if decline.reason == reason]
        if names:
            parts.append(f"{listed(names)} {_plural(said, len(names))}.")
    other = [decline.name for decline in result.declines if decline.reason not in DECLINE_REASONS]
    if other:
        parts.append(f"{listed(other)} declined.")
    return " ".join([*parts, *_not_compared(result)])


def winner_line(offer: ReceivedOffer, result: GatherResult, target: Target) -> str:
    """Say whose music plays and why; who was left out, and who was silent."""
    tracks = f"{offer.tracks} {target.genre.spoken} track{'' if offer.tracks == 1 else 's'}"
    near = f"“{name(target.track.title)}”" if target.track else f"your {target.genre.spoken}"
    if offer.space_id in target.references:
        near = f"typical {target.genre.spoken} (you have none of your own to go by)"
    others = len(result.offers) - 1
    beaten = "the only offer" if not others else f"the best of {len(result.offers)} offers"
    if offer.collection >= offer.tracks:
        tracks += f" ({offer.tracks / offer.collection:.0%} of the collection)"
    said = f"{name(offer.name)} plays: {beaten}, {offer.mean_distance:.2f} from {near} on average over {tracks}."
    return " ".join([said, *_not_compared(result)])


def next_line(offer: ReceivedOffer) -> str:
    """Say that the next provider takes over."""
    return f"Now it is {name(offer.name)}’s turn, at a distance of {offer.mean_distance:.2f}."


def better_line(succession: Succession, offer: ReceivedOffer) -> str | None:
    """Say who was better than the one that plays, and why they do not play; None when nobody was."""
    fates = {Fate.HEARD: "already heard", Fate.PASSED_OVER: "could not play"}
    better = [
        f"{name(other.name)} ({other.mean_distance:.2f}, {fates[succession.fate(other.provider)]})"
        for other in succession.result.offers
        if other.weighed_distance < offer.weighed_distance and succession.fate(other.provider) in fates
    ]
    return f"Better still: {', '.join(better)}." if better else None


def passed_over_line(passed: PassedOver) -> str:
    """Say that a provider was passed over, and why."""
    return f"I passed over {name(passed.name)}: {sentence(passed.reason)}"


def broke_off_line(provider: str, reason: object) -> str:
    """Say that the provider that was playing is gone."""
    return f"{name(provider)} broke off in the middle: {sentence(reason)} Looking for the next best…"


def slept_too_long(provider: str) -> str:
    """Say that the session ran out during a long pause."""
    return f"{name(provider)} has ended our session, since nothing was played for long. I ask the circle again."


def nobody_left(*, heard: bool) -> str:
    """Say that every offer has had its turn."""
    if heard:
        return "That was everybody’s playlist for this request. Ask me for something else, or for the same again."
    return "Nobody who offered music can be reached any more. Ask again in a moment, or play “from my collection”."


def own_line(target: Target, count: int) -> str:
    """Say what of the listener's own plays."""
    near = f"“{name(target.track.title)}”" if target.track else f"the middle of your {target.genre.spoken}"
    return f"From your own collection: {count} track{'' if count == 1 else 's'}, the nearest to {near} first."


def own_nothing(genre: Genre, own_tracks: int) -> str:
    """Say that the listener has nothing of this genre."""
    if not own_tracks:
        return "Your own collection is empty: scan a folder with “dnai scan DIR”, or say “from peers”."
    return f"You have no {genre.spoken} among your {own_tracks} tracks. Say “from peers”, and I ask the circle."


def track_gone(title: str, provider: str | None, reason: object) -> str:
    """Say that one track cannot be had, and is left out."""
    whose = f"from {name(provider)}" if provider else "from your collection"
    return f"“{name(title)}” cannot be had {whose}: {sentence(reason)} On to the next."


def cannot_decode(title: str, kind: str) -> str:
    """Say that the browser does not play one track."""
    return f"Your browser cannot play “{name(title)}” ({kind}). On to the next."


def circle_line(result: GatherResult, target: Target) -> str:
    """The line above the picture."""
    asked = f"“{name(target.track.title)}”" if target.track else target.genre.spoken
    offers = len(result.offers)
    count = "nobody offered" if not offers else f"{offers} offer{'' if offers == 1 else 's'}"
    return f"Asked for {asked}: {count}, everything in after {result.elapsed_s * 1000:.0f} ms."


def status_line(*, has_broker: bool, connected: bool, others: Sequence[PresentProvider], own: int | None) -> str:
    """The line at the top of the page."""
    mine = "your catalogue cannot be read" if own is None else f"{own} track{'' if own == 1 else 's'} of your own"
    if not has_broker:
        return f"No broker is set · {mine}"
    if not connected:
        return f"Broker not reached, trying · {mine}"
    if not others:
        return f"Broker reached, nobody else there · {mine}"
    return f"{listed(sorted(other.name for other in others))} {'is' if len(others) == 1 else 'are'} there · {mine}"


def listed(names: Iterable[str]) -> str:
    """Return names as in a sentence: ``a, b and c``; the rest is counted."""
    clean = [name(one) for one in names]
    if len(clean) > MAX_NAMES:
        clean = [*clean[:MAX_NAMES], f"{len(clean) - MAX_NAMES} more"]
    return clean[0] if len(clean) == 1 else f"{', '.join(clean[:-1])} and {clean[-1]}"


def name(text: str) -> str:
    """Return a name or title fit for a sentence."""
    return clean_text(text, max_chars=80) or "somebody without a name"


def sentence(text: object) -> str:
    """Return `text` on one line, with a full stop."""
    clean = clean_text(str(text), max_chars=300).rstrip(".")
    return f"{clean}."


def guess_line(target: Target) -> str | None:
    """Say that the genre of a song is a guess; None where it is not."""
    if target.track is None or not target.is_guess:
        return None
    share = f"{target.track.confidence * 100:.0f} %"
    return (
        f"I am not sure what “{name(target.track.title)}” is; I ask for {target.genre.spoken}, my best guess ({share})."
    )


def why_left_out(offer: ReceivedOffer, result: GatherResult) -> str:
    """Say why an offer was not ranked with the others: what its worker is missing, and what helps."""
    if not result.offers:
        return f"measures in {space_name(offer.space_id)}, which was not asked for"
    used, other = space_name(result.offers[0].space_id), space_name(offer.space_id)
    if used == other:
        return f"has another version of {used}, which cannot be compared: update one of the two"
    return f"has no {used} vectors yet ({other} cannot be compared with them): update that worker"


def space_name(space_id: str) -> str:
    """Return what a feature space is called: its id without the fingerprint."""
    return clean_text(space_id.rpartition("-")[0] or space_id)


def _left_out(result: GatherResult) -> dict[str, list[str]]:
    """The names of those who were left out, by the reason."""
    names: dict[str, list[str]] = {}
    for offer in result.left_out:
        names.setdefault(why_left_out(offer, result), []).append(offer.name)
    return names


def _not_compared(result: GatherResult) -> list[str]:
    said = [f"I left out {listed(names)}, who {_plural(why, len(names))}." for why, names in _left_out(result).items()]
    if result.silent:
        said.append(f"{listed(result.silent)} did not answer in time.")
    return said


def _plural(said: str, count: int) -> str:
    if count == 1:
        return said
    for one, many in (("has ", "have "), ("is ", "are "), ("measures ", "measure ")):
        if said.startswith(one):
            return many + said.removeprefix(one)
    return said

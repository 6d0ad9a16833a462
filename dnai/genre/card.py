"""The model card: what a model was trained on, what was measured, and what it cannot do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dnai.genre.evaluation import Figure, Scores
from dnai.genre.pictures import CALIBRATION_FILE, CONFUSION_FILE, CURVE_FILE, draw_pictures
from dnai.genre.record import CircleRow, TrainingRecord
from dnai.genre.space import SURE_FROM, SpaceDefinition
from dnai.genre.table import LABELS

CARD_FILE = "MODEL_CARD.md"


def write_card(folder: Path, space: SpaceDefinition, record: TrainingRecord) -> None:
    """Write the card and its pictures into a model's folder."""
    draw_pictures(folder, record.figures, record.curve)
    (folder / CARD_FILE).write_text("\n".join(_lines(space, record)) + "\n", encoding="utf-8")


def _lines(space: SpaceDefinition, record: TrainingRecord) -> Iterator[str]:
    yield f"# Genre model `{space.name}`"
    yield from _section(None, [_architecture(space, record), f"Genres: {', '.join(g.spoken for g in LABELS)}."])
    yield from _section("What it learned from", _learned(record))
    yield from _section("How good it is", _figures(record))
    yield from _section("When it is not sure", _sureness(record))
    if record.circles:
        yield from _section("Does it find the right person?", circle_lines(record.circles))
    yield from _section("What it cannot do", _limits(space, record))
    yield from _section("Licences", space.licences)
    yield from _section("Files", _files(space))


def _section(title: str | None, lines: Iterable[str]) -> Iterator[str]:
    yield ""
    if title:
        yield f"## {title}"
        yield ""
    yield from lines


def _architecture(space: SpaceDefinition, record: TrainingRecord) -> str:
    plan = record.plan
    units = "-".join(str(number) for number in (len(space.feature_names), *plan.hidden, len(LABELS)))
    return (
        f"{space.summary} On them stand {plan.members} networks of {units} units, trained side by side and averaged "
        f"into one: {plan.epochs} passes in batches of {plan.batch_size}, AdamW ({plan.learning_rate:g}, "
        f"weight decay {plan.weight_decay:g}), dropout {plan.dropout:g}, noise {plan.noise:g}, mixup {plan.mixup:g}, "
        f"label smoothing {plan.label_smoothing:g}, seed {plan.seed}; calibrated with "
        f"temperature {record.temperature:.2f}."
    )


def _learned(record: TrainingRecord) -> Iterator[str]:
    learned = record.learned
    yield f"{learned.pieces} pieces of {learned.tracks} tracks, in {learned.groups} groups that are never torn apart:"
    yield "an artist's tracks, or a single track where the artist is not known."
    if learned.unknown_artists:
        yield (
            f"The artist of {learned.unknown_artists} tracks is not known. Where two of them are by the same one, "
            "the artist may stand on both sides of a split, and the figures are a little too good."
        )


def _figures(record: TrainingRecord) -> Iterator[str]:
    figures, (leaky_pieces, leaky_tracks) = record.figures, record.leaky_accuracy
    yield "Every piece was answered by a network that had heard neither its track nor its artist"
    yield "(5-fold cross-validation by artist). In brackets: 95 % intervals, from a bootstrap over artists."
    yield ""
    yield "| | tracks | pieces |"
    yield "|---|---|---|"
    for name, row in _figure_rows(figures.tracks, figures.pieces):
        yield f"| {name} | {row[0]} | {row[1]} |"
    for source, scores in figures.by_source.items():
        yield f"| right, pieces of kind `{source}` ({scores.count}) | | {percent(scores.accuracy)} |"
    yield (
        "| **not a measure of hearing**: right with a random split of pieces, where pieces of one song are on both "
        f"sides | {100 * leaky_tracks:.1f} % | {100 * leaky_pieces:.1f} % |"
    )
    yield ""
    yield "A track is answered with the mean over its pieces. How networks are trained was chosen by such figures,"
    yield "which flatters them a little."
    yield ""
    yield f"![confusion matrix]({CONFUSION_FILE})"
    yield ""
    yield f"![learning curve]({CURVE_FILE})"
    yield ""
    yield "| genre | F1, tracks | F1, pieces |"
    yield "|---|---|---|"
    for genre, value in figures.tracks.f1.items():
        yield f"| {genre.spoken} | {value:.2f} | {figures.pieces.f1[genre]:.2f} |"


def _figure_rows(tracks: Scores, pieces: Scores) -> Iterator[tuple[str, tuple[str, str]]]:
    both = (tracks, pieces)
    yield "how many", (str(tracks.count), str(pieces.count))
    yield "of so many artists", (str(tracks.groups), str(pieces.groups))
    always = [f"{100 * scores.most_frequent:.1f} %" for scores in both]
    yield "right if the answer were always the most frequent genre", (always[0], always[1])
    yield "**right**", (f"**{percent(tracks.accuracy)}**", percent(pieces.accuracy))
    yield "macro F1", (f"{tracks.macro_f1:.3f}", f"{pieces.macro_f1:.3f}")
    errors = [f"{scores.calibration_error} (floor {scores.calibration_floor:.3f})" for scores in both]
    yield "calibration error, ten bins of equal mass", (errors[0], errors[1])
    yield "log loss", (f"{tracks.log_loss:.3f}", f"{pieces.log_loss:.3f}")


def percent(figure: Figure) -> str:
    """Return a share and its interval in per cent: ``48.1 % (44.0 to 52.3)``."""
    return f"{100 * figure.value:.1f} % ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def _sureness(record: TrainingRecord) -> Iterator[str]:
    yield f"An answer counts as sure from a confidence of {SURE_FROM:g} on. The floor of the calibration error is what"
    yield "a perfectly calibrated network would show on so few answers; its interval is corrected for what drawing"
    yield "answers anew adds to it."
    yield ""
    yield f"![calibration]({CALIBRATION_FILE})"
    yield ""
    yield "When only the most confident answers about tracks count:"
    yield ""
    yield "| answered | confidence from | right |"
    yield "|---|---|---|"
    for point in record.figures.tracks.reject_curve:
        yield f"| {100 * point.share:.0f} % | {point.confidence:.2f} | {100 * point.accuracy:.1f} % |"


def circle_lines(rows: Sequence[CircleRow]) -> Iterator[str]:
    """Yield the table of simulated circles, in Markdown."""
    yield "Simulated circles of people whose tastes are known (`dnai evaluate --circle`). *Right person*: how"
    yield "often the peer with the largest share of fitting music won; *fitting*: the share of fitting tracks among"
    yield "the first ten of the playlist; *lucky*: how often somebody won with fewer than five tracks of the"
    yield "genre who was not the right person; *gain*: right person, against the mean over all tracks of the genre in"
    yield "the same circles, with vectors prepared alike. The intervals are for these tracks, not for all music."
    yield "Where a genre has few tracks, collections hold copies."
    yield ""
    yield "What this shows and what not: the right person is a matter of shares, so that a ranking by share finds it by"
    yield "definition where tags tell the genres, and there everything fits, whoever wins. With genres from the network"
    yield "the gain in *fitting* is real; compare `share alone`, which does without any vector, to see how much of it"
    yield "the vectors add. Whose taste is nearer among those with the same share is not measured here."
    yield ""
    yield "| asked by | genres from | ranking | vectors | right person | fitting | lucky | gain |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        genres = "tags" if row.tags else "the network"
        shares = (row.right_person, row.fitting_first_ten, row.lucky_winner)
        gain = f"{100 * row.gain.value:+.1f} ({100 * row.gain.low:+.1f} to {100 * row.gain.high:+.1f})"
        cells = (row.asked_by, genres, row.ranking, row.preparation, *map(percent, shares), gain)
        yield f"| {' | '.join(cells)} |"


def _limits(space: SpaceDefinition, record: TrainingRecord) -> Iterator[str]:
    wrong = 100 * (1 - record.figures.tracks.accuracy.value)
    yield f"- It is wrong about {wrong:.0f} of 100 tracks, and it knows ten genres and no others: everything else is"
    yield "  taken for one of them, with some confidence."
    yield "- What it learned from is a small part of music: sounds that it has not met it may take for something else"
    yield "  altogether."
    yield from (f"- {limit}" for limit in space.limits)


def _files(space: SpaceDefinition) -> Iterator[str]:
    yield "`model.json` (ids and SHA-256 of the others), `scaler.json`, `midpoints.json`, `network.keras` (to train"
    yield "on), `network.tflite` (to run), `training.json` (figures, and digests of what it has heard)" + "".join(
        f", `{path.name}`" for path in space.files
    )
    yield "Written by `dnai train`."

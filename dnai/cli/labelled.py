"""The options of commands that need labelled music: a feature table, or a folder of sounds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
from tqdm import tqdm

from dnai.config import PROJECT_DIR
from dnai.errors import UsageError
from dnai.genre.embedding import EMBEDDING_FILE
from dnai.genre.extraction import Extractor, open_extractor
from dnai.genre.model import GenreModel
from dnai.genre.sounds import MAX_PIECE_S, MIN_PIECE_S, read_sounds
from dnai.genre.space import LIBROSA26, SPACE_NAMES, open_space
from dnai.genre.table import FeatureTable, find_space, read_table

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class LabelledMusic:
    """Music whose genres are known: where it lies, and in which feature space it is looked at."""

    table: Path | None
    audio: Path | None
    space: str
    piece_s: float
    space_is_chosen: bool = False
    extractor: Extractor | None = None

    def read(self) -> FeatureTable:
        """Return the table, or measure the sounds, with progress on stderr; raises `ModelError`."""
        table = read_table(self.table, space=self.space) if self.table else self._read_sounds()
        if table.unknown_artists:
            click.echo(
                f"the artist of {table.unknown_artists} of {table.track_count} tracks is not known: where two of them "
                "are by the same artist, the figures are better than for artists never heard",
                err=True,
            )
        return table

    @property
    def origin(self) -> Path:
        """The table's file, or the folder of the sounds; raises `UsageError` where there is neither or both."""
        if self.table is not None and self.audio is None:
            return self.table
        if self.audio is not None and self.table is None:
            return self.audio
        raise UsageError("give either --table CSV or --audio DIR")

    def of_model(self, model: GenreModel) -> LabelledMusic:
        """Return the same music, looked at in the space of `model`, whose own network measures sounds.

        Raises
        ------
        UsageError
            When a table of another space was named by ``--space``.
        """
        if self.space_is_chosen and model.name != self.space:
            raise UsageError(f"--space {self.space} is not the space of the model {model.name}")
        return replace(self, space=model.name, extractor=open_extractor(model) if self.audio else None)

    def network_folder(self, folder: Path) -> Path:
        """Return where the network lies that measures the features: `folder`, else the project's own model."""
        return folder if (folder / EMBEDDING_FILE).is_file() else PROJECT_DIR / "models" / self.space

    def _read_sounds(self) -> FeatureTable:
        extractor = self.extractor or open_space(self.space, PROJECT_DIR / "models" / self.space)
        with tqdm(total=0, bar_format="{desc}", leave=False) as line:
            sounds = read_sounds(
                self.origin, extractor, space=self.space, piece_s=self.piece_s, report=line.set_description_str
            )
        for one in sounds.left_out:
            click.echo(f"left out {one.path}: {one.reason}", err=True)
        return sounds.table


def labelled_music_options(command: _Command) -> _Command:
    """Give a click command ``--table``, ``--audio``, ``--space`` and ``--piece-s``; it is called with `music`."""

    @functools.wraps(command)
    def with_music(*args: Any, **options: Any) -> Any:  # noqa: ANN401  # whatever the command takes and gives
        table, audio = options.pop("table"), options.pop("audio")
        space, piece_s = options.pop("space"), options.pop("piece_s")
        chosen = space or (find_space(table) if table and audio is None else LIBROSA26)
        music = LabelledMusic(table, audio, chosen, piece_s, space_is_chosen=space is not None)
        _ = music.origin  # one of the two, before anything else is done
        return command(*args, music=music, **options)

    decorated: Any = with_music
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]  # click's decorators keep the function's type


_OPTIONS = (
    click.option("--table", type=click.Path(path_type=Path), metavar="CSV", help="A feature table."),
    click.option("--audio", type=click.Path(path_type=Path), metavar="DIR", help="A folder of GENRE/track.mp3."),
    click.option(
        "--space",
        type=click.Choice(SPACE_NAMES),
        help="The feature space.  [default: the one that the table has the columns of; librosa26 for sounds]",
    ),
    click.option(
        "--piece-s",
        type=click.FloatRange(min=MIN_PIECE_S, max=MAX_PIECE_S),
        default=10.0,
        show_default=True,
        help="With --audio: the length of the pieces that a track is cut into, seconds.",
    ),
)

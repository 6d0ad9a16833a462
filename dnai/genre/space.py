"""The feature spaces that this program measures and makes models of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dnai.audio.features import FEATURE_DEFINITION, FEATURE_NAMES
from dnai.errors import ModelError
from dnai.genre.embedding import EMBEDDING_FILE, EMBEDDING_NAMES, MusicnnEmbedding, musicnn_definition
from dnai.genre.extraction import Extractor, LibrosaMeans
from dnai.genre.model import make_feature_id

LIBROSA26 = "librosa26"
MUSICNN200 = "musicnn200"
LICENCE_FILE = "LICENSE.musicnn"
SPACE_NAMES = (LIBROSA26, MUSICNN200)

SURE_FROM = 0.5
"""An answer counts as sure when it is more likely right than wrong, as its calibrated confidence tells."""

_GTZAN = (
    "The recordings that this project's own models learned from (GTZAN, Tzanetakis and Cook 2002) are commercial and "
    "not part of it: the model holds numbers made from them, and digests of their names."
)


@dataclass(frozen=True, slots=True)
class SpaceDefinition:
    """A feature space: what its features are, how their vectors are made, and what its card says.

    `files` are what the features need to be measured (a network, its licence): copied into the model.
    """

    name: str
    feature_definition: str
    feature_names: tuple[str, ...]
    length_one: bool
    summary: str
    licences: tuple[str, ...]
    limits: tuple[str, ...]
    files: tuple[Path, ...] = ()


def define_space(name: str, folder: Path) -> SpaceDefinition:
    """Return the definition of the space `name`.

    Parameters
    ----------
    folder
        The folder of a model of that space, where the network lies that measures the features of ``musicnn200``.

    Raises
    ------
    ModelError
        When the space is unknown, or the network is not there.
    """
    if name == LIBROSA26:
        return SpaceDefinition(
            name=name,
            feature_definition=FEATURE_DEFINITION,
            feature_names=FEATURE_NAMES,
            length_one=True,
            summary="The means over a song of 26 features that librosa measures.",
            licences=(_GTZAN,),
            limits=("Means over a song say nothing of its rhythm, its melody or its words.",),
        )
    if name == MUSICNN200:
        return _define_musicnn(folder)
    raise ModelError(f"there is no feature space {name!r}; there are {' and '.join(SPACE_NAMES)}")


def _define_musicnn(folder: Path) -> SpaceDefinition:
    files = tuple(folder / file for file in (EMBEDDING_FILE, LICENCE_FILE))
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise ModelError(f"{missing[0]} is missing: dnai model import-musicnn writes it")
    return SpaceDefinition(
        name=MUSICNN200,
        feature_definition=musicnn_definition(folder / EMBEDDING_FILE),
        feature_names=EMBEDDING_NAMES,
        length_one=True,
        summary="The embedding of 200 numbers that the pretrained network MSD_musicnn makes of a song.",
        licences=(
            f"`{EMBEDDING_FILE}` is converted from the package musicnn 0.1.0, whose ISC licence is `{LICENCE_FILE}`.",
            _GTZAN,
        ),
        limits=("It hears three seconds at a time, in patches spread over a song, and nothing of how they follow.",),
        files=files,
    )


def open_space(name: str, folder: Path) -> Extractor:
    """Return what measures the features of the space `name`; parameters and errors as for `define_space`."""
    space = define_space(name, folder)
    feature_id = make_feature_id(name, space.feature_definition, space.feature_names)
    if name == LIBROSA26:
        return LibrosaMeans(feature_id)
    return MusicnnEmbedding(folder / EMBEDDING_FILE, feature_id)

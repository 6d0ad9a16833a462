"""From samples to the raw features that a model was trained on.

A model names its features in words (``feature_definition``). Which way of measuring they are, and
whether this program knows it, is decided here and nowhere else.
"""

from __future__ import annotations

from dnai.audio.blockwise import BlockwiseFeatures
from dnai.audio.definition import FEATURE_DEFINITION
from dnai.errors import ModelError
from dnai.genre.embedding import EMBEDDING_FILE, MusicnnEmbedding, is_musicnn_definition, musicnn_definition
from dnai.genre.extractor import Extractor as Extractor
from dnai.genre.model import GenreModel


class LibrosaMeans(Extractor):
    """The 26 means of ``librosa26``."""

    def __init__(self, feature_id: str) -> None:
        self.feature_id = feature_id

    def start(self) -> BlockwiseFeatures:
        """Return what measures the 26 features of `dnai.audio.definition.FEATURE_NAMES`."""
        return BlockwiseFeatures()


def open_extractor(model: GenreModel) -> Extractor:
    """Return what measures the features that `model` was trained on.

    Raises
    ------
    ModelError
        When this program measures no such features, or the network that they need is not in the model's folder.
    """
    if model.feature_definition == FEATURE_DEFINITION:
        return LibrosaMeans(model.feature_id)
    if is_musicnn_definition(model.feature_definition):
        return _open_musicnn(model)
    raise ModelError(
        f"the model {model.name} knows {model.feature_definition!r}, which this program does not measure: "
        "choose another model, or update the program"
    )


def _open_musicnn(model: GenreModel) -> MusicnnEmbedding:
    path = model.folder / EMBEDDING_FILE
    if musicnn_definition(path) != model.feature_definition:
        raise ModelError(f"{path} is not the network that the features of {model.name} were measured with")
    return MusicnnEmbedding(path, model.feature_id)

"""The models that a user's music is heard with, in order of preference."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dnai.errors import ConfigurationError
from dnai.genre.model import GenreModel


def load_models(folders: Iterable[Path]) -> tuple[GenreModel, ...]:
    """Return the models in these folders, in their order.

    Raises
    ------
    ModelError
        When a folder is no model, or an incomplete or altered one.
    ConfigurationError
        When two of them have the same feature space or the same features: one is then of no use.
    """
    models: list[GenreModel] = []
    for folder in folders:
        model = GenreModel(folder)
        for other in models:
            if other.space_id == model.space_id:
                raise ConfigurationError(
                    f"models: {other.folder} and {folder} have the same feature space, {model.space_id}: name one"
                )
            if other.feature_id == model.feature_id:
                raise ConfigurationError(
                    f"models: {other.folder} and {folder} are two models of the same features, "
                    f"{model.feature_id}: name one"
                )
        models.append(model)
    return tuple(models)

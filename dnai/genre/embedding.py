"""The raw features of ``musicnn200``: what the last hidden layer of a pretrained network answers to a song.

The network is MSD_musicnn (Pons and Serra, "musicnn: pre-trained convolutional neural networks for
music audio tagging", 2019), which `dnai.genre.musicnn` converts once. Running it needs LiteRT alone.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from dnai.audio.mel import N_MELS, PATCH_DEFINITION, PATCH_FRAMES, PatchCutter
from dnai.audio.readers import quiet_stderr
from dnai.errors import ModelError, UnusableAudioError
from dnai.genre.extractor import Extractor
from dnai.genre.model import file_sha256

EMBEDDING_FILE = "embedding.tflite"
EMBEDDING_UNITS: Final = 200
TAGS: Final = 50
EMBEDDING_NAMES: Final[tuple[str, ...]] = tuple(f"e{i}" for i in range(EMBEDDING_UNITS))

PATCHES: Final = 12
"""The most patches of a song that the network hears."""

_DEFINITION_BEGINS: Final = (
    f"MSD_musicnn, mean embedding over at most {PATCHES} patches; {PATCH_DEFINITION}; SHA-256 of {EMBEDDING_FILE}: "
)


def musicnn_definition(embedding: Path) -> str:
    """Return what the numbers are, in words, when this file measures them; part of a feature space's id.

    Raises
    ------
    ModelError
        When the file is missing.
    """
    try:
        return _DEFINITION_BEGINS + file_sha256(embedding)
    except OSError as error:
        raise ModelError(f"{embedding} cannot be read: {error.strerror}") from error


def is_musicnn_definition(definition: str) -> bool:
    """Return whether `definition` is `musicnn_definition` of some file, be it this folder's or another."""
    return definition.startswith(_DEFINITION_BEGINS)


class EmbeddingNetwork:
    """The converted network; its methods may be called from several threads, one of which it serves at a time.

    Parameters
    ----------
    path
        The file ``embedding.tflite``.

    Raises
    ------
    ModelError
        When it is missing, or no network that takes patches and answers embedding and tags.
    """

    def __init__(self, path: Path) -> None:
        self._interpreter = _open_interpreter(path)
        [taken, *others] = self._interpreter.get_input_details()
        given = {int(output["shape"][-1]): output["index"] for output in self._interpreter.get_output_details()}
        if others or tuple(taken["shape"]) != (1, PATCH_FRAMES, N_MELS) or given.keys() != {EMBEDDING_UNITS, TAGS}:
            raise ModelError(
                f"{path} does not answer {EMBEDDING_UNITS} numbers and {TAGS} tags to {PATCH_FRAMES} frames "
                f"of {N_MELS} bands: it is not what dnai model import-musicnn writes"
            )
        self._input = taken["index"]
        self._embedding, self._tags = given[EMBEDDING_UNITS], given[TAGS]
        self._lock = threading.Lock()

    def run(self, patches: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the embeddings ``(p, 200)`` and the tags' probabilities ``(p, 50)`` of patches ``(p, 187, 96)``."""
        embeddings = np.empty((len(patches), EMBEDDING_UNITS), dtype=np.float32)
        tags = np.empty((len(patches), TAGS), dtype=np.float32)
        with self._lock:
            # One at a time: what is between the layers of one patch is 10 MB, and several at once are no faster.
            for i, patch in enumerate(patches):
                self._interpreter.set_tensor(self._input, patch[np.newaxis])
                self._interpreter.invoke()
                embeddings[i] = self._interpreter.get_tensor(self._embedding)[0]
                tags[i] = self._interpreter.get_tensor(self._tags)[0]
        return embeddings, tags


class MusicnnEmbedding(Extractor):
    """Measures the mean embedding over the patches of a song.

    Parameters
    ----------
    path
        The file ``embedding.tflite``.
    feature_id
        The id of the raw features, as `GenreModel.feature_id` has it.

    Raises
    ------
    ModelError
        As `EmbeddingNetwork`.
    """

    def __init__(self, path: Path, feature_id: str) -> None:
        self.feature_id = feature_id
        self._network = EmbeddingNetwork(path)

    def start(self) -> SongEmbedding:
        """Return what measures the mean embedding of one song."""
        return SongEmbedding(self._network)


class SongEmbedding:
    """The mean embedding of one song: `add` all of it, `rewind`, `add` all of it again, `finish`.

    Where the patches lie is known only when the song has ended. The network takes as long for an hour as for
    a minute: at most `PATCHES` patches are heard.
    """

    def __init__(self, network: EmbeddingNetwork) -> None:
        self._network = network
        self._samples = 0
        self._cutter: PatchCutter | None = None

    def add(self, y: NDArray[np.float32]) -> None:
        """Count, and the second time hear, the next samples, shape ``(n,)``."""
        if self._cutter is None:
            self._samples += len(y)
        else:
            self._cutter.add(y)

    def rewind(self) -> bool:
        """Be told that the song is over; return True; raises `UnusableAudioError` when there was no sample."""
        self._cutter = PatchCutter(self._samples, count=PATCHES)
        return True

    def finish(self) -> NDArray[np.float64]:
        """Return the mean embedding, shape ``(200,)``.

        Raises
        ------
        UnusableAudioError
            When the song has not been heard twice, or a sample is not a finite number.
        """
        if self._cutter is None:
            raise UnusableAudioError("nothing can be measured: the song has not ended")
        embeddings, _ = self._network.run(self._cutter.patches())
        mean: NDArray[np.float64] = embeddings.mean(axis=0, dtype=np.float64)
        if not np.isfinite(mean).all():
            raise UnusableAudioError("nothing can be measured: the embedding is not finite")
        return mean


def _open_interpreter(path: Path) -> Any:  # noqa: ANN401  # LiteRT ships no types
    if not path.is_file():
        raise ModelError(f"{path} is missing: the model folder is incomplete")
    try:
        # The default delegate takes less than half the time, but says on stderr that it is there.
        with quiet_stderr():
            interpreter = Interpreter(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is not a network that LiteRT can run: {error}") from error
    return interpreter

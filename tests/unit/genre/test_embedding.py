"""The pretrained network as it is shipped: what it answers, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from dnai.audio.decode import SAMPLE_RATE
from dnai.audio.mel import spread_patches
from dnai.config import PROJECT_DIR
from dnai.errors import ModelError, UnusableAudioError
from dnai.genre.embedding import (
    EMBEDDING_FILE,
    EMBEDDING_NAMES,
    PATCHES,
    EmbeddingNetwork,
    MusicnnEmbedding,
    musicnn_definition,
)
from dnai.genre.extraction import open_extractor
from dnai.genre.model import GenreModel, file_sha256
from dnai.genre.reference import check_network
from tests.unit.genre.conftest import MODEL

SHIPPED = PROJECT_DIR / "models" / "musicnn200" / EMBEDDING_FILE
REFERENCE = PROJECT_DIR.parent / "shared" / "data" / "musicnn" / "reference.json"


@pytest.fixture(scope="module")
def extractor() -> MusicnnEmbedding:
    """The one that is shipped."""
    return MusicnnEmbedding(SHIPPED, "musicnn200-0")


@dataclass(frozen=True)
class FolderOfModel:
    """As much of a `GenreModel` as says how its features are measured."""

    folder: Path
    feature_definition: str
    name: str = "musicnn200"
    feature_id: str = "musicnn200-0"

    def opened(self) -> Any:
        """Its extractor."""
        return open_extractor(cast(GenreModel, self))


def tone(duration_s: float, hz: float = 440.0) -> np.ndarray:
    t = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the recorded answers are not part of the project")
def test_the_shipped_network_answers_as_the_original_does() -> None:
    """Embedding and tags of a sine, noise, a chirp and clicks, to 1e-3."""
    deviations = check_network(SHIPPED, REFERENCE)
    assert [deviation.name for deviation in deviations] == ["sine440", "noise", "chirp", "clicks"]
    assert max(deviation.embedding for deviation in deviations) < 1e-3


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the recorded answers are not part of the project")
def test_a_song_has_the_recorded_embedding_of_its_sound(extractor: MusicnnEmbedding) -> None:
    """The sine, measured from samples at the rate of decoded songs."""
    recorded = {entry["name"]: entry for entry in json.loads(REFERENCE.read_text(encoding="utf-8"))}
    found = extractor.extract(tone(9))
    assert found.shape == (len(EMBEDDING_NAMES),)
    assert found.dtype == np.float64
    assert cosine(found, np.array(recorded["sine440"]["embedding"])) > 0.999


def test_another_answer_than_the_recorded_one_is_told(tmp_path: Path) -> None:
    """With the signal and by how much; so is a file that has no answers."""
    path = tmp_path / "reference.json"
    path.write_text(json.dumps([{"name": "sine440", "embedding": [0.0] * 200, "tags": {str(i): 0 for i in range(50)}}]))
    with pytest.raises(ModelError, match=r"does not answer 'sine440' .* off by up to [1-9]"):
        check_network(SHIPPED, path)
    path.write_text(json.dumps([{"name": "drums", "embedding": [], "tags": {}}]))
    with pytest.raises(ModelError, match=r"answers to 'drums'; known are sine440"):
        check_network(SHIPPED, path)
    path.write_text("[{}]")
    with pytest.raises(ModelError, match=r"reference\.json cannot be read"):
        check_network(SHIPPED, path)


def test_a_song_has_the_mean_over_its_patches(extractor: MusicnnEmbedding) -> None:
    """Here of half a minute whose halves sound different."""
    y = np.concatenate([tone(15), np.random.default_rng(0).uniform(-0.5, 0.5, 15 * SAMPLE_RATE).astype(np.float32)])
    patches = spread_patches(y, count=PATCHES)
    embeddings, tags = EmbeddingNetwork(SHIPPED).run(patches)
    assert embeddings.shape == (len(patches), 200)
    assert tags.shape == (len(patches), 50)
    assert tags.min() >= 0
    assert tags.max() <= 1
    np.testing.assert_allclose(extractor.extract(y), embeddings.mean(axis=0), atol=1e-5)
    assert cosine(embeddings[0], embeddings[-1]) < 0.9


def test_answers_do_not_depend_on_what_was_heard_before(extractor: MusicnnEmbedding) -> None:
    """To the last bit."""
    first = extractor.extract(tone(4))
    extractor.extract(tone(4, hz=3000))
    np.testing.assert_array_equal(extractor.extract(tone(4)), first)


@pytest.mark.parametrize("duration_s", [0.1, 0.3, 1.0, 2.5])
def test_a_short_sound_is_heard_as_a_longer_one_like_it(extractor: MusicnnEmbedding, duration_s: float) -> None:
    """A tone that lasts whole periods, against three seconds of the same."""
    assert cosine(extractor.extract(tone(duration_s)), extractor.extract(tone(3.1))) > 0.99


def test_silence_has_an_embedding(extractor: MusicnnEmbedding) -> None:
    """Finite numbers; whether silence is a song is decided elsewhere."""
    assert np.isfinite(extractor.extract(np.zeros(5 * SAMPLE_RATE, dtype=np.float32))).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(extractor: MusicnnEmbedding, value: float) -> None:
    """Rather than kept in a catalogue."""
    y = tone(4)
    y[30_000] = value
    with pytest.raises(UnusableAudioError):
        extractor.extract(y)


def test_nothing_is_written_while_the_network_is_opened(capfd: pytest.CaptureFixture[str]) -> None:
    """LiteRT would announce its delegate on stderr, in the middle of a progress bar."""
    EmbeddingNetwork(SHIPPED)
    assert capfd.readouterr() == ("", "")


def test_a_missing_network_is_told_by_name(tmp_path: Path) -> None:
    """By whom it is asked for as by the definition of the features."""
    with pytest.raises(ModelError, match=r"embedding\.tflite is missing"):
        EmbeddingNetwork(tmp_path / EMBEDDING_FILE)
    with pytest.raises(ModelError, match=r"embedding\.tflite cannot be read: No such file"):
        FolderOfModel(tmp_path, musicnn_definition(SHIPPED)).opened()


@pytest.mark.parametrize("content", [b"", b"no network at all", SHIPPED.read_bytes()[:100_000]])
def test_a_damaged_network_is_told_by_name(tmp_path: Path, content: bytes) -> None:
    """Empty, something else, or cut off."""
    (tmp_path / EMBEDDING_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"embedding\.tflite is not a network that LiteRT can run"):
        EmbeddingNetwork(tmp_path / EMBEDDING_FILE)


def test_another_network_in_its_place_is_told_by_name(tmp_path: Path) -> None:
    """Here the head of the other model."""
    shutil.copy(MODEL / "network.tflite", tmp_path / EMBEDDING_FILE)
    with pytest.raises(ModelError, match=r"embedding\.tflite does not answer 200 numbers"):
        EmbeddingNetwork(tmp_path / EMBEDDING_FILE)


def test_the_definition_names_the_file_and_how_much_is_heard() -> None:
    """A space's id is made from it, so that it changes when any of this does."""
    definition = musicnn_definition(SHIPPED)
    assert file_sha256(SHIPPED) in definition
    for said in (f"at most {PATCHES} patches", "187 frames", "n_mels=96", "hop_length=256", "sr=16000", "10000"):
        assert said in definition


def test_a_model_gets_the_extractor_that_its_definition_asks_for(tmp_path: Path) -> None:
    """With the id of its features; and none when the network in its folder is another one."""
    shutil.copy(SHIPPED, tmp_path)
    model = FolderOfModel(tmp_path, musicnn_definition(SHIPPED))
    opened = model.opened()
    assert isinstance(opened, MusicnnEmbedding)
    assert opened.feature_id == "musicnn200-0"
    with (tmp_path / EMBEDDING_FILE).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match=r"embedding\.tflite is not the network that the features of musicnn200"):
        model.opened()


def test_features_that_nobody_here_measures_are_refused(tmp_path: Path) -> None:
    """As those of a later version, which hears more patches."""
    definition = musicnn_definition(SHIPPED).replace(f"at most {PATCHES} ", "at most 999 ")
    with pytest.raises(ModelError, match="which this program does not measure"):
        FolderOfModel(tmp_path, definition).opened()

"""The 26 features, against plain librosa calls and against what can be worked out by hand."""

from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest

from dnai.audio.decode import SAMPLE_RATE
from dnai.audio.features import FEATURE_DEFINITION, FEATURE_NAMES, N_FFT, extract_features, warm_up
from dnai.errors import UnusableAudioError
from tests.sounds import Sound, clicks, music, noise, silence, tone

INDEX = {name: i for i, name in enumerate(FEATURE_NAMES)}


def plain_librosa(y: Sound) -> np.ndarray:
    """The seven calls as anybody would write them, and the means over all frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa warns of very short and toneless sounds
        rows = [
            librosa.feature.chroma_stft(y=y, sr=SAMPLE_RATE),
            librosa.feature.rms(y=y),
            librosa.feature.spectral_centroid(y=y, sr=SAMPLE_RATE),
            librosa.feature.spectral_bandwidth(y=y, sr=SAMPLE_RATE),
            librosa.feature.spectral_rolloff(y=y, sr=SAMPLE_RATE),
            librosa.feature.zero_crossing_rate(y),
        ]
        mfcc = librosa.feature.mfcc(y=y, sr=SAMPLE_RATE)
    return np.array([*(row.mean() for row in rows), *mfcc.mean(axis=1)])


@pytest.mark.parametrize(
    "y",
    [
        pytest.param(music(duration_s=5), id="music"),
        pytest.param(noise(duration_s=2), id="noise"),
        pytest.param(tone(440, duration_s=2), id="sine"),
        pytest.param(clicks(duration_s=2), id="clicks"),
        pytest.param(tone(amplitude=0.001), id="very quiet"),
        pytest.param(music(duration_s=1)[:-137], id="odd length"),
        pytest.param(music(duration_s=1)[:2049], id="a sample more than a frame"),
        pytest.param(music(duration_s=1)[:2048], id="as long as a frame"),
        pytest.param(noise()[:400], id="one frame"),
        pytest.param(noise()[:1], id="one sample"),
        pytest.param(np.concatenate([silence(), music(), silence()]), id="silence around"),
    ],
)
def test_features_are_what_plain_librosa_calls_give(y: Sound) -> None:
    """One spectrum shared by all features changes no number by more than 1e-4."""
    np.testing.assert_allclose(extract_features(y), plain_librosa(y), rtol=1e-4, atol=1e-4)


def test_there_are_26_features_named_as_documented() -> None:
    """The order of the names is the order of the numbers, and part of the feature space."""
    assert FEATURE_NAMES[:6] == (
        "chroma_stft",
        "rms",
        "spectral_centroid",
        "spectral_bandwidth",
        "rolloff",
        "zero_crossing_rate",
    )
    assert FEATURE_NAMES[6:] == tuple(f"mfcc{i}" for i in range(1, 21))
    assert extract_features(noise()).shape == (26,)
    assert FEATURE_DEFINITION.endswith(",".join(FEATURE_NAMES))


def test_the_centroid_of_a_sine_is_its_frequency() -> None:
    """A sine in the middle of a bin has its centroid there, and a roll-off at that bin."""
    freq_hz = 100 * SAMPLE_RATE / N_FFT
    features = extract_features(tone(freq_hz, duration_s=4))
    assert features[INDEX["spectral_centroid"]] == pytest.approx(freq_hz, rel=0.02)
    assert features[INDEX["rolloff"]] == pytest.approx(freq_hz, rel=0.03)


def test_rms_and_zero_crossings_of_a_sine_are_those_of_the_textbook() -> None:
    """Amplitude over the root of two; two crossings a period."""
    features = extract_features(tone(441, duration_s=10, amplitude=0.5))
    assert features[INDEX["rms"]] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert features[INDEX["zero_crossing_rate"]] == pytest.approx(2 * 441 / SAMPLE_RATE, rel=0.01)


def test_silence_has_no_loudness_no_centroid_and_the_floor_of_the_mel_spectrum() -> None:
    """All is 0 but the first MFCC: −100 dB in each of 128 bands, times the root of 128."""
    features = extract_features(silence())
    assert features[: INDEX["mfcc1"]].tolist() == [0.0] * 6
    assert features[INDEX["mfcc1"]] == pytest.approx(-100 * np.sqrt(128), rel=1e-5)
    np.testing.assert_allclose(features[INDEX["mfcc2"] :], 0, atol=1e-3)


def test_means_are_over_the_whole_track_and_not_its_beginning() -> None:
    """Two equal halves, one loud and one silent: half the loudness."""
    loud = extract_features(tone(duration_s=10))
    half = extract_features(np.concatenate([tone(duration_s=10), silence(duration_s=10)]))
    assert half[INDEX["rms"]] == pytest.approx(loud[INDEX["rms"]] / 2, rel=0.02)


def test_louder_is_only_louder() -> None:
    """Half the amplitude: half the RMS, the same centroid, 6 dB less in the first MFCC."""
    loud, soft = extract_features(noise(amplitude=0.4)), extract_features(noise(amplitude=0.2))
    assert soft[INDEX["rms"]] == pytest.approx(loud[INDEX["rms"]] / 2, rel=1e-5)
    assert soft[INDEX["spectral_centroid"]] == pytest.approx(loud[INDEX["spectral_centroid"]], rel=1e-5)
    assert loud[INDEX["mfcc1"]] - soft[INDEX["mfcc1"]] == pytest.approx(20 * np.log10(2) * np.sqrt(128), rel=1e-3)


@pytest.mark.parametrize("shape", [(0,), (2, 4096)])
def test_what_is_no_row_of_samples_is_refused_with_its_shape(shape: tuple[int, ...]) -> None:
    """Nothing, and two channels: the message names the shape."""
    with pytest.raises(UnusableAudioError, match=r"shape \(" + str(shape[0])):
        extract_features(np.zeros(shape, dtype=np.float32))


def test_warming_up_gives_no_warning_and_no_error() -> None:
    """It is called before the first file, on any machine."""
    warm_up()

"""What a channel repeats from another is not its own speech; what both say at once is."""

from pathlib import Path

import numpy as np
import pytest

import speechxfer
from speechxfer.data import VAD_FRAME, VoiceActivity, stream_audio
from speechxfer.transcription.channels import RepeatFilter

CALL = Path(speechxfer.__file__).parent / "assets" / "demo" / "call.flac"


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    samples = np.concatenate([*stream_audio(CALL, 16_000)])[: 20 * 16_000]
    return samples[: len(samples) // VAD_FRAME * VAD_FRAME]


def speech(samples: np.ndarray) -> np.ndarray:
    return np.stack([VoiceActivity().push(np.ascontiguousarray(one, dtype=np.float32)) for one in samples.T], axis=1)


def spoken(probabilities: np.ndarray) -> int:
    return int((probabilities > 0.5).sum())


@pytest.mark.parametrize("level_db", [-6, -25])
@pytest.mark.parametrize("lag", [0, 2400])
def test_what_leaks_from_the_other_side_is_not_speech(call, level_db, lag):
    agent = call[:, 0]
    rng = np.random.default_rng(0)
    leaked = np.roll(agent, lag) * 10 ** (level_db / 20) + 1e-4 * rng.standard_normal(len(agent))
    both = np.stack([agent, leaked], axis=1).astype(np.float32)
    before = speech(both)
    after = RepeatFilter(2)(both, before)
    assert spoken(before[:, 1]) > 100  # the detector alone would take it for speech
    assert spoken(after[:, 1]) <= 0.02 * spoken(before[:, 1])
    np.testing.assert_array_equal(after[:, 0], before[:, 0])


def test_a_call_keeps_both_sides(call):
    before = speech(call)
    np.testing.assert_array_equal(RepeatFilter(2)(call, before), before)


def test_who_talks_at_the_same_time_is_kept(call):
    agent = call[:, 0]
    customer = np.roll(call[:, 1], -4 * 16_000)  # now over the agent's first turn
    both = np.stack([agent, 0.25 * customer], axis=1).astype(np.float32)
    before = speech(both)
    assert ((before > 0.5).all(axis=1)).sum() > 50
    after = RepeatFilter(2)(both, before)
    assert spoken(after[:, 1]) >= 0.95 * spoken(before[:, 1])


@pytest.mark.parametrize("gain", [1.0, 0.95])
def test_of_two_that_are_the_same_the_first_is_kept(call, gain):
    same = np.stack([call[:, 0], gain * call[:, 0]], axis=1).astype(np.float32)
    before, repeats = speech(same), RepeatFilter(2)
    after = repeats(same, before)
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert spoken(after[:, 1]) == 0
    assert repeats.copied[1] == repeats.spoken[1] and repeats.copied[0] == 0

"""Voice activity: the stream gives what the package itself gives, in blocks of any size."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import speechxfer
from speechxfer.data import VAD_FRAME, VoiceActivity, stream_audio

CALL = Path(speechxfer.__file__).parent / "assets" / "demo" / "call.flac"


@pytest.fixture(scope="module")
def agent() -> np.ndarray:
    samples = np.concatenate([*stream_audio(CALL, 16_000, 0)])[: 40 * 16_000, 0]
    return np.ascontiguousarray(samples)


def test_it_is_the_detector_of_the_package(agent, tmp_path):
    np.save(tmp_path / "agent.npy", agent)
    # In a process of its own: importing it sets torch's threads.
    script = (
        "import sys, pathlib, numpy, silero_vad; from silero_vad import SileroVADSequence; "
        "weights = pathlib.Path(silero_vad.__file__).parent / 'data/silero_vad_16k_sequence.onnx'; "
        "numpy.save(sys.argv[2], SileroVADSequence(str(weights)).audio_forward(numpy.load(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "agent.npy", tmp_path / "theirs.npy"], check=True)
    activity = VoiceActivity()
    ours = np.concatenate([activity.push(agent), activity.finish()])
    np.testing.assert_allclose(ours, np.load(tmp_path / "theirs.npy"), atol=1e-5, rtol=0)


@pytest.mark.parametrize("block", [100, 511, 7777])
def test_blocks_do_not_matter(agent, block):
    whole, parts = VoiceActivity(), VoiceActivity()
    samples = agent[: 10 * 16_000 + 17]
    in_parts = [parts.push(samples[first : first + block]) for first in range(0, len(samples), block)]
    expected = np.concatenate([whole.push(samples), whole.finish()])
    assert len(expected) == -(-len(samples) // VAD_FRAME)
    np.testing.assert_allclose(np.concatenate([*in_parts, parts.finish()]), expected, atol=1e-5, rtol=0)


def test_turns_are_found(agent):
    speech = VoiceActivity().push(agent)
    assert speech[10:80].mean() > 0.9 and speech[125:220].mean() < 0.1  # the agent's first turn, and the customer's

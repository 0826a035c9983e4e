"""The package's call as a telephone delivers it, and its model, shared."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

import speechxfer
from speechxfer.calls import Batcher
from speechxfer.data import encode_ulaw
from speechxfer.transcription import Recogniser

DEMO = Path(speechxfer.__file__).parent / "assets" / "demo"
SECONDS = 16
CHANNELS = ("agent", "customer")
PACKET = 160


@pytest.fixture(scope="session")
def call() -> dict[str, bytes]:
    """Return the first 16 s of the call, µ-law, per channel."""
    samples, rate = soundfile.read(DEMO / "call.flac", dtype="int16", frames=SECONDS * 8_000)
    assert rate == 8_000
    return {name: encode_ulaw(np.ascontiguousarray(one)).tobytes() for name, one in zip(CHANNELS, samples.T, strict=True)}


@pytest.fixture(scope="session")
def packets(call) -> list[tuple[str, bytes, float]]:
    """Return the same as packets of 20 ms, both channels in turns."""
    starts = range(0, SECONDS * 8_000, PACKET)
    return [(name, call[name][start : start + PACKET], start / 8_000) for start in starts for name in CHANNELS]


@pytest.fixture(scope="session")
def shared_model():
    batcher = Batcher(Recogniser("tiny", precision="fp32"))
    yield batcher
    batcher.close()

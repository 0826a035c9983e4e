"""A call, and what the package's own session hears in it: the measure of every framework's."""

import math

import numpy as np
import pytest
import soundfile

import speechxfer
from speechxfer.calls import Batcher, CallSession, Final
from speechxfer.transcription import Recogniser

RATE = 8_000
SECONDS = 16


@pytest.fixture(scope="module")
def model():
    batcher = Batcher(Recogniser("tiny", precision="fp32"))
    yield batcher
    batcher.close()


@pytest.fixture(scope="module")
def customer():
    """Return what the customer says in the first 16 s of the call: two sentences, 16-bit at 8 kHz."""
    demo = speechxfer.__path__[0] + "/assets/demo/call.flac"
    samples, rate = soundfile.read(demo, dtype="int16", frames=SECONDS * RATE)
    assert rate == RATE
    return np.ascontiguousarray(samples[:, 1])


@pytest.fixture(scope="module")
def segments(model):
    """Give what a call hears, of samples and their rate."""

    def listen(samples, rate):
        session = CallSession(model, ("user",), encoding="pcm16", sampling_rate=rate, partial_seconds=math.inf)
        events = [*session.push("user", samples.astype("<i2").tobytes()), *session.finish()]
        return [event.segment for event in events if isinstance(event, Final)]

    return listen


@pytest.fixture(scope="module")
def heard(segments, customer):
    found = segments(customer, RATE)
    assert [segment.text.split()[-1] for segment in found] == ["monday", "eight"]
    return found

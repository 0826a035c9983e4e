"""Speech from text: the same samples whenever it is made, and never in another voice than the one asked for."""

import time

import numpy as np
import pytest

from speechxfer.data import SpeechRequest, speak
from speechxfer.errors import SynthesisError

pytest.importorskip("espeakng_loader")


def test_samples_are_a_function_of_the_requests():
    requests = [SpeechRequest("good morning", "en-us+f3"), SpeechRequest("good morning", "en-gb-scotland", pitch=70)]
    first = speak(requests)
    time.sleep(1.1)  # eSpeak NG's own seed is the clock's second
    again = speak(requests)
    assert [samples.dtype for samples in first] == [np.int16] * 2
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len(first[0]) > 10_000 and np.abs(first[0]).max() > 1000
    assert not np.array_equal(first[0], first[1][: len(first[0])])


def test_slow_speech_is_longer_and_an_empty_text_is_silent():
    slow, quick, nothing = speak(
        [SpeechRequest("un drum lung și greu", "ro", wpm) for wpm in (100, 250)] + [SpeechRequest("", "ro")]
    )
    assert len(slow) > 1.5 * len(quick)
    assert not nothing.any()


@pytest.mark.parametrize("voice", ["xx", "en-us+nobody"])
def test_an_unknown_voice_is_an_error(voice):
    with pytest.raises(SynthesisError, match=f"no voice '{voice}'".replace("+", r"\+")):
        speak([SpeechRequest("hello", "en-us"), SpeechRequest("hello", voice)])

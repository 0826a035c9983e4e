"""The package's call as Pipecat's frames: a pipeline hears what a call hears, and turns are where it says."""

import asyncio
import math
import threading

import numpy as np
import pytest

from speechxfer.calls import Partial, Redactor
from speechxfer.data import resample
from speechxfer.errors import DataError, ModelError

pytest.importorskip("pipecat", reason="Pipecat is not installed: pip install 'speechxfer[pipecat]'")

from pipecat.frames.frames import (
    CancelFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    STTMetadataFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.services.settings import STTSettings
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.transcriptions.language import Language
from pipecat.turns.user_turn_processor import UserTurnProcessor
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies

from speechxfer.integrations import PipecatSTTService

RATE = 8_000
LETTERS = {
    ProposedUserStartedSpeakingFrame: "(",
    InterimTranscriptionFrame: "i",
    TranscriptionFrame: "f",
    ProposedUserStoppedSpeakingFrame: ")",
}


def frames(samples, rate=RATE, channels=1):
    """Cut samples into frames of 20 ms; more channels say the same."""
    both = np.repeat(samples[:, None], channels, axis=1)
    return [InputAudioRawFrame(both[i : i + rate // 50].tobytes(), rate, channels) for i in range(0, len(both), rate // 50)]


def passed(service, sent, **how):
    """Give what comes out of a pipeline, downstream and up."""
    return asyncio.run(asyncio.wait_for(run_test(service, frames_to_send=sent, start_timeout=10, **how), 60))


def finals(down):
    return [frame for frame in down if isinstance(frame, TranscriptionFrame)]


def turns(down):
    return "".join(LETTERS.get(type(frame), "") for frame in down)


def test_a_pipeline_hears_what_a_call_hears(model, customer, heard):
    down, up = passed(PipecatSTTService(model, partial_seconds=math.inf), frames(customer))
    assert turns(down) == "(f)(f)" and turns(up) == "()()" and not any(isinstance(one, ErrorFrame) for one in up)
    assert [frame.result for frame in finals(down)] == heard
    assert [(frame.text, frame.language) for frame in finals(down)] == [(one.text, Language.EN) for one in heard]
    assert sum(isinstance(one, InputAudioRawFrame) for one in down) == len(frames(customer))
    (metadata,) = (one for one in down if isinstance(one, STTMetadataFrame))
    assert isinstance(metadata.user_turn_strategies, ExternalUserTurnStrategies) and metadata.ttfs_p99_latency == 0


def test_any_rate_and_more_channels(model, segments, customer):
    rate = 48_000
    fine = (32767 * resample(customer.astype(np.float32) / 32768, RATE, rate)).astype(np.int16)
    for channels in (1, 2):
        down, _ = passed(PipecatSTTService(model, partial_seconds=math.inf), frames(fine, rate, channels))
        assert [frame.result for frame in finals(down)] == segments(fine, rate)


def test_what_is_being_said_is_told_while_it_is_said(model, customer, heard):
    sent = frames(customer)
    middle = round(4.6 * 50)  # into the first sentence
    down, _ = passed(PipecatSTTService(model), [*sent[:middle], SleepFrame(3), *sent[middle:]])
    assert turns(down).startswith("(i") and turns(down).replace("i", "") == "(f)(f)"
    interims = [frame for frame in down if isinstance(frame, InterimTranscriptionFrame)]
    assert all(one.text and isinstance(one.result, Partial) for one in interims) and interims[0].result.end < 4.7
    assert finals(down)[-1].text.split()[-1] == heard[-1].text.split()[-1]


def test_turns_are_those_of_pipecat(model, customer):
    strategies = ExternalUserTurnStrategies()
    turned = UserTurnProcessor(user_turn_strategies=strategies)
    down, _ = passed(Pipeline([PipecatSTTService(model, partial_seconds=math.inf), turned]), [*frames(customer), SleepFrame(3)])
    told = [one for one in down if isinstance(one, UserStartedSpeakingFrame | UserStoppedSpeakingFrame)]
    assert [type(one) for one in told[:2]] == [UserStartedSpeakingFrame, UserStoppedSpeakingFrame]


def test_redacted_texts_stay_redacted(model, customer):
    down, _ = passed(PipecatSTTService(model, redact=Redactor()), frames(customer))
    texts = [one.text for one in down if isinstance(one, TranscriptionFrame | InterimTranscriptionFrame)]
    assert "[NUMBER]" in finals(down)[-1].text and not any("four seven two" in text for text in texts)


def test_the_language_is_the_one_that_was_set_last(model, customer):
    for code, expected in (("ro", Language.RO), ("sindarin", None)):
        change = STTUpdateSettingsFrame(delta=STTSettings(language=code))
        down, _ = passed(PipecatSTTService(model, partial_seconds=math.inf), [change, SleepFrame(), *frames(customer)])
        assert {frame.language for frame in finals(down)} == {expected}


def test_who_is_muted_is_not_heard(model, customer):
    down, _ = passed(PipecatSTTService(model), [STTMuteFrame(mute=True), SleepFrame(), *frames(customer)])
    assert turns(down) == ""


def test_an_error_of_the_model_is_told_once(model, customer, monkeypatch):
    def fail(*_):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(model._recogniser, "answers", fail)
    service = PipecatSTTService(model)
    down, up = passed(service, [*frames(customer), SleepFrame(2), *frames(customer)])
    (error,) = (one for one in up if isinstance(one, ErrorFrame))
    assert error.error == "the device is gone" and isinstance(error.exception, RuntimeError) and not service.is_usable
    assert not finals(down)


def test_what_is_wrong_is_said_before_anybody_speaks(model, monkeypatch):
    before = threading.active_count()
    for one in (model, "tiny"):
        with pytest.raises(DataError):
            PipecatSTTService(one, hotwords=["Q7"])
    assert threading.active_count() == before
    silence = np.zeros(1920, np.int16)
    for sent, what in (
        (frames(silence, 96_000), "sampling rate of 96000 Hz; expected 8,000 to 48,000"),
        ([*frames(silence), *frames(silence, 16_000)], "sampling rate of 16000 Hz; expected 8000, as those before"),
    ):
        _, up = passed(PipecatSTTService(model), sent)
        assert [what in one.error for one in up if isinstance(one, ErrorFrame)] == [True]
    monkeypatch.setattr(type(model.model), "writes", property(lambda _: False))
    with pytest.raises(ModelError, match="writes text"):
        PipecatSTTService(model)


def test_a_model_of_its_own_ends_with_it_even_if_it_is_cancelled(customer):
    before = threading.active_count()
    down, _ = passed(PipecatSTTService("tiny"), [*frames(customer), SleepFrame(0.1), CancelFrame()], send_end_frame=False)
    assert len(finals(down)) < 2 and threading.active_count() == before

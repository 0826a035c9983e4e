"""The package's call as LiveKit's frames: its streams, one-shot recognition and a session of an agent hear what a call hears."""

import asyncio
import math
import re
import threading

import numpy as np
import pytest

from speechxfer.calls import Redactor
from speechxfer.data import resample
from speechxfer.errors import DataError, ModelError

pytest.importorskip("livekit.agents", reason="LiveKit Agents is not installed: pip install 'speechxfer[livekit]'")

from livekit import rtc
from livekit.agents import Agent, AgentSession, APIError
from livekit.agents.stt import SpeechEventType
from livekit.agents.voice.io import AudioInput

from speechxfer.integrations import LiveKitSTT

RATE = 8_000
SECONDS = 16
START, INTERIM, FINAL, END = (
    SpeechEventType.START_OF_SPEECH,
    SpeechEventType.INTERIM_TRANSCRIPT,
    SpeechEventType.FINAL_TRANSCRIPT,
    SpeechEventType.END_OF_SPEECH,
)


def frames(samples, rate=RATE, size=RATE // 50, channels=1):
    """Cut samples into frames; more channels say the same."""
    both = np.repeat(samples[:, None], channels, axis=1)
    parts = [both[start : start + size] for start in range(0, len(both), size)]
    return [rtc.AudioFrame(part.tobytes(), rate, channels, len(part)) for part in parts]


def streamed(stt, pushed, offset=None):
    """Give the events of a stream of frames."""

    async def run():
        async with stt.stream() as stream:
            stream.start_time_offset = offset or 0.0
            for frame in pushed:
                stream.push_frame(frame)
            stream.end_input()
            return [event async for event in stream]

    return asyncio.run(asyncio.wait_for(run(), 60))


def finals(events):
    return [event.alternatives[0] for event in events if event.type is FINAL]


def assert_same(results, segments, offset=0.0):
    assert [result.text for result in results] == [segment.text for segment in segments]
    for result, segment in zip(results, segments, strict=True):
        assert result.language == "en" and result.confidence == segment.confidence
        assert (result.start_time, result.end_time) == pytest.approx((segment.start + offset, segment.end + offset), abs=2e-3)
        assert [*result.words] == [word.text for word in segment.words]
        for told, word in zip(result.words, segment.words, strict=True):
            assert (told.start_time, told.end_time) == pytest.approx((word.start + offset, word.end + offset), abs=2e-3)
            assert told.confidence == word.confidence and told.start_time_offset == pytest.approx(offset, abs=2e-3)


@pytest.mark.parametrize("size", [RATE // 50, 777, SECONDS * RATE], ids=["20 ms", "odd", "whole"])
def test_a_stream_hears_what_a_call_hears_however_it_is_cut(model, customer, heard, size):
    events = streamed(LiveKitSTT(model, partial_seconds=math.inf), frames(customer, size=size))
    assert [event.type for event in events] == [START, FINAL, END] * 2
    assert_same(finals(events), heard)


def test_any_rate_and_more_channels(model, segments, customer):
    rate = 48_000
    fine = (32767 * resample(customer.astype(np.float32) / 32768, RATE, rate)).astype(np.int16)
    expected = segments(fine, rate)
    assert len(expected) == 2
    for channels in (1, 2):
        stt = LiveKitSTT(model, partial_seconds=math.inf)
        assert_same(finals(streamed(stt, frames(fine, rate, rate // 100, channels))), expected)


def test_times_are_those_of_the_session_that_was_there_before(model, customer, heard):
    stt = LiveKitSTT(model, partial_seconds=math.inf)
    assert_same(finals(streamed(stt, frames(customer), offset=100.0)), heard, 100.0)


def test_what_is_being_said_is_told_while_it_is_said(model, customer):
    async def run():
        events = []
        async with LiveKitSTT(model).stream() as stream:
            pushed = iter(frames(customer))
            for sentence, seconds in enumerate((4.6, 13.3 - 4.6), 1):  # into the middle of each
                for _ in range(round(50 * seconds)):
                    stream.push_frame(next(pushed))
                while [event.type for event in events].count(START) < sentence or events[-1].type is not INTERIM:
                    events.append(await anext(stream))
            for frame in pushed:
                stream.push_frame(frame)
            stream.end_input()
            return stream.start_time, [*events, *[event async for event in stream]]

    started, events = asyncio.run(asyncio.wait_for(run(), 60))
    turns = "".join({START: "(", INTERIM: "i", FINAL: "f", END: ")"}[event.type] for event in events)
    assert re.fullmatch(r"(\(i+f\)){2}", turns)
    interims = [event.alternatives[0] for event in events if event.type is INTERIM]
    ends = [one.end_time for one in interims]
    assert all(one.text for one in interims) and ends == sorted({*ends}) and 3.6 < ends[0] < 4.7 and ends[-1] < SECONDS
    said = [event.speech_end_time - started for event in events if event.type is END]
    assert said == pytest.approx([one.end_time for one in finals(events)], abs=1e-3)


def test_a_flush_ends_what_is_being_said_and_time_goes_on(model, customer, heard):
    pushed = frames(customer)
    middle = int(7.2 * 50)  # the last word is over, the pause behind it has only begun

    async def run():
        async with LiveKitSTT(model, partial_seconds=math.inf).stream() as stream:
            for frame in pushed[:middle]:
                stream.push_frame(frame)
            stream.flush()
            stream.flush()  # of nothing
            before = [await anext(stream) for _ in range(3)]
            for frame in pushed[middle:]:
                stream.push_frame(frame)
            stream.end_input()
            return before, [event async for event in stream]

    before, after = asyncio.run(asyncio.wait_for(run(), 60))
    assert [event.type for event in before] == [event.type for event in after] == [START, FINAL, END]
    assert finals(before)[0].text.split()[:3] == heard[0].text.split()[:3]
    assert finals(after)[0].text.split()[-3:] == heard[1].text.split()[-3:]
    assert finals(after)[0].start_time == pytest.approx(heard[1].start, abs=0.2)


def test_one_shot_recognition(model, customer, heard):
    async def run(pushed):
        return (await LiveKitSTT(model).recognize(pushed, language="ro")).alternatives[0]

    told = asyncio.run(run(frames(customer)))
    assert told.text == " ".join(segment.text for segment in heard) and told.language == "ro"
    assert [*told.words] == [word.text for segment in heard for word in segment.words]
    assert (told.start_time, told.end_time) == (heard[0].start, heard[-1].end) and 0 < told.confidence <= 1
    nothing = asyncio.run(run(rtc.AudioFrame.create(16_000, 1, 16_000)))
    assert nothing.text == "" and nothing.confidence == 0


def test_redacted_texts_stay_redacted(model, customer):
    events = streamed(LiveKitSTT(model, redact=Redactor()), frames(customer))
    texts = [event.alternatives[0].text for event in events if event.alternatives]
    assert "[NUMBER]" in finals(events)[-1].text and not any("four seven two" in text for text in texts)


def test_an_error_of_the_model_is_one_error_that_is_not_tried_again(model, customer, monkeypatch):
    def fail(*_):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(model._recogniser, "answers", fail)

    async def run(stt, listen):
        told = []
        stt.on("error", told.append)
        with pytest.raises(APIError, match=r"^the device is gone$") as raised:
            await asyncio.wait_for(listen(stt), 30)
        (one,) = told
        assert one.error is raised.value and not one.recoverable and not raised.value.retryable
        assert isinstance(raised.value.__cause__, RuntimeError)

    async def stream(stt):
        async with stt.stream() as one:
            for frame in frames(customer):
                one.push_frame(frame)  # and no end: it must not wait for more
            return [event async for event in one]

    asyncio.run(run(LiveKitSTT(model), stream))
    asyncio.run(run(LiveKitSTT(model), lambda stt: stt.recognize(frames(customer))))


def test_what_is_wrong_is_said_before_anybody_speaks(model, monkeypatch):
    with pytest.raises(DataError):
        LiveKitSTT(model, hotwords=["Q7"])
    with pytest.raises(APIError, match="sampling rate of 96000 Hz; expected 8,000 to 48,000"):
        streamed(LiveKitSTT(model), frames(np.zeros(960, np.int16), 96_000))
    monkeypatch.setattr(type(model.model), "writes", property(lambda _: False))
    with pytest.raises(ModelError, match="writes text"):
        LiveKitSTT(model)


def test_a_model_of_its_own_ends_with_it(customer):
    async def run():
        stt = LiveKitSTT("tiny")
        assert (stt.model, stt.provider) == ("tiny", "speechxfer")
        stream = stt.stream()
        for frame in frames(customer):
            stream.push_frame(frame)
        await stt.aclose()
        return [event async for event in stream]

    before = threading.active_count()
    asyncio.run(asyncio.wait_for(run(), 60))
    assert threading.active_count() == before


class Played(AudioInput):
    def __init__(self, pushed):
        super().__init__(label="file")
        self.over = asyncio.Event()
        self._frames = iter(pushed)

    async def __anext__(self):
        await asyncio.sleep(0)
        try:
            return next(self._frames)
        except StopIteration:
            self.over.set()
            raise StopAsyncIteration from None


def test_a_session_of_an_agent_hears_it(model, customer, heard):
    async def run():
        session = AgentSession(stt=LiveKitSTT(model, partial_seconds=math.inf), vad=None, turn_handling={"turn_detection": "stt"})
        said, states = [], []
        session.on("user_input_transcribed", lambda event: said.append(event.transcript))
        session.on("user_state_changed", lambda event: states.append(event.new_state))
        session.input.audio = played = Played(frames(customer[: int(14.4 * RATE)]))  # it ends in the last word
        await session.start(Agent(instructions=""))
        await played.over.wait()
        while len(said) < 1:
            await asyncio.sleep(0.02)
        await session.commit_user_turn(transcript_timeout=30)
        await session.aclose()
        return said, states

    said, states = asyncio.run(asyncio.wait_for(run(), 60))
    assert said[0] == heard[0].text and said[1].split()[:5] == heard[1].text.split()[:5] and len(said) == 2
    assert states[:3] == ["speaking", "listening", "speaking"]

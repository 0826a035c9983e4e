"""Live calls: what is heard is what is heard in a file of the same call, in order, and nothing is promised that is not kept."""

import asyncio
import itertools
import threading

import numpy as np
import pytest
from jiwer import wer

from speechxfer import Transcriber, read_manifest
from speechxfer.calls import (
    AsyncCallSession,
    CallSession,
    CommandHeard,
    Dtmf,
    EndOfTurn,
    Final,
    Overlap,
    Partial,
    Redactor,
    Silence,
    event_dict,
)
from speechxfer.data import Waveform, decode_ulaw, encode_ulaw
from speechxfer.errors import AudioError, DataError, ModelError
from tests.unit.calls.conftest import CHANNELS, DEMO, SECONDS


def listen(session, packets, catch_up=None):
    """Push all packets; `catch_up` waits for the model, as real time would, every so many packets."""
    events = []
    for number, packet in enumerate(packets):
        events += session.push(*packet)
        if catch_up and number % catch_up == 0:
            session._batcher.call(lambda: None).result()
    return events + session.finish()


def finals(events):
    return [event for event in events if isinstance(event, Final)]


def text_of(events, channel):
    return " ".join(event.segment.text for event in finals(events) if event.channel == channel)


@pytest.fixture(scope="module")
def events(shared_model, packets):
    return listen(CallSession(shared_model), packets, catch_up=12)


def test_a_call_is_heard_as_its_file_is(events, shared_model, call):
    both = np.stack([decode_ulaw(np.frombuffer(call[name], np.uint8)) for name in CHANNELS], axis=1)
    samples = both.astype(np.float32) / 32768
    file = Transcriber(shared_model, channels="split", roles=CHANNELS).transcribe(Waveform(samples, 8_000))
    turns = [turn for turn in read_manifest(DEMO / "call.csv") if turn.end < SECONDS]
    said, live, filed = [], [], []
    for channel, name in enumerate(CHANNELS):
        said.append(" ".join(turn.text for turn in turns if turn.channel == channel))
        live.append(text_of(events, name))
        filed.append(" ".join(segment.text for segment in file.segments if segment.channel == channel))
    # Two words of these few; the benchmark takes the whole call.
    assert abs(wer(said, live) - wer(said, filed)) <= 2.01 / len(" ".join(said).split())


def test_segments_have_words_with_times_and_the_channels_take_turns(events):
    for event in finals(events):
        segment = event.segment
        assert segment.role == event.channel and segment.channel == CHANNELS.index(event.channel)
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert times == sorted(times) and segment.start <= times[0] and times[-1] <= segment.end + 0.05
        assert segment.text == " ".join(word.text for word in segment.words) and 0 < segment.confidence <= 1
    ends = [event for event in events if isinstance(event, EndOfTurn)]
    assert {event.channel for event in ends} == {*CHANNELS}
    for end in ends:
        before = events[: events.index(end)]
        assert any(event.channel == end.channel and event.segment.end == end.end for event in finals(before))


def test_what_was_shown_as_stable_never_changes(events):
    shown = dict.fromkeys(CHANNELS, "")
    stable_words = 0
    for event in events:
        if isinstance(event, Partial):
            assert f"{event.stable} ".startswith(f"{shown[event.channel]} ") or not shown[event.channel]
            shown[event.channel] = event.stable
        elif isinstance(event, Final):
            assert f"{event.segment.text} ".startswith(f"{shown[event.channel]} ") or not shown[event.channel]
            stable_words += len(shown[event.channel].split())
            shown[event.channel] = ""
    assert stable_words > 5


def test_company_changes_no_final(events, shared_model, packets):
    alone = [(event.channel, event.segment.start, event.segment.end) for event in finals(events)]
    sessions = [CallSession(shared_model, partial_seconds=1e9) for _ in range(4)]
    heard = [[] for _ in sessions]
    for packet, (session, found) in itertools.product(packets, zip(sessions, heard, strict=True)):
        found += session.push(*packet)
    heard = [found + session.finish() for session, found in zip(sessions, heard, strict=True)]
    for found in heard:
        assert sorted((event.channel, event.segment.start, event.segment.end) for event in finals(found)) == sorted(alone)
    assert len({text_of(found, "agent") for found in heard}) == 1


def test_the_model_may_be_slow_and_no_final_is_lost(events, shared_model, packets):
    session = CallSession(shared_model)
    expected = {(event.channel, event.segment.start) for event in finals(events)}
    assert {(event.channel, event.segment.start) for event in finals(listen(session, packets))} == expected


def test_a_redacted_call_says_no_number(shared_model, packets):
    events = listen(CallSession(shared_model, redact=Redactor()), packets, catch_up=24)
    assert any("[NUMBER]" in event.segment.text and event.redactions for event in finals(events))
    digits = set("zero one two three four five six seven eight nine".split())
    for event in events:
        if isinstance(event, Partial):
            assert event.stable == "" and not digits & set(event.unstable.split())


def test_hotwords_are_listened_for(shared_model, packets):
    events = listen(CallSession(shared_model, hotwords=["internet connection => Internet Connection"]), packets)
    assert "Internet Connection" in text_of(events, "customer")


class Commands:
    """Stands in for enrolled commands."""


def test_commands_are_heard_on_their_channel(shared_model, packets, monkeypatch):
    class Spotter:
        def __init__(self, recognizer):
            self.heard = 0

        def push(self, samples):
            self.heard += len(samples)
            at = self.heard / 16_000
            return [CommandHeard("", "help", at - 1, at, 0.9)] if 2.0 <= at < 2.128 else []

        def finish(self):
            return [CommandHeard("", "last", self.heard / 16_000, self.heard / 16_000, 0.5)]

    monkeypatch.setattr("speechxfer.calls.session.CommandSpotter", Spotter)
    events = listen(CallSession(shared_model, commands=Commands()), packets[:500])
    found = [(event.channel, event.command) for event in events if isinstance(event, CommandHeard)]
    assert sorted(found) == [(name, command) for name in CHANNELS for command in ("help", "last")]

    session = CallSession(shared_model, ("agent",), commands=Commands())
    events = [*session.push("agent", bytes([255]) * 8_000, 0.0), *session.push("agent", bytes([255]) * 16_000, 300.0)]
    found = {event.command: event for event in [*events, *session.finish()] if isinstance(event, CommandHeard)}
    # Two seconds of the gap are filled; of 300 s at which the second push begins, 297 were never heard.
    assert found["help"].end == pytest.approx(2.0, abs=0.13) and found["last"].end == pytest.approx(302.0, abs=0.2)


@pytest.mark.parametrize("level_db", [-6, -25])
@pytest.mark.parametrize("first", CHANNELS)
def test_what_leaks_from_the_other_side_is_not_heard_as_its_own(shared_model, call, level_db, first):
    """The agent is heard faintly on the customer's line, who never speaks; in whichever order the packets come."""
    agent = decode_ulaw(np.frombuffer(call["agent"], np.uint8)).astype(np.float32)
    late = np.concatenate([np.zeros(480, dtype=np.float32), agent[:-480]])
    leaked = late * 10 ** (level_db / 20) + np.random.default_rng(0).normal(0, 3, len(agent))
    lines = {"agent": call["agent"], "customer": encode_ulaw(leaked.astype(np.int16)).tobytes()}
    order = sorted(CHANNELS, key=lambda name: name != first)
    packets = [(name, lines[name][start : start + 160], start / 8_000) for start in range(0, 12 * 8_000, 160) for name in order]
    events = listen(CallSession(shared_model), packets)
    assert {event.channel for event in finals(events)} == {"agent"}
    assert not any(isinstance(event, Overlap) for event in events)
    alone = listen(CallSession(shared_model), [packet for packet in packets if packet[0] == "agent"])
    stretches, as_alone = ([(one.segment.start, one.segment.end) for one in finals(some)] for some in (events, alone))
    assert stretches == as_alone


def test_silence_overlap_and_keys(shared_model, call):
    session = CallSession(shared_model)
    events = []
    spoken = {"agent": call["agent"], "customer": call["customer"][29_000:]}  # where the customer begins
    for start in range(0, 3 * 8_000, 160):  # both speak at once
        for name in CHANNELS:
            events += session.push(name, spoken[name][start : start + 160], start / 8_000)
    events += session.dtmf("customer", "5", 3.0)
    for start in range(3 * 8_000, 12 * 8_000, 1600):
        events += session.push("agent", b"\xff" * 1600, start / 8_000)
    events += session.finish()
    (silence,) = [event for event in events if isinstance(event, Silence)]
    (overlap,) = [event for event in events if isinstance(event, Overlap)]
    assert 2.5 < silence.start <= 3.2 and overlap.start < 0.6 and 2.0 < overlap.end <= 3.2
    assert Dtmf("customer", "5", 3.0) in events
    assert event_dict(silence) == {"type": "silence", "start": silence.start}
    assert {event_dict(event)["type"] for event in events} >= {"end_of_turn", "dtmf", "overlap", "final"}


def test_speech_without_a_pause_is_parted_and_joined(shared_model, call, monkeypatch):
    from speechxfer.data import VoiceActivity

    monkeypatch.setattr(VoiceActivity, "push", lambda self, samples: np.ones(len(samples) // 512, dtype=np.float32))
    session = CallSession(shared_model, partial_seconds=1e9)
    events = []
    for start in range(0, SECONDS * 8_000, 1600):
        events += session.push("agent", call["agent"][start : start + 1600])
    segments = [event.segment for event in finals(events + session.finish())]
    words = [word for segment in segments for word in segment.words]
    assert len(segments) >= 2
    assert all(
        one.end <= two.end and one.start <= two.start and (two.start + two.end) / 2 >= one.end
        for one, two in itertools.pairwise(words)
    )  # nothing is said twice


def test_wrong_use_is_refused(shared_model):
    session = CallSession(shared_model)
    with pytest.raises(AudioError, match="no channel 'x' in this call; it has agent, customer"):
        session.push("x", b"")
    with pytest.raises(AudioError, match="expected ulaw"):
        CallSession(shared_model, encoding="opus")


def test_a_session_that_is_refused_leaves_no_model_behind():
    before = threading.active_count()
    for error, wrong in ((DataError, {"hotwords": ["Q7"]}), (AudioError, {"encoding": "mp3"})):
        with pytest.raises(error):
            CallSession("tiny", **wrong)
    assert threading.active_count() == before


def test_a_model_of_labels_is_refused(shared_model, monkeypatch):
    monkeypatch.setattr(type(shared_model.model), "writes", property(lambda _: False))
    with pytest.raises(ModelError, match="writes text"):
        CallSession(shared_model)


def test_hours_take_no_more_memory(shared_model, call):
    session = CallSession(shared_model, partial_seconds=1e9)
    kept = []
    for hour in range(3):
        for start in range(0, 8 * 8_000, 1600):
            session.push("agent", call["agent"][start : start + 1600], 3600 * hour + start / 8_000)
        one = session._channels["agent"]
        kept.append(len(one.listener._segmenter._samples) + len(one.listener._waiting) + len(one.waiting) + len(one.commands))
    assert max(kept) < 13 * 16_000
    session.finish()


def test_asyncio_gives_the_same_finals_to_a_slow_reader(events, shared_model, packets):
    async def main():
        session = AsyncCallSession(shared_model, channels=CHANNELS)
        found = []

        async def read():
            async for event in session.events():
                found.append(event)
                await asyncio.sleep(0.005)

        reader = asyncio.create_task(read())
        for packet in packets:
            await session.push(*packet)
        await session.finish()
        await asyncio.wait_for(reader, 60)
        return found

    found = asyncio.run(main())
    expected = {(event.channel, event.segment.start, event.segment.end) for event in finals(events)}
    assert {(event.channel, event.segment.start, event.segment.end) for event in finals(found)} == expected


def test_asyncio_says_what_is_ready_without_another_packet(shared_model, call):
    async def main():
        session = AsyncCallSession(shared_model, channels=("agent",))
        await session.push("agent", call["agent"][: 2 * 8_000])
        first = await asyncio.wait_for(anext(session.events()), 30)
        await session.finish()
        return first

    assert isinstance(asyncio.run(main()), Partial)

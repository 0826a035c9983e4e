"""Lines: what comes out does not depend on packets, and time is kept by timestamps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.calls import Line
from speechxfer.data import decode_ulaw, encode_ulaw, resample
from speechxfer.errors import AudioError

RATE = 8_000
CALL = encode_ulaw(np.random.default_rng(0).normal(0, 4000, 2 * RATE).astype(np.int16)).tobytes()
AT_ONCE = resample(decode_ulaw(np.frombuffer(CALL, np.uint8)).astype(np.float32) / 32768, RATE, 16_000)


def joined(*heard):
    return np.concatenate([one.samples for one in heard])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=60))
def test_however_it_is_cut_it_is_resampled_as_if_at_once(sizes):
    line, position, heard = Line(), 0, []
    for size in [*sizes, len(CALL)]:
        heard += line.push(CALL[position : position + size])
        position += size
    samples = joined(*heard, line.finish())
    assert len(samples) == len(AT_ONCE)
    assert np.abs(samples - AT_ONCE).max() < 1e-6


def test_lost_packets_become_silence_where_they_were():
    line, heard = Line(), []
    for start in range(0, len(CALL), 160):
        if not 4_000 <= start < 8_000:
            heard += line.push(CALL[start : start + 160], start / RATE)
    samples = joined(*heard, line.finish())
    assert len(samples) == len(AT_ONCE)
    assert np.abs(samples[8_100:15_900]).max() < 1e-3 and np.abs(samples[16_100:] - AT_ONCE[16_100:]).max() < 1e-5


def test_what_comes_twice_is_heard_once():
    line, heard = Line(), []
    for start in range(0, len(CALL), 1600):
        for _ in range(2):
            heard += line.push(CALL[start : start + 1600], start / RATE)
    assert np.abs(joined(*heard, line.finish()) - AT_ONCE).max() < 1e-6


@given(st.lists(st.floats(-0.03, 0.03), min_size=100, max_size=100))
@settings(max_examples=10, deadline=None)
def test_jitter_makes_no_holes(jitter):
    line, heard = Line(), []
    for number, offset in enumerate(jitter):
        heard += line.push(CALL[160 * number : 160 * (number + 1)], max(0.0, number * 0.02 + offset))
    assert np.abs(joined(*heard, line.finish()) - AT_ONCE).max() < 1e-6


def test_a_wrong_timestamp_costs_nothing_and_keeps_the_time():
    line = Line()
    before = line.push(CALL[:800])
    filled, skipped, *after = line.push(CALL[:800], 90_000.0)
    assert len(joined(*before, filled)) + 128 == 16 * (100 + 2_000)
    assert skipped.skipped_seconds == pytest.approx(90_000 - 2.1)
    assert len(joined(*after)) == 16 * 100


def test_a_clock_that_begins_anew_or_was_wrong_once_loses_no_more_than_a_packet():
    packets = [(3 * CALL)[start : start + 160] for start in range(0, 3 * len(CALL), 160)]
    anew, wrong = ([number * 0.02 for number in range(300)] for _ in range(2))
    anew[150:], wrong[150] = anew[:150], 5_000.0
    for timestamps in (anew, wrong):
        line, heard = Line(), []
        for packet, timestamp in zip(packets, timestamps, strict=True):
            heard += line.push(packet, timestamp)
        samples = joined(*heard, line.finish())
        filled = 2 * 16_000 if timestamps is wrong else 0
        assert len(samples) == 320 * (len(packets) - 1) + filled
        assert np.abs(samples[-16_000:] - AT_ONCE[-16_000:]).max() < 1e-3


def test_a_packet_that_comes_twice_is_heard_once():
    line, heard = Line(), []
    for number in range(100):
        for _ in range(2 if number % 7 == 0 else 1):
            heard += line.push(CALL[160 * number : 160 * (number + 1)], number * 0.02)
    assert np.abs(joined(*heard, line.finish()) - AT_ONCE).max() < 1e-6


@pytest.mark.parametrize("timestamp", [-0.1, float("nan"), float("inf"), 1e9])
def test_a_timestamp_that_is_no_time_is_refused(timestamp):
    with pytest.raises(AudioError, match="seconds from the start"):
        Line().push(CALL[:160], timestamp)


def test_half_samples_and_unknown_encodings_are_refused():
    with pytest.raises(AudioError, match="pairs of bytes"):
        Line("pcm16").push(b"123")
    with pytest.raises(AudioError, match="expected ulaw, alaw, pcm16"):
        Line("mp3")
    with pytest.raises(AudioError, match="8,000 to 48,000"):
        Line("ulaw", 3)

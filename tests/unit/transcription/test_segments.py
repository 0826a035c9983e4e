"""Stretches of speech: complete, in order, none read twice, the same for any blocks the recording comes in."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.data import VAD_FRAME
from speechxfer.transcription.segments import OVERLAP_SECONDS, Segmenter, Stretch

FRAME = VAD_FRAME / 16_000


def recording(spans: list[tuple[int, int]], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples that are their own number, and probabilities that are 0.9 in the spans."""
    speech = np.full(frames, 0.1, dtype=np.float32)
    for first, last in spans:
        speech[first:last] = 0.9
    return np.arange(frames * VAD_FRAME, dtype=np.float32), speech


def stretches(samples: np.ndarray, speech: np.ndarray, max_seconds: float, block: int | None = None) -> list[Stretch]:
    segmenter, found = Segmenter(0, max_seconds), []
    block = block or len(speech)
    for first in range(0, len(speech), block):
        found += segmenter.push(samples[first * VAD_FRAME : (first + block) * VAD_FRAME], speech[first : first + block])
    return [*found, *segmenter.finish()]


def frames_of(stretch: Stretch) -> tuple[int, int]:
    assert stretch.start == pytest.approx(stretch.samples[0] / 16_000)
    return round(stretch.samples[0] / VAD_FRAME), round((stretch.samples[-1] + 1) / VAD_FRAME)


def test_a_phrase_keeps_its_surroundings() -> None:
    (one,) = stretches(*recording([(50, 80)], 200), 30)
    assert frames_of(one) == (44, 86)


def test_what_is_shorter_than_any_word_is_no_speech() -> None:
    assert [frames_of(one) for one in stretches(*recording([(20, 25), (100, 106)], 200), 30)] == [(94, 112)]
    # Close together, they may be one word.
    assert [frames_of(one) for one in stretches(*recording([(20, 24), (30, 34)], 100), 30)] == [(14, 40)]


def test_short_pauses_join_and_long_ones_part() -> None:
    found = stretches(*recording([(50, 80), (95, 120), (160, 190)], 300), 30)
    assert [frames_of(one) for one in found] == [(44, 126), (154, 196)]


def test_surroundings_are_shared_not_read_twice() -> None:
    found = stretches(*recording([(10, 200), (204, 390)], 400), 10)
    assert [frames_of(one) for one in found] == [(4, 202), (202, 396)]


def test_what_is_too_long_is_parted_at_the_longest_late_pause() -> None:
    found = stretches(*recording([(10, 40), (58, 150), (162, 200), (205, 290), (295, 330)], 400), 10)
    assert [frames_of(one) for one in found] == [(4, 156), (156, 336)]


def test_speech_without_a_pause_comes_in_overlapping_windows() -> None:
    found = stretches(*recording([(20, 1020)], 1100), 10)
    assert [one.continues for one in found] == [False] + [True] * (len(found) - 1)
    assert all(one.seconds <= 10 for one in found)
    spans = [frames_of(one) for one in found]
    assert spans[0][0] == 14 and spans[-1][1] == 1026
    assert all((before[1] - after[0]) * FRAME == pytest.approx(OVERLAP_SECONDS) for before, after in pairwise(spans))


def test_a_click_is_no_speech() -> None:
    assert stretches(*recording([(50, 52)], 200), 30) == []


def test_no_speech_is_kept_for_long() -> None:
    segmenter = Segmenter(0, 30)
    for _ in range(100):
        assert not [*segmenter.push(np.zeros(625 * VAD_FRAME, dtype=np.float32), np.zeros(625, dtype=np.float32))]
    assert len(segmenter._samples) < 2 * 16_000


SPANS = st.lists(st.tuples(st.integers(1, 60), st.integers(3, 500)), min_size=1, max_size=12)


@settings(deadline=None, max_examples=200)
@given(SPANS, st.sampled_from([5.0, 10.0, 30.0]), st.integers(1, 700))
def test_blocks_do_not_matter_and_no_word_is_lost(gaps: list[tuple[int, int]], max_seconds: float, block: int) -> None:
    spans, position = [], 0
    for gap, length in gaps:
        spans.append((position + gap, position + gap + length))
        position += gap + length
    samples, speech = recording(spans, position + 10)
    whole = stretches(samples, speech, max_seconds)
    parts = stretches(samples, speech, max_seconds, block)
    assert [(frames_of(one), one.continues) for one in parts] == [(frames_of(one), one.continues) for one in whole]
    read = np.zeros(len(speech), dtype=int)
    for before, one in zip([None, *whole], whole, strict=False):
        first, last = frames_of(one)
        assert one.seconds <= max_seconds
        if before is not None:
            assert (first >= frames_of(before)[1]) != one.continues
        read[first:last] += 1
    assert all(read[first:last].min() >= 1 for first, last in spans if last - first >= 6)

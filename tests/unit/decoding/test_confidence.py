"""Calibration: confidences that mean what they say, and never another order of words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.decoding import calibrate, calibrate_segment, calibration_error, fit_calibration
from speechxfer.transcript import Segment, Word


def spoken(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Words whose true chance is the square of what the model believes: an overconfident model."""
    random = np.random.default_rng(seed)
    believed = random.uniform(0.05, 0.999, count)
    return believed, random.random(count) < believed**2


def test_what_was_too_sure_becomes_true():
    believed, right = spoken(4000)
    calibration = fit_calibration(believed, right)
    others, truth = spoken(4000, seed=1)
    before, after = calibration_error(others, truth), calibration_error(calibrate(others, calibration), truth)
    assert before > 0.12 and after < 0.03


def test_what_is_true_is_left_alone():
    random = np.random.default_rng(0)
    believed = random.uniform(0.02, 0.98, 20_000)
    slope, intercept = fit_calibration(believed, random.random(20_000) < believed)
    assert slope == pytest.approx(1, abs=0.06) and intercept == pytest.approx(0, abs=0.06)


def test_nothing_is_said_from_few_words():
    assert fit_calibration([0.5] * 99, [True] * 99) is None
    slope, intercept = fit_calibration([0.5, 0.9] * 50, [True] * 100)
    assert np.isfinite([slope, intercept]).all()


def test_error_is_the_gap_between_belief_and_truth():
    assert calibration_error([0.8] * 100, [True] * 80 + [False] * 20) < 0.35  # bins of equal words differ by chance
    assert calibration_error([1.0] * 50 + [0.0] * 50, [True] * 50 + [False] * 50) == 0
    assert calibration_error([1.0] * 100, [False] * 100) == 1
    assert calibration_error([], []) == 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0, 3), st.floats(-3, 3))
def test_order_and_bounds_stay(confidences, slope, intercept):
    mended = calibrate(confidences, (slope, intercept))
    assert ((mended >= 0) & (mended <= 1)).all()
    assert (np.diff(mended[np.argsort(confidences, kind="stable")]) >= -1e-12).all()


def test_a_segment_believes_its_words():
    segment = Segment("a b", 0.0, 1.0, 0.9, (Word("a", 0.0, 0.4, 0.5), Word("b", 0.5, 0.9, 0.5)))
    mended = calibrate_segment(segment, (1.0, -1.0))
    expected = round(1 / (1 + np.e), 4)
    assert [word.confidence for word in mended.words] == [expected] * 2 and mended.confidence == expected
    assert (mended.text, mended.words[0].start) == ("a b", 0.0)
    assert calibrate_segment(segment, None) is segment

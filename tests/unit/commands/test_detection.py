"""Error rates of a detector: values known by hand, and a library's."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from speechxfer.commands import area_under_roc, detection_curve, poisson_interval


def test_curve_by_hand():
    curve = detection_curve([1.0, 3.0], [0.0, 2.0])
    assert curve.thresholds.tolist() == [0.0, 1.0, 2.0, 3.0, np.inf]
    assert curve.misses.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0]
    assert curve.false_accepts.tolist() == [1.0, 0.5, 0.5, 0.0, 0.0]
    assert curve.equal_error_rate == 0.5


def test_equal_error_rate_of_known_distributions():
    # Two normals two spreads apart meet one spread from either: 15.87 %.
    random = np.random.default_rng(0)
    curve = detection_curve(random.normal(2, 1, 20_000), random.normal(0, 1, 20_000))
    assert curve.equal_error_rate == pytest.approx(0.1587, abs=0.005)
    assert detection_curve([2, 3], [0, 1]).equal_error_rate == 0.0
    assert detection_curve([0, 1], [2, 3]).equal_error_rate == 1.0


def test_area_agrees_with_a_library_ties_included():
    random = np.random.default_rng(0)
    targets, others = random.integers(2, 8, 50), random.integers(0, 6, 80)
    expected = roc_auc_score(np.repeat([1, 0], [50, 80]), np.concatenate([targets, others]))
    assert area_under_roc(targets, others) == pytest.approx(expected, abs=1e-12)
    assert area_under_roc([1, 1], [1]) == 0.5


def test_poisson_interval_is_exact():
    # Garwood's table.
    assert poisson_interval(0, 1.0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert poisson_interval(5, 2.0) == pytest.approx((1.623 / 2, 11.668 / 2), abs=1e-3)

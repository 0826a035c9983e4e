"""What more data would give: a power law is found again, and where nothing falls nothing is promised."""

import numpy as np
import pytest

from speechxfer.evaluation import RowErrors, extrapolate

MINUTES = (5.0, 15.0, 50.0)
SPEAKERS = 20


def rows(rates, words_per_row=100_000, spread=0.0, seed=0):
    """Return one row per speaker and amount whose error rates are these, times something of the speaker's own."""
    own = np.exp(np.random.default_rng(seed).normal(0, spread, SPEAKERS)) if spread else np.ones(SPEAKERS)
    blocks = [f"s{number}" for number in range(SPEAKERS)]
    return [RowErrors([round(rate * words_per_row * o) for o in own], [words_per_row] * SPEAKERS, blocks) for rate in rates]


def test_a_power_law_is_followed():
    law = [0.6 * minutes**-0.3 for minutes in MINUTES]
    found = extrapolate(MINUTES, rows(law), 100.0)
    assert found.error == pytest.approx(0.6 * 100**-0.3, rel=2e-3)
    assert found.interval == pytest.approx((found.error, found.error), rel=1e-6)  # all speakers are alike


def test_speakers_who_differ_make_the_interval_wide_but_not_the_fall_unclear():
    law = [0.3 * minutes**-0.3 for minutes in MINUTES]
    found = extrapolate(MINUTES, rows(law, spread=0.5), 100.0)
    lower, upper = found.interval
    assert lower < found.error < upper and (upper - lower) / found.error > 0.2


@pytest.mark.parametrize("rates", [(0.3, 0.3, 0.3), (0.2, 0.25, 0.3)])
def test_no_promise_where_the_error_does_not_fall(rates):
    assert extrapolate(MINUTES, rows(rates), 100.0) is None


def test_no_promise_where_only_one_speaker_profits():
    same = [RowErrors([30] * SPEAKERS, [100] * SPEAKERS, list("abcdefghijklmnopqrst")) for _ in MINUTES]
    last = RowErrors([25] + [30] * (SPEAKERS - 1), [100] * SPEAKERS, same[0].blocks)
    assert extrapolate(MINUTES, [*same[:2], last], 100.0) is None


def test_no_promise_from_one_amount_or_one_speaker():
    assert extrapolate(MINUTES[:1], rows([0.3]), 100.0) is None
    one = [RowErrors([errors], [100], ["s"]) for errors in (30, 20, 10)]
    assert extrapolate(MINUTES, one, 100.0) is None


def test_no_errors_at_all_is_a_small_number():
    found = extrapolate(MINUTES, rows([0.02, 0.01, 0.0]), 100.0)
    assert 0 <= found.error < 0.001

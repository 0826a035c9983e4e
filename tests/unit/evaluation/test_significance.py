"""Bootstrap intervals: repeatable, around the ratio, and honest about utterances of one speaker."""

import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.evaluation import bootstrap_interval, holm, sign_flip_test


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20), st.sampled_from("abcdef")), min_size=2, max_size=40),
    st.integers(0, 9),
)
def test_bounds_lie_in_order_among_the_blocks(rows, seed):
    errors, words, blocks = zip(*rows, strict=True)
    interval = bootstrap_interval(errors, words, blocks, seed=seed)
    if len(set(blocks)) < 2:
        assert interval is None
        return
    lower, upper = interval
    rates = [
        sum(error for error, _, block in rows if block == name) / sum(word for _, word, block in rows if block == name)
        for name in set(blocks)
    ]
    assert min(rates) - 1e-9 <= lower <= upper <= max(rates) + 1e-9
    assert bootstrap_interval(errors, words, blocks, seed=seed) == interval


def test_the_interval_holds_the_ratio_and_narrows_with_more_speakers():
    random = np.random.default_rng(0)
    widths = []
    for speakers in (8, 32, 128):
        words = random.integers(5, 15, speakers * 10)
        errors = random.binomial(words, 0.2)
        lower, upper = bootstrap_interval(errors, words, [str(row // 10) for row in range(len(words))])
        assert lower < errors.sum() / words.sum() < upper
        assert lower < 0.2 < upper
        widths.append(upper - lower)
    assert widths[0] > 1.5 * widths[1] > 2.25 * widths[2]


def test_a_wider_level_gives_a_wider_interval():
    errors, words, blocks = [1, 0, 3, 2, 0, 1], [9] * 6, list("abcdef")
    lower90, upper90 = bootstrap_interval(errors, words, blocks, level=0.9)
    lower99, upper99 = bootstrap_interval(errors, words, blocks, level=0.99)
    assert lower99 < lower90 < upper90 < upper99


def test_the_width_is_that_of_theory():
    # For equal blocks the ratio is the mean over blocks: 1.96 standard errors to each side.
    rates = np.random.default_rng(0).normal(0.3, 0.05, 100)
    lower, upper = bootstrap_interval(rates * 50, [50] * 100, [str(block) for block in range(100)])
    assert upper - lower == pytest.approx(2 * 1.96 * rates.std() / 10, rel=0.05)


def test_utterances_of_one_speaker_are_no_independent_evidence():
    # Ten speakers say twenty identical utterances each: there are ten observations, not two hundred.
    rates = np.random.default_rng(1).integers(0, 6, 10)
    errors = np.repeat(rates, 20)
    words = np.full(200, 10)
    by_speaker = bootstrap_interval(errors, words, [str(row // 20) for row in range(200)])
    by_utterance = bootstrap_interval(errors, words, [str(row) for row in range(200)])
    ratio = (by_speaker[1] - by_speaker[0]) / (by_utterance[1] - by_utterance[0])
    assert ratio == pytest.approx(np.sqrt(20), rel=0.1)
    # Saying everything twice as often tells nothing new.
    twice = bootstrap_interval(np.tile(errors, 2), np.tile(words, 2), [str(row // 20 % 10) for row in range(400)])
    assert twice == pytest.approx(by_speaker)


def test_intervals_over_speakers_cover_the_truth_and_those_over_utterances_do_not(monkeypatch):
    monkeypatch.setattr("speechxfer.evaluation.significance.REPEATS", 1000)
    random = np.random.default_rng(3)
    covered = {"speaker": 0, "utterance": 0}
    for trial in range(60):
        rates = random.beta(4, 16, 30)  # mean 0.2, speakers differ
        errors = random.binomial(10, np.repeat(rates, 20))
        for kind, size in (("speaker", 20), ("utterance", 1)):
            blocks = [str(row // size) for row in range(600)]
            lower, upper = bootstrap_interval(errors, np.full(600, 10), blocks, seed=trial)
            covered[kind] += lower <= 0.2 <= upper
    assert covered["speaker"] >= 50
    assert covered["utterance"] <= 40


def test_unequal_speakers_are_pooled_and_not_averaged():
    random = np.random.default_rng(5)
    sizes = [1, 2, 3, 5, 8, 13, 21, 34]
    blocks = [str(block) for block, size in enumerate(sizes) for _ in range(size)]
    words = random.integers(5, 15, len(blocks))
    errors = random.binomial(words, [0.9 / sizes[int(block)] for block in blocks])  # who says little errs often
    sums = [np.bincount([int(block) for block in blocks], weights=values) for values in (errors, words)]
    theirs = scipy.stats.bootstrap(
        sums, lambda top, bottom, axis: top.sum(axis) / bottom.sum(axis), paired=True, method="BCa", n_resamples=20_000, rng=0
    ).confidence_interval
    assert bootstrap_interval(errors, words, blocks) == pytest.approx((theirs.low, theirs.high), rel=0.07)


@pytest.mark.parametrize("blocks", [[], ["a"], ["a", "a", "a"]])
def test_no_interval_under_two_blocks(blocks):
    assert bootstrap_interval([1] * len(blocks), [2] * len(blocks), blocks) is None


def test_no_interval_without_any_reference():
    assert bootstrap_interval([1, 2], [0, 0], ["a", "b"]) is None
    assert bootstrap_interval([1, 2, 0], [0, 4, 4], ["a", "b", "c"]) is not None


def test_the_interval_is_scipys_bca():
    values = np.random.default_rng(3).gamma(1.0, 1.0, 40)
    ours = bootstrap_interval(values, np.ones(40), [str(block) for block in range(40)])
    theirs = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=0).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), rel=0.02)
    percentile = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=0).confidence_interval
    assert abs(ours[1] - theirs.high) < abs(percentile.high - theirs.high) / 2  # and not the percentile one


def test_few_signs_are_all_tried():
    # Of 16 equally likely sums only +-10 are as large; with one zero, twice as many.
    assert sign_flip_test([1, 2, 3, 4], list("abcd")) == 2 / 16
    assert sign_flip_test([1, 2, 3, 4, 0], list("abcde")) == 2 / 16
    assert sign_flip_test([3, -1, 2, 3, -2, 5], list("aabbcc")) == sign_flip_test([2, 5, 3], list("abc")) == 2 / 8
    assert sign_flip_test([1, -1], list("ab")) == 1.0
    assert sign_flip_test([0, 0], list("ab")) == 1.0


def test_random_signs_agree_with_all_signs(monkeypatch):
    random = np.random.default_rng(0)
    differences, blocks = random.normal(0.4, 1, 13), [str(block) for block in range(13)]
    exact = sign_flip_test(differences, blocks)
    monkeypatch.setattr("speechxfer.evaluation.significance._EXACT_BLOCKS", 2)
    assert sign_flip_test(differences, blocks) == pytest.approx(exact, abs=0.015)
    assert sign_flip_test(differences + 100, blocks) >= 1 / 10_001


@pytest.mark.parametrize("speakers", [10, 30])
def test_where_there_is_no_difference_one_in_twenty_is_called_one(speakers):
    random = np.random.default_rng(speakers)
    blocks = [str(row // 20) for row in range(20 * speakers)]
    called = 0
    for _ in range(200):
        leaning = np.repeat(random.normal(0, 0.1, speakers), 20)  # some speakers suit one model, some the other
        first, second = random.binomial(8, 0.2 + leaning.clip(-0.1, 0.1)), random.binomial(8, 0.2, 20 * speakers)
        called += sign_flip_test(second - first, blocks) < 0.05
    assert called / 200 < 0.1


def test_holm_is_the_textbooks():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_ten_thousand_utterances_take_seconds():
    errors = np.random.default_rng(0).binomial(10, 0.2, 10_000)
    start = time.perf_counter()
    bootstrap_interval(errors, np.full(10_000, 10), [str(row) for row in range(10_000)])
    assert time.perf_counter() - start < 15  # the bar is 5 s on an idle machine

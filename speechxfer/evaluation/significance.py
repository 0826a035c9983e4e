"""Counts per utterance and their blocks (speakers) in; intervals and p-values out. A block is one observation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

REPEATS = 10_000
_DRAWN_AT_ONCE = 2**20  # blocks; bounds the memory when every utterance is a block of its own
_EXACT_BLOCKS = 13  # up to which all 2^blocks signs are tried
_ROUNDING = 1e-9

Floats = npt.NDArray[np.float64]


def bootstrap_interval(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, blocks: Sequence[str], level: float = 0.95, seed: int = 0
) -> tuple[float, float] | None:
    """Give a bootstrap interval of a ratio of sums, corrected for bias and skewness (BCa).

    Parameters
    ----------
    numerators, denominators
        `[utterances]`, such as errors and reference words; numerators may be differences of two models' errors.
    blocks
        One per utterance; utterances of one block (speaker) are drawn together, because they are not independent.
    level
        Coverage aimed at. With few blocks the true coverage is lower.
    seed
        Of the resampling.

    Returns
    -------
    tuple of float or None
        Lower and upper bound; None with fewer than two blocks, or with nothing to divide by.

    Notes
    -----
    B. Efron, "Better bootstrap confidence intervals", JASA 82 (1987); the acceleration is the jackknife's.
    """
    names, index = np.unique(np.asarray(blocks), return_inverse=True)
    if len(names) < 2:
        return None
    top, bottom = (_block_sums(index, values) for values in (numerators, denominators))
    if not bottom.any():
        return None
    random = np.random.default_rng(seed)
    size = max(1, _DRAWN_AT_ONCE // len(names))
    drawn: list[Floats] = []
    for start in range(0, REPEATS, size):
        rows = random.integers(len(names), size=(min(size, REPEATS - start), len(names)))
        drawn.append(_ratios(top[rows].sum(axis=1), bottom[rows].sum(axis=1)))
    tails = ndtri([(1 - level) / 2, (1 + level) / 2])
    lower, upper = np.quantile(np.concatenate(drawn), _corrected(np.concatenate(drawn), top, bottom, tails))
    return float(lower), float(upper)


def _block_sums(index: npt.NDArray[np.int64], values: npt.ArrayLike) -> Floats:
    return np.bincount(index, weights=np.asarray(values, dtype=float)).astype(float)


def _ratios(tops: Floats, bottoms: Floats) -> Floats:
    return tops[bottoms > 0] / bottoms[bottoms > 0]


def _corrected(drawn: Floats, top: Floats, bottom: Floats, tails: Floats) -> Floats:
    """Give the quantiles of what was drawn that stand for these tails of the normal distribution."""
    ratio = top.sum() / bottom.sum()
    below = np.mean(drawn < ratio - _ROUNDING) + np.mean(np.abs(drawn - ratio) <= _ROUNDING) / 2
    if not 0 < below < 1:
        return ndtr(tails)
    bias = ndtri(below)
    without_one = _ratios(top.sum() - top, bottom.sum() - bottom)
    deviations = without_one.mean() - without_one
    spread = np.sqrt(np.sum(deviations**2)) ** 3
    acceleration = np.sum(deviations**3) / (6 * spread) if spread > 0 else 0.0
    shifted = bias + tails
    return ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, _ROUNDING))


def sign_flip_test(differences: npt.ArrayLike, blocks: Sequence[str], seed: int = 0) -> float:
    """Test whether the sum of paired differences is zero.

    Parameters
    ----------
    differences
        `[utterances]`: of one model's errors from another's.
    blocks
        One per utterance. If the models are equally good, a speaker's difference might as well have the other sign.
    seed
        Of the signs, where there are too many to try all.

    Returns
    -------
    float
        Two-sided p; exact with up to 13 blocks, else from 10,000 random signs, the observed one counted among them.

    Notes
    -----
    The randomisation test for pairs of R. A. Fisher, "The design of experiments", 1935, over blocks.
    """
    names, index = np.unique(np.asarray(blocks), return_inverse=True)
    sums = _block_sums(index, differences)
    observed = abs(sums.sum()) - _ROUNDING
    if len(names) <= _EXACT_BLOCKS:
        signs = np.array([*itertools.product((-1, 1), repeat=len(names))])
        return float(np.mean(np.abs(signs @ sums) >= observed))
    random = np.random.default_rng(seed)
    size = max(1, _DRAWN_AT_ONCE // len(names))
    extreme = 1
    for start in range(0, REPEATS, size):
        signs = random.integers(2, size=(min(size, REPEATS - start), len(names)), dtype=np.int8) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ sums) >= observed))
    return extreme / (REPEATS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number: each then holds at its level for all of them together.

    Parameters
    ----------
    p_values
        In any order.

    Returns
    -------
    list of float
        Corrected, in the order given.

    Notes
    -----
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    order = np.argsort(p_values)
    stepped = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(p) for p in corrected]

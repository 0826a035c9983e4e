"""Counts per utterance and their blocks (speakers) in, intervals out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

REPEATS = 10_000
_DRAWN_AT_ONCE = 2**20  # blocks; bounds the memory when every utterance is a block of its own


def bootstrap_interval(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, blocks: Sequence[str], level: float = 0.95, seed: int = 0
) -> tuple[float, float] | None:
    """Give a percentile bootstrap interval of a ratio of sums.

    Parameters
    ----------
    numerators, denominators
        Per utterance, such as errors and reference words.
    blocks
        Per utterance; utterances of one block (speaker) are drawn together, because they are not independent.
    level
        Coverage aimed at. With few blocks the true coverage is lower.
    seed
        Of the resampling.

    Returns
    -------
    tuple of float or None
        Lower and upper bound; None with fewer than two blocks, or with nothing to divide by.
    """
    names, index = np.unique(np.asarray(blocks), return_inverse=True)
    if len(names) < 2:
        return None
    sums = [np.bincount(index, weights=np.asarray(values, dtype=float)) for values in (numerators, denominators)]
    if not sums[1].any():
        return None
    random = np.random.default_rng(seed)
    size = max(1, _DRAWN_AT_ONCE // len(names))
    ratios: list[npt.NDArray[np.float64]] = []
    for start in range(0, REPEATS, size):
        drawn = random.integers(len(names), size=(min(size, REPEATS - start), len(names)))
        top, bottom = (values[drawn].sum(axis=1) for values in sums)
        ratios.append(top[bottom > 0] / bottom[bottom > 0])
    lower, upper = np.quantile(np.concatenate(ratios), [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)

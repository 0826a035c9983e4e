"""Lengths in, batches of row numbers out: bucketed by length, bounded by the padded total, a pure function of its seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def plan_batches(lengths: Sequence[float], max_total: float, seed: Sequence[int] | None = None) -> list[list[int]]:
    """Group rows of similar length.

    Parameters
    ----------
    lengths
        One per row, in any unit.
    max_total
        Upper bound of (longest length in the batch) x (rows in the batch), in the same unit; a single row that is longer
        makes a batch of its own.
    seed
        For training, (seed, stage, epoch): lengths are jittered by up to 10 % before sorting, so that batches differ from
        epoch to epoch, and the order of batches is shuffled. None gives the order by length.

    Returns
    -------
    list of list of int
        Every row exactly once.
    """
    keys = np.asarray(lengths, dtype=np.float64)
    random = np.random.default_rng(seed) if seed is not None else None
    if random is not None:
        keys = keys * random.uniform(0.9, 1.1, len(keys))
    batches: list[list[int]] = []
    longest = 0.0
    for row in np.argsort(keys, kind="stable").tolist():
        grown = max(longest, lengths[row])
        if batches and grown * (len(batches[-1]) + 1) <= max_total:
            batches[-1].append(row)
            longest = grown
        else:
            batches.append([row])
            longest = lengths[row]
    if random is not None:
        random.shuffle(batches)
    return batches

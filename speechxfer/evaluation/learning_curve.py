"""Errors on growing shares of the training data in, the error to expect of more data out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from speechxfer.evaluation.answers import RowErrors

_REPEATS = 2000
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Extrapolation:
    """The error expected, with a 95 % interval that knows the chance of the test speakers, not that of training."""

    error: float
    interval: tuple[float, float]


def extrapolate(amounts: Sequence[float], rows: Sequence[RowErrors], at: float) -> Extrapolation | None:
    """Fit a power law to a learning curve and follow it.

    Parameters
    ----------
    amounts
        Of training data, such as minutes, growing.
    rows
        For each amount the errors on one and the same test set.
    at
        The amount asked about.

    Returns
    -------
    Extrapolation or None
        None with fewer than two different amounts, fewer than two speakers, or where the error does not clearly fall: then more
        of the same data cannot be promised to help.

    Notes
    -----
    `error = a * amount ** b`, by least squares of the logarithms (Hestness et al., "Deep Learning Scaling is Predictable,
    Empirically", 2017). Speakers are drawn with replacement, the same ones for all amounts; the fall is clear if `b` is negative
    in 97.5 % of the draws.
    """
    names, index = np.unique(np.asarray(rows[0].blocks), return_inverse=True)
    if len({*amounts}) < 2 or len(names) < 2:
        return None
    errors = np.stack([np.bincount(index, weights=row.errors) for row in rows])  # [amounts, blocks]
    sizes = np.bincount(index, weights=rows[0].sizes)
    drawn = np.random.default_rng(0).integers(len(names), size=(_REPEATS, len(names)))
    exponents, predictions = _follow(amounts, errors[:, drawn].sum(axis=2), sizes[drawn].sum(axis=1), at)
    if np.quantile(exponents, 0.975) >= 0:
        return None
    _, predicted = _follow(amounts, errors.sum(axis=1, keepdims=True), sizes.sum(keepdims=True), at)
    lower, upper = np.quantile(predictions, [0.025, 0.975])
    return Extrapolation(float(predicted[0]), (float(lower), float(upper)))


def _follow(amounts: Sequence[float], errors: _Array, sizes: _Array, at: float) -> tuple[_Array, _Array]:
    """Fit each draw of `errors` `[amounts, draws]`; give exponents and predictions `[draws]`."""
    x = np.log(np.asarray(amounts, dtype=float))
    y = np.log((errors + 0.5) / (sizes + 0.5))  # a set without errors has a logarithm too
    centred = x - x.mean()
    exponents = centred @ (y - y.mean(axis=0)) / (centred @ centred)
    return exponents, np.exp(y.mean(axis=0) + exponents * (np.log(at) - x.mean()))

"""Features and what they should tell, in; how likely a linear model makes it, out, with nothing trained."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_STEPS = 100
_CLOSE = 1e-4
_TINY = 1e-12


def logme(features: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Give the logarithm of maximum evidence.

    Parameters
    ----------
    features
        `[rows, width]`.
    targets
        `[rows, targets]`: numbers, or for classes one column of 0 and 1 each. Both are centred first.

    Returns
    -------
    float
        Nats per row, mean over targets: log p(target | features) of Bayesian linear regression, with the precisions of weights
        and noise that make it largest. Comparable between features for the same targets only.

    Notes
    -----
    K. You et al., "LogME: practical assessment of pre-trained models for transfer learning" (ICML 2021), algorithm 1.
    """
    rows = np.asarray(features, dtype=float)
    rows = rows - rows.mean(axis=0)
    wanted = np.asarray(targets, dtype=float)
    wanted = wanted - wanted.mean(axis=0)
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    squares = values**2
    along = (left.T @ wanted) ** 2
    outside = np.maximum((wanted**2).sum(axis=0) - along.sum(axis=0), 0.0)
    return float(np.mean([_evidence(squares, one, rest, len(rows)) for one, rest in zip(along.T, outside, strict=True)]))


def _evidence(squares: npt.NDArray[np.float64], along: npt.NDArray[np.float64], outside: float, count: int) -> float:
    """Find the precisions of weights (alpha) and noise (beta) by fixed-point iteration; give the evidence per row."""
    alpha = beta = 1.0
    for _ in range(_STEPS):
        ratio = alpha / beta
        effective = float((squares / (squares + ratio)).sum())
        weights = float((squares * along / (squares + ratio) ** 2).sum()) + _TINY
        residual = float((along * (ratio / (squares + ratio)) ** 2).sum()) + outside + _TINY
        alpha, beta = effective / weights, (count - effective) / residual
        if abs(alpha / beta - ratio) <= _CLOSE * ratio:
            break
    fit = count * np.log(beta / (2 * np.pi)) - beta * residual - alpha * weights
    return float(fit + np.sum(np.log(alpha) - np.log(alpha + beta * squares))) / (2 * count)

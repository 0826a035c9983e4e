"""Vectors `[rows, dimensions]` with the number of their command in, a linear classifier out: prototypes, or a trained probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

_SMALL = 1e-5
_MAX_STEPS = 100


@dataclass(frozen=True)
class LinearClassifier:
    """Scores of each command, linear in the standardised vector.

    Attributes
    ----------
    mean, scale
        `[dimensions]`: what is taken off, and divided by.
    weight, bias
        `[commands, dimensions]`, `[commands]`.
    """

    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats

    def scores(self, vectors: npt.ArrayLike) -> Floats:
        """Score vectors.

        Parameters
        ----------
        vectors
            `[rows, dimensions]`.

        Returns
        -------
        numpy.ndarray
            float64 `[rows, commands]`; their softmax is the probability of each command.
        """
        return (np.asarray(vectors, dtype=float) - self.mean) / self.scale @ self.weight.T + self.bias


def fit_prototypes(vectors: npt.ArrayLike, commands: Numbers, shrinkage: float) -> LinearClassifier:
    """Put each command at the mean of its rows, with one covariance within commands for all (linear discriminant analysis).

    Parameters
    ----------
    vectors
        `[rows, dimensions]`.
    commands
        int64 `[rows]`: 0, 1, 2 ...; each occurs.
    shrinkage
        Share of the covariance that is replaced by its mean variance in every direction (Ledoit and Wolf 2004), above 0.

    Returns
    -------
    LinearClassifier
        All commands are equally likely beforehand.
    """
    mean, scale, rows = _standardise(vectors)
    centres = np.stack([rows[commands == command].mean(axis=0) for command in range(commands.max() + 1)])
    within = rows - centres[commands]
    number = len(within)
    floor = shrinkage * max(float((within**2).mean()), _SMALL)
    spread = (1 - shrinkage) / number
    middle = centres.mean(axis=0)
    apart = centres - middle
    # The inverse by Woodbury's identity: there are fewer rows than dimensions.
    inner = floor * np.eye(number) + spread * (within @ within.T)
    weight = (apart - spread * (apart @ within.T) @ np.linalg.solve(inner, within)) / floor
    return LinearClassifier(mean, scale, weight, -0.5 * (weight * apart).sum(axis=1) - weight @ middle)


def fit_probe(vectors: npt.ArrayLike, commands: Numbers, penalty: float) -> LinearClassifier:
    """Train multinomial logistic regression with an L2 penalty on the weights.

    Parameters
    ----------
    vectors
        `[rows, dimensions]`.
    commands
        int64 `[rows]`: 0, 1, 2 ...
    penalty
        Of half the squared weights, against the mean loss of a row.

    Returns
    -------
    LinearClassifier
        Commands with more rows are not likelier: rows are weighted.
    """
    mean, scale, rows = _standardise(vectors)
    number = int(commands.max()) + 1
    counts = np.bincount(commands, minlength=number)
    weights = 1.0 / (number * counts[commands])
    wanted = np.eye(number)[commands]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weight, bias = flat[:-number].reshape(number, -1), flat[-number:]
        log_probabilities = log_softmax(rows @ weight.T + bias, axis=1)
        value = -(weights[:, None] * wanted * log_probabilities).sum() + penalty / 2 * (weight**2).sum()
        slope = weights[:, None] * (np.exp(log_probabilities) - wanted)
        return float(value), np.concatenate([(slope.T @ rows + penalty * weight).ravel(), slope.sum(axis=0)])

    start = np.zeros(number * (rows.shape[1] + 1))
    with threadpool_limits(1, "blas"):  # two cores take three to six times as long for products this small
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _MAX_STEPS}).x
    return LinearClassifier(mean, scale, found[:-number].reshape(number, -1), found[-number:])


def averaged(classifiers: Sequence[LinearClassifier], rows: Sequence[npt.ArrayLike]) -> LinearClassifier:
    """Average the scores of classifiers, each of which sees a part of the vector; none is louder than the others.

    Parameters
    ----------
    classifiers
        In the order of the parts.
    rows
        `[rows, dimensions]` of each, by which the spread of its scores is found.

    Returns
    -------
    LinearClassifier
        Of the joined vectors; its scores are spread as those of the parts are on average.
    """
    spreads = np.array([one.scores(seen).std() + _SMALL for one, seen in zip(classifiers, rows, strict=True)])
    shares = spreads.mean() / spreads / len(classifiers)
    weighted = list(zip(shares, classifiers, strict=True))
    return LinearClassifier(
        np.concatenate([one.mean for one in classifiers]),
        np.concatenate([one.scale for one in classifiers]),
        np.concatenate([share * one.weight for share, one in weighted], axis=1),
        np.sum([share * one.bias for share, one in weighted], axis=0),
    )


def _standardise(vectors: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    rows = np.asarray(vectors, dtype=float)
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + _SMALL
    return mean, scale, (rows - mean) / scale

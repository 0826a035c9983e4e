"""Confidences of words whose truth is known in; how far they are to be believed, and a map that mends them, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from speechxfer.transcript import Segment

Calibration = tuple[float, float]
"""Slope and intercept on the log-odds of a confidence."""

_FEWEST_WORDS = 100
_BINS = 10
_EPSILON = 1e-4  # a word is never certain
_PRIOR = 1e-3  # keeps the slope finite where every word is right


def fit_calibration(confidences: Sequence[float], is_right: Sequence[bool]) -> Calibration | None:
    """Find the map that makes confidences probabilities of being right.

    Parameters
    ----------
    confidences
        Of recognised words, in [0, 1].
    is_right
        Whether each stands in the reference.

    Returns
    -------
    Calibration or None
        Slope and intercept on the log-odds; None for fewer than 100 words, from which nothing can be said.

    Notes
    -----
    J. Platt, "Probabilistic outputs for support vector machines", 1999, on log-odds. A slope below 0, which would turn the order
    of words around, is not looked for.
    """
    if len(confidences) < _FEWEST_WORDS:
        return None
    odds, right = _log_odds(confidences), np.asarray(is_right, dtype=float)

    def loss(parameters: npt.NDArray[np.float64]) -> float:
        scores = parameters[0] * odds + parameters[1]
        return float(np.mean(np.logaddexp(0, scores) - right * scores) + _PRIOR * (parameters[0] - 1) ** 2)

    found = minimize(loss, np.array([1.0, 0.0]), bounds=[(0.0, None), (None, None)], method="L-BFGS-B")
    return round(float(found.x[0]), 4), round(float(found.x[1]), 4)


def calibrate(confidences: Sequence[float], calibration: Calibration) -> npt.NDArray[np.float64]:
    """Give the probabilities of being right that a calibration makes of confidences.

    Parameters
    ----------
    confidences
        Of words, in [0, 1].
    calibration
        See `fit_calibration`.

    Returns
    -------
    numpy.ndarray
        float64 `[words]`.
    """
    slope, intercept = calibration
    return np.asarray(1 / (1 + np.exp(-(slope * _log_odds(confidences) + intercept))))


def calibrate_segment(segment: Segment, calibration: Calibration | None) -> Segment:
    """Calibrate the confidences of a segment's words.

    Parameters
    ----------
    segment
        As decoded.
    calibration
        See `fit_calibration`; None changes nothing.

    Returns
    -------
    Segment
        Its own confidence is the mean of its words'; without words it stays as it is.
    """
    if calibration is None or not segment.words:
        return segment
    believed = [round(float(one), 4) for one in calibrate([word.confidence for word in segment.words], calibration)]
    words = tuple(replace(word, confidence=one) for word, one in zip(segment.words, believed, strict=True))
    return replace(segment, words=words, confidence=round(float(np.mean(believed)), 4))


def calibration_error(confidences: Sequence[float], is_right: Sequence[bool]) -> float:
    """Give the expected calibration error: how far confidence and share of right words are apart, on average over words.

    Parameters
    ----------
    confidences
        In [0, 1].
    is_right
        For each.

    Returns
    -------
    float
        In [0, 1]; over ten bins that hold equally many words.

    Notes
    -----
    M. Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    order = np.argsort(confidences, kind="stable")
    believed, right = np.asarray(confidences, dtype=float)[order], np.asarray(is_right, dtype=float)[order]
    bins = np.array_split(np.arange(len(order)), _BINS)
    gaps = [abs(believed[rows].mean() - right[rows].mean()) * len(rows) for rows in bins if len(rows)]
    return float(sum(gaps) / max(1, len(order)))


def _log_odds(confidences: Sequence[float]) -> npt.NDArray[np.float64]:
    bounded = np.clip(np.asarray(confidences, dtype=float), _EPSILON, 1 - _EPSILON)
    return np.asarray(np.log(bounded / (1 - bounded)))

"""Scores of commands and of everything else in, how well they are told apart out: EER, AUROC, the DET curve, rates per hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, rankdata


@dataclass(frozen=True)
class DetectionCurve:
    """Points of the DET curve, one per threshold, from the lowest on.

    Attributes
    ----------
    thresholds
        float `[points]`; what scores at least this is accepted. The last is above every score.
    misses, false_accepts
        float `[points]`: share of the targets rejected, and of the others accepted.
    """

    thresholds: npt.NDArray[np.float64]
    misses: npt.NDArray[np.float64]
    false_accepts: npt.NDArray[np.float64]

    @property
    def equal_error_rate(self) -> float:
        """Where misses and false accepts are equally likely, read off the straight line between the points around it."""
        gap = self.misses - self.false_accepts
        above = int(np.argmax(gap >= 0))
        if gap[above] == 0 or above == 0:
            return float((self.misses[above] + self.false_accepts[above]) / 2)
        share = -gap[above - 1] / (gap[above] - gap[above - 1])
        return float(self.misses[above - 1] + share * (self.misses[above] - self.misses[above - 1]))


def detection_curve(targets: npt.ArrayLike, others: npt.ArrayLike) -> DetectionCurve:
    """Trade misses for false accepts at every threshold that makes a difference.

    Parameters
    ----------
    targets, others
        `[targets]`, `[others]`: scores of what is to be accepted, and to be rejected; at least one each.

    Returns
    -------
    DetectionCurve
        With as many points as there are different scores, and one above all.
    """
    accepted, rejected = (np.sort(np.asarray(scores, dtype=float)) for scores in (targets, others))
    thresholds = np.append(np.unique(np.concatenate([accepted, rejected])), np.inf)
    misses = np.searchsorted(accepted, thresholds) / len(accepted)
    return DetectionCurve(thresholds, misses, 1 - np.searchsorted(rejected, thresholds) / len(rejected))


def area_under_roc(targets: npt.ArrayLike, others: npt.ArrayLike) -> float:
    """Give the chance that a target scores above an other, ties counting half (Mann and Whitney 1947).

    Parameters
    ----------
    targets, others
        `[targets]`, `[others]`: scores, at least one each.

    Returns
    -------
    float
        0.5 is chance, 1 perfect.
    """
    scores = [np.asarray(part, dtype=float) for part in (targets, others)]
    count, other_count = map(len, scores)
    ranks = rankdata(np.concatenate(scores))[:count]
    return float((ranks.sum() - count * (count + 1) / 2) / (count * other_count))


def poisson_interval(events: int, hours: float, level: float = 0.95) -> tuple[float, float]:
    """Give the exact interval of a rate of events.

    Parameters
    ----------
    events
        Counted.
    hours
        In which they were, above 0.
    level
        Of confidence.

    Returns
    -------
    tuple of float
        Lower and upper bound per hour; 0 events in an hour still allow for 3.7.

    Notes
    -----
    F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936).
    """
    tail = (1 - level) / 2
    lower = float(chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    return lower / hours, float(chi2.ppf(1 - tail, 2 * events + 2)) / 2 / hours

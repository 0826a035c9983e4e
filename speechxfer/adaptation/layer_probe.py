"""What one layer says of utterances, and targets, in; how much of them a linear probe reads there, out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from speechxfer.adaptation.logme import logme

Floats = npt.NDArray[np.float64]
Task = Literal["ctc", "classification"]

_FOLDS = 5
_PENALTIES = tuple(10.0**power for power in range(0, 6))


@dataclass(frozen=True)
class LayerScore:
    """What one layer knows; layer 0 is what goes into the first one.

    Attributes
    ----------
    probe
        Of the linear probe, on speakers that were held out: accuracy, or for `ctc` how much is explained of the variance of the
        symbols' shares in a text (below 0 where the mean of all texts says more).
    logme
        See `logme`.
    """

    probe: float
    logme: float


def probe_layer(means: Floats, targets: Floats, blocks: npt.NDArray[np.str_], task: Task) -> tuple[LayerScore, Floats]:
    """Score a layer.

    Parameters
    ----------
    means
        Over time, `[utterances, width]`.
    targets
        `[utterances, targets]`: of classes 0 and 1, of texts each symbol's share.
    blocks
        Of each utterance its speaker; whose are fitted to are not asked.
    task
        What the targets are of.

    Returns
    -------
    LayerScore
        Over all utterances.
    numpy.ndarray
        `[utterances]`: of each its own score by the probe.
    """
    standardised = (means - means.mean(axis=0)) / (means.std(axis=0) + 1e-9)
    right = _probe(standardised, targets, blocks, task)
    return LayerScore(float(right.mean()), logme(standardised, targets)), right


def _probe(features: Floats, targets: Floats, blocks: npt.NDArray[np.str_], task: Task) -> Floats:
    """Fit ridge regression without some speakers, and give each of their utterances its score."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold

    scores = np.zeros(len(features))
    folds = GroupKFold(min(_FOLDS, len(set(blocks.tolist()))))
    for known, held_out in folds.split(features, groups=blocks):
        fitted = RidgeCV(_PENALTIES).fit(features[known], targets[known])
        answers = fitted.predict(features[held_out]).reshape(len(held_out), -1)
        if task == "classification":
            scores[held_out] = answers.argmax(axis=1) == targets[held_out].argmax(axis=1)
        else:
            spread = float(np.mean((targets - targets.mean(axis=0)) ** 2))
            scores[held_out] = 1 - np.mean((answers - targets[held_out]) ** 2, axis=1) / spread
    return scores

"""Statistics of a few examples in, the layer and the classifier that tell them apart best out, by cross-validation among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from speechxfer.commands.classifiers import Floats, LinearClassifier, Numbers, fit_probe, fit_prototypes
from speechxfer.commands.features import Statistics

_SHRINKAGE = 0.5
_PENALTY = 0.02
_PROBE_FROM = 5  # examples of each command
_MOST_FOLDS = 5


@dataclass(frozen=True)
class Choice:
    """How commands are told apart.

    Attributes
    ----------
    method
        `prototypes` or `probe`.
    layer
        Whose statistics are looked at, from 0; the last is that after the encoder.
    accuracy
        In cross-validation among the examples; None where a command has only one.
    """

    method: str
    layer: int
    accuracy: float | None

    def fit(self, views: Sequence[Statistics], commands: Numbers) -> LinearClassifier:
        """Fit to examples, all views of them: `[examples, layers, dimensions]` each, commands `[examples]`."""
        rows = np.concatenate([view[:, self.layer] for view in views])
        fit, strength = (fit_probe, _PENALTY) if self.method == "probe" else (fit_prototypes, _SHRINKAGE)
        return fit(rows, np.tile(commands, len(views)), strength)


def choose(views: Sequence[Statistics], commands: Numbers, speakers: Sequence[str]) -> Choice:
    """Choose the layer with prototypes, then between prototypes and a probe.

    Parameters
    ----------
    views
        Of the examples: the audio as it is first, `[examples, layers, dimensions]` each.
    commands
        `[examples]`: 0, 1, 2 ...
    speakers
        Of the examples, empty where not known. Where each command was said by several, whole speakers are held out.

    Returns
    -------
    Choice
        With one example of some command there is nothing to hold out: prototypes on the last layer.
    """
    folds = _folds(commands, speakers)
    last = views[0].shape[1] - 1
    if folds is None:
        return Choice("prototypes", last, None)
    # What goes into the first layer has heard nothing of its surroundings.
    tried = [_validated("prototypes", layer, views, commands, folds) for layer in range(last, 0, -1)]
    best = max(tried, key=_merit)
    if np.bincount(commands).min() >= _PROBE_FROM:
        best = max(best, _validated("probe", best[0].layer, views, commands, folds), key=_merit)
    return best[0]


def _merit(tried: tuple[Choice, float]) -> tuple[float, float]:
    choice, margin = tried
    return choice.accuracy or 0.0, margin


def _validated(
    method: str, layer: int, views: Sequence[Statistics], commands: Numbers, folds: npt.NDArray[np.int64]
) -> tuple[Choice, float]:
    """Give a choice with its accuracy, and by how much the right command wins on average, in spreads of the scores."""
    choice, scores = Choice(method, layer, None), np.zeros((len(commands), int(commands.max()) + 1))
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        classifier = choice.fit([view[~held] for view in views], commands[~held])
        scores[held] = classifier.scores(views[0][held, layer])
    right = scores[np.arange(len(commands)), commands]
    others = np.where(np.eye(scores.shape[1], dtype=bool)[commands], -np.inf, scores).max(axis=1)
    margins: Floats = right - others
    return Choice(method, layer, float((margins > 0).mean())), float(margins.mean() / max(float(scores.std()), 1e-9))


def _folds(commands: Numbers, speakers: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """Give each example its fold, by speaker or in turn within its command; each command stays in what is not held out."""
    counts = np.bincount(commands)
    if counts.min() < 2:
        return None
    if all(speakers):
        names, numbers = np.unique(np.asarray(speakers), return_inverse=True)
        held = numbers % min(_MOST_FOLDS, len(names))
        if all(len(np.unique(held[commands == command])) > 1 for command in range(len(counts))):
            return np.asarray(held, dtype=np.int64)
    folds = np.zeros(len(commands), dtype=np.int64)
    for command, count in enumerate(counts.tolist()):
        folds[commands == command] = np.arange(count) % min(_MOST_FOLDS, int(counts.min()))
    return folds

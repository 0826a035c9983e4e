"""Statistics of a few examples in, the layers and the classifier that tell them apart best out, by cross-validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from speechxfer.commands.classifiers import LinearClassifier, Numbers, averaged, fit_probe, fit_prototypes
from speechxfer.features import Statistics

_SHRINKAGE = 0.5
_PENALTY = 0.01
_PROBE_FROM = 5  # examples of each command
_MOST_FOLDS = 5


@dataclass(frozen=True)
class Choice:
    """How commands are told apart.

    Attributes
    ----------
    method
        `prototypes` or `probe`.
    layers
        Whose statistics are looked at, from 0; each has a classifier of its own, and their scores are averaged.
    accuracy
        In cross-validation among the examples; None where a command has only one.
    """

    method: str
    layers: tuple[int, ...]
    accuracy: float | None = None

    def vectors(self, statistics: Statistics) -> Statistics:
        """Give what the classifiers look at.

        Parameters
        ----------
        statistics
            `[sounds, all layers, dimensions]`.

        Returns
        -------
        numpy.ndarray
            `[sounds, layers x dimensions]`, of the chosen layers.
        """
        return statistics[:, list(self.layers)].reshape(len(statistics), -1)

    def fit(self, views: Sequence[Statistics], commands: Numbers) -> LinearClassifier:
        """Fit a classifier of each chosen layer, and average their scores.

        Parameters
        ----------
        views
            Of the examples, `[examples, all layers, dimensions]` each.
        commands
            int64 `[examples]`: 0, 1, 2 ...; each occurs.

        Returns
        -------
        LinearClassifier
            Of what `vectors` gives.
        """
        fit, strength = (fit_probe, _PENALTY) if self.method == "probe" else (fit_prototypes, _SHRINKAGE)
        numbers = np.tile(commands, len(views))
        rows = [np.concatenate([view[:, layer] for view in views]) for layer in self.layers]
        return averaged([fit(of_layer, numbers, strength) for of_layer in rows], rows)


def choose(views: Sequence[Statistics], commands: Numbers, speakers: Sequence[str]) -> Choice:
    """Choose the layers with prototypes, then between prototypes and a probe.

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
        Prototypes on the upper half of the layers together, unless one layer alone is clearly better, or then a probe. With one
        example of some command there is nothing to hold out.

    Notes
    -----
    What is simpler is kept unless the other is better by more than one standard error: L. Breiman et al., "Classification and
    regression trees", 1984.
    """
    count = views[0].shape[1]
    together = Choice("prototypes", tuple(range(count // 2, count)))
    folds = _folds(commands, speakers)
    if folds is None:
        return together
    # What goes into the first layer has heard nothing of its surroundings.
    single = [_validated(Choice("prototypes", (layer,)), views, commands, folds) for layer in range(count - 1, 0, -1)]
    best = _better(_validated(together, views, commands, folds), max(single, key=_accuracy), len(commands))
    if np.bincount(commands).min() >= _PROBE_FROM:
        best = _better(best, _validated(Choice("probe", best.layers), views, commands, folds), len(commands))
    return best


def _accuracy(choice: Choice) -> float:
    return choice.accuracy or 0.0


def _better(kept: Choice, rival: Choice, examples: int) -> Choice:
    """Give the rival only if it is better by more than one standard error (Breiman et al. 1984): so few examples prove little."""
    accuracy = _accuracy(kept)
    error = math.sqrt(accuracy * (1 - accuracy) / examples)
    return rival if _accuracy(rival) > accuracy + error else kept


def _validated(choice: Choice, views: Sequence[Statistics], commands: Numbers, folds: npt.NDArray[np.int64]) -> Choice:
    right = 0
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        classifier = choice.fit([view[~held] for view in views], commands[~held])
        right += int((classifier.scores(choice.vectors(views[0][held])).argmax(axis=1) == commands[held]).sum())
    return replace(choice, accuracy=right / len(commands))


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

"""Labelled utterances and candidate models in; which one to fine-tune, out, before anything is trained.

Each model encodes the same sample once, frozen. What its layers know of the targets is measured by a linear probe on speakers
that it was not fitted to, and by LogME. Needs the extra `cluster` (scikit-learn).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from speechxfer.adaptation.logme import logme
from speechxfer.adaptation.scikit import need_scikit
from speechxfer.data import Manifest, Utterance, check_sets, normalise
from speechxfer.errors import DataError, Problem
from speechxfer.features import StatisticsEncoder

Floats = npt.NDArray[np.float64]
Task = Literal["ctc", "classification"]

RANDOM = "random"
"""Names the control: the shape of the first candidate, with random weights."""

_MOST = 400  # utterances that are encoded
_FEWEST = 20
_FOLDS = 5
_FEWEST_DRAWN = 8  # speakers
_DRAWS = 1000
_PENALTIES = tuple(10.0**power for power in range(0, 6))
_SILENT_EFFECT = 1e-3  # a symbol's share that varies less than this is no target
_MUCH_CHEAPER = 1.5


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


@dataclass(frozen=True)
class Candidate:
    """One model.

    Attributes
    ----------
    model
        As it was named.
    score
        The probe's of its best layer.
    interval
        95 % of the bootstrap's draws.
    best_layer, layers
        From 0, which is what goes into the first layer.
    first_share
        Share of the bootstrap's draws in which it comes first.
    parameters
        Of the encoder.
    real_time_factor
        Seconds that encoding a second of the sample took, here, reading included.
    """

    model: str
    score: float
    interval: tuple[float, float]
    best_layer: int
    layers: tuple[LayerScore, ...]
    first_share: float
    parameters: int
    real_time_factor: float


@dataclass(frozen=True)
class Ranking:
    """Candidates from the best on.

    Attributes
    ----------
    task, utterances
        What for, and of how many utterances.
    folds_over, draws_over
        What the probe's folds and the bootstrap's draws never part: `speaker`, or `utterance` where fewer than two speakers are
        known (draws: fewer than eight, since so few say nothing of others).
    candidates
        By score.
    within_noise
        Names of those whose difference from the first has 0 in its 95 % interval.
    verdict
        Which to take, in plain words.
    """

    task: Task
    utterances: int
    folds_over: str
    draws_over: str
    candidates: tuple[Candidate, ...]
    within_noise: tuple[str, ...]
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, ready for JSON."""
        return asdict(self)


def rank(
    manifest: Manifest,
    models: Sequence[str],
    task: Task,
    *,
    device: str = "auto",
    precision: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Ranking:
    """Rank models by what their frozen layers know of a task.

    Parameters
    ----------
    manifest
        With `label` for classification, `text` for ctc; of a large one, 400 utterances are used, always the same.
    models
        Directories of pretrained or fine-tuned models, `tiny`, or `random`: the first one's shape with random weights.
    task
        What for.
    device, precision
        See `StatisticsEncoder`.
    progress
        Told how many models are done, of how many.

    Returns
    -------
    Ranking
        The same for the same input but for the real-time factors.

    Raises
    ------
    DataError
        If rows are wrong, or fewer than 20 utterances or two labels remain.
    ModelError
        If a model cannot be loaded, or scikit-learn is missing.
    """
    need_scikit("ranking")
    named = list(dict.fromkeys(models))
    if not [name for name in named if name != RANDOM]:
        raise ValueError("expected at least one model that is not random")
    checked, _ = check_sets({"data": manifest}, task, normaliser="basic")
    shape = next(name for name in named if name != RANDOM)
    encoders = {
        name: StatisticsEncoder(
            shape if name == RANDOM else name, device=device, precision=precision, random_weights=name == RANDOM
        )
        for name in named
    }
    sample = _sample(checked["data"], min(encoder.max_seconds for encoder in encoders.values()))
    targets, (blocks, over) = _targets(sample, task), _blocks(sample, fewest=2)
    found: dict[str, tuple[list[LayerScore], Floats, float]] = {}
    for number, (name, encoder) in enumerate(encoders.items(), start=1):
        found[name] = _examine(encoder, sample, targets, blocks, task)
        progress(number, len(encoders))
    parameters = {name: encoder.num_parameters for name, encoder in encoders.items()}
    drawn, draws_over = _blocks(sample, fewest=_FEWEST_DRAWN)
    candidates, within = _ordered(found, parameters, drawn)
    return Ranking(task, len(sample), over, draws_over, tuple(candidates), within, _verdict(candidates, within))


def _sample(manifest: Manifest, most_seconds: float) -> list[Utterance]:
    """Draw by id, so that neither chance nor the order of rows changes what is found."""
    seconds = [float(value) for value in manifest.columns["duration"]]
    rows = [row for row in range(len(manifest)) if seconds[row] <= most_seconds]
    rows.sort(key=lambda row: hashlib.blake2b(manifest.columns["id"][row].encode()).digest())
    if len(rows) < _FEWEST:
        what = f"{len(rows)} utterances that all models take, expected {_FEWEST} or more to rank models"
        raise DataError([Problem(manifest.source, None, what)])
    return [replace(manifest[row], end=manifest[row].start + seconds[row]) for row in rows[:_MOST]]


def _targets(sample: Sequence[Utterance], task: Task) -> Floats:
    """Give `[utterances, targets]`: of classes 0 and 1, of texts each symbol's share."""
    if task == "classification":
        labels = sorted({utterance.label or "" for utterance in sample})
        if len(labels) < 2:
            raise DataError([Problem("the sample", None, f"one label only, {labels[0]!r}; expected two or more")])
        return np.array([[float(utterance.label == label) for label in labels] for utterance in sample])
    texts = [normalise(utterance.text or "", "basic").replace(" ", "") for utterance in sample]
    shares = np.array([[text.count(symbol) / len(text) for symbol in sorted(set("".join(texts)))] for text in texts])
    varying = shares.std(axis=0) > _SILENT_EFFECT
    if not varying.any():
        raise DataError([Problem("the sample", None, "all texts have the same letters; expected different ones")])
    return shares[:, varying] / shares[:, varying].std(axis=0)


def _blocks(sample: Sequence[Utterance], fewest: int) -> tuple[npt.NDArray[np.str_], str]:
    """Give each utterance's speaker, or itself where not all or too few are known; and which of both."""
    speakers = [utterance.fields.get("speaker", "") for utterance in sample]
    if all(speakers) and len(set(speakers)) >= fewest:
        return np.array(speakers), "speaker"
    return np.array([utterance.id for utterance in sample]), "utterance"


def _examine(
    encoder: StatisticsEncoder, sample: Sequence[Utterance], targets: Floats, blocks: npt.NDArray[np.str_], task: Task
) -> tuple[list[LayerScore], Floats, float]:
    """Give each layer's scores, each utterance's score `[utterances]` by the best layer, and the real-time factor."""
    start = time.perf_counter()
    statistics = encoder(sample)
    factor = (time.perf_counter() - start) / sum((one.end or 0.0) - one.start for one in sample)
    width = statistics.shape[2] // 2
    layers, rights = [], []
    for layer in range(statistics.shape[1]):
        means = statistics[:, layer, :width].astype(float)
        means = (means - means.mean(axis=0)) / (means.std(axis=0) + 1e-9)
        right = _probe(means, targets, blocks, task)
        rights.append(right)
        layers.append(LayerScore(float(right.mean()), logme(means, targets)))
    return layers, max(rights, key=lambda right: float(right.mean())), factor


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


def _ordered(
    found: Mapping[str, tuple[list[LayerScore], Floats, float]],
    parameters: Mapping[str, int],
    blocks: npt.NDArray[np.str_],
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Give candidates from the best on, and who of them is within noise of the first."""
    names = sorted(found, key=lambda name: (-found[name][1].mean(), name))
    draws = _draw_means(np.stack([found[name][1] for name in names]), blocks)
    lowest, highest = np.percentile(draws, [2.5, 97.5], axis=1)
    first = np.bincount(draws.argmax(axis=0), minlength=len(names)) / draws.shape[1]
    candidates = []
    for place, name in enumerate(names):
        layers, right, factor = found[name]
        best = max(range(len(layers)), key=lambda layer: layers[layer].probe)
        interval = (float(lowest[place]), float(highest[place]))
        candidates.append(
            Candidate(name, float(right.mean()), interval, best, tuple(layers), float(first[place]), parameters[name], factor)
        )
    behind = np.percentile(draws[0] - draws, 2.5, axis=1)
    within = tuple(name for name, low in zip(names[1:], behind[1:], strict=True) if low <= 0)
    return candidates, within


def _draw_means(scores: Floats, blocks: npt.NDArray[np.str_]) -> Floats:
    """Give means `[models, draws]` of scores `[models, utterances]`: blocks with replacement, the same for all models."""
    names, block_of = np.unique(blocks, return_inverse=True)
    sums = np.stack([np.bincount(block_of, row, len(names)) for row in scores])
    sizes = np.bincount(block_of, minlength=len(names))
    times = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), _DRAWS).T
    return (sums @ times) / (sizes @ times)


def _verdict(candidates: Sequence[Candidate], within: Sequence[str]) -> str:
    best = candidates[0]
    if best.model == RANDOM or RANDOM in within:
        return "No model does clearly better than random weights here: take more or other data, or other models."
    said = f"{best.model}: best probe ({best.score:.3f}, first in {100 * best.first_share:.0f} % of the draws)"
    cheaper = [one for one in candidates if one.model in within and one.parameters * _MUCH_CHEAPER <= best.parameters]
    if cheaper:
        cheapest = min(cheaper, key=lambda one: one.parameters)
        return (
            f"{said}; {cheapest.model} is within noise and {best.parameters / cheapest.parameters:.1f} times smaller: take that."
        )
    if within:
        return f"{said}; {', '.join(within)} {'is' if len(within) == 1 else 'are'} within noise and not much smaller."
    return f"{said}; no other is within noise." if len(candidates) > 1 else f"{said}; there is no other to compare it with."

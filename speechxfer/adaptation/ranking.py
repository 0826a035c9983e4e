"""Labelled utterances and candidate models in; which one to fine-tune, out, before anything but small heads is trained.

Each model encodes the same sample, frozen, and once. What its layers know of the targets is measured by a linear probe on
speakers that it was not fitted to, and by LogME; the probe of the last layer, where the head of a fine-tune sits, gives the
order. For texts a new CTC head is trained there, too, which says what to expect. Needs the extra `cluster` (scikit-learn).
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from speechxfer.adaptation.head_probe import HeadProbe, frame_key, probe_head
from speechxfer.adaptation.layer_probe import Floats, LayerScore, Task, probe_layer
from speechxfer.adaptation.scikit import need_scikit
from speechxfer.data import Manifest, check_sets, normalise, refuse, sift_sets
from speechxfer.errors import DataError, Problem
from speechxfer.evaluation import FeatureGap, compare_features
from speechxfer.features import DiskStore, Keys, Statistics, StatisticsEncoder
from speechxfer.models import new_head

RANDOM = "random"
"""Names the control: the shape of the first candidate, with random weights."""

_MOST = {"classification": 400, "ctc": 300}  # utterances that are encoded
_MOST_OF_TARGET = 200
_FEWEST = 20
_FEWEST_DRAWN = 8  # speakers
_FEWEST_PARTED = 3  # into those that a head is trained on, chosen by and tested on
_DRAWS = 1000
_SILENT_EFFECT = 1e-3  # a symbol's share that varies less than this is no target
_MUCH_CHEAPER = 1.5


@dataclass(frozen=True)
class Candidate:
    """One model.

    Attributes
    ----------
    model
        As it was named.
    score
        Of its last layer's probe, see `LayerScore`.
    interval
        95 % of the bootstrap's draws.
    best_layer, layers
        From 0, which is what goes into the first layer; the best by the probe.
    first_share
        Share of the bootstrap's draws in which it comes first.
    parameters
        Of the encoder.
    weights_mb
        What they take in memory; batches come on top.
    real_time_factor
        Seconds that encoding a second of the sample took, here, reading included; less where features were in the store.
    head
        For `ctc`: what a new head on the last layer learned from the sample.
    gap
        How far the sample is, in the best layer, from where the model is to work; None if that was not given.
    """

    model: str
    score: float
    interval: tuple[float, float]
    best_layer: int
    layers: tuple[LayerScore, ...]
    first_share: float
    parameters: int
    weights_mb: float
    real_time_factor: float
    head: HeadProbe | None
    gap: FeatureGap | None


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
    target: Manifest | None = None,
    store: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Ranking:
    """Rank models by what their frozen layers know of a task.

    Parameters
    ----------
    manifest
        With `label` for classification, `text` for ctc; of a large one, 400 or 300 utterances are used, always the same.
    models
        Directories of pretrained or fine-tuned models, `tiny`, or `random`: the first one's shape with random weights.
    task
        What for.
    target
        Recordings of where the model is to work, with or without labels, to measure how far the sample is from them.
    store
        Directory of a feature store, so that later runs encode nothing again; None forgets what was encoded.
    device, precision
        See `StatisticsEncoder`; heads are trained in fp32 where this is int8.
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
    StoreError
        If the store cannot be used.
    ValueError
        If no model is named but `random`.

    Notes
    -----
    LogME: K. You et al., "LogME: practical assessment of pre-trained models for transfer learning", ICML 2021.
    """
    need_scikit("ranking")
    named = list(dict.fromkeys(models))
    if not [name for name in named if name != RANDOM]:
        raise ValueError("expected at least one model that is not random")
    checked, _ = check_sets({"data": manifest}, task, normaliser="basic")
    shape = next(name for name in named if name != RANDOM)
    others = _checked_target(target) if target is not None else None
    with tempfile.TemporaryDirectory() as folder:
        places = {name: _random_twin(shape, folder) if name == RANDOM else name for name in named}
        given: dict[str, Any] = {"device": device, "precision": precision}
        # Each is loaded here and dropped again: one that cannot be is refused at once, and memory holds one at a time.
        most_seconds = min(StatisticsEncoder(place, **given).max_seconds for place in places.values())
        sample = _sample(checked["data"], most_seconds, _MOST[task])
        others = others and _sample(others, most_seconds, _MOST_OF_TARGET)
        _, over = _blocks(sample, fewest=2)
        found: dict[str, _Findings] = {}
        progress(0, len(named))
        for name, place in places.items():
            with tempfile.TemporaryDirectory(dir=folder) as own:
                found[name] = _examine(place, sample, task, others, store or own, **given)
            progress(len(found), len(named))
    candidates, within = _ordered(found)
    return Ranking(task, len(sample), over, found[named[0]].drawn_over, candidates, within, _verdict(candidates, within))


def _checked_target(target: Manifest) -> Manifest:
    good, problems = sift_sets({"target": target}, None)
    refuse(problems, good, "error")
    return good["target"]


def _random_twin(shape: str, folder: str) -> str:
    """Save a model's shape with random weights, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        new_head(shape, "classification", labels=("any",), random_encoder=True).save(Path(folder))
    return folder


def _sample(manifest: Manifest, most_seconds: float, most: int) -> Manifest:
    """Draw by id, so that neither chance nor the order of rows changes what is found."""
    seconds = [float(value) for value in manifest.columns["duration"]]
    rows = [row for row in range(len(manifest)) if seconds[row] <= most_seconds]
    rows.sort(key=lambda row: hashlib.blake2b(manifest.columns["id"][row].encode()).digest())
    if len(rows) < _FEWEST:
        what = f"{len(rows)} utterances that all models take, expected {_FEWEST} or more to rank models"
        raise DataError([Problem(manifest.source, None, what)])
    return manifest.select(rows[:most])


def _targets(sample: Manifest, task: Task) -> Floats:
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


def _blocks(sample: Manifest, fewest: int) -> tuple[npt.NDArray[np.str_], str]:
    """Give each utterance's speaker, or itself where not all or too few are known; and which of both."""
    speakers = [utterance.fields.get("speaker", "") for utterance in sample]
    if all(speakers) and len(set(speakers)) >= fewest:
        return np.array(speakers), "speaker"
    return np.array([utterance.id for utterance in sample]), "utterance"


@dataclass(frozen=True)
class _Findings:
    """What was measured of one model; of each utterance its score by the last layer's probe, and its block to draw by."""

    layers: tuple[LayerScore, ...]
    scores: Floats
    blocks: npt.NDArray[np.str_]
    drawn_over: str
    parameters: int
    factor: float
    gap: FeatureGap | None
    head: HeadProbe | None = None


def _examine(
    model: str, sample: Manifest, task: Task, others: Manifest | None, store: str | Path, device: str, precision: str
) -> _Findings:
    """Measure a model: what its layers know, and for texts what a new head learns from the frames of the same forward."""
    with closing(DiskStore(store, "float16")) as features:
        key = frame_key(model, device, precision, features) if task == "ctc" and precision != "int8" else None
        encoder = StatisticsEncoder(model, device=device, precision=precision, store=features)
        found = _probe_layers(encoder, sample, task, others, key)
    del encoder  # before the head's run loads the model again
    if task == "classification":
        return found
    blocks, _ = _blocks(sample, fewest=_FEWEST_PARTED)
    exactness = "fp32" if precision == "int8" else precision  # a head is not trained on the frames of integers
    return replace(found, head=probe_head(model, sample, blocks.tolist(), store, device, exactness))


def _probe_layers(
    encoder: StatisticsEncoder, sample: Manifest, task: Task, others: Manifest | None, key: Keys | None
) -> _Findings:
    """Score each layer by probes; what counts is the last one's."""
    targets, (blocks, _), drawn = _targets(sample, task), _blocks(sample, fewest=2), _blocks(sample, fewest=_FEWEST_DRAWN)
    start = time.perf_counter()
    statistics = _encode(encoder, sample, key)
    factor = (time.perf_counter() - start) / sum(map(float, sample.columns["duration"]))
    probed = [probe_layer(_means(statistics, layer), targets, blocks, task) for layer in range(statistics.shape[1])]
    layers, scores = zip(*probed, strict=True)
    best = _best(layers)
    gap = None
    if others is not None:
        pair = (sample, others)
        gap = compare_features(
            (_means(statistics, best), _means(_encode(encoder, others), best)),
            tuple(part.columns.get("speaker", [""] * len(part)) for part in pair),  # type: ignore[arg-type]
            tuple(part.columns["id"] for part in pair),  # type: ignore[arg-type]
        )
    return _Findings(layers, scores[-1], *drawn, encoder.num_parameters, factor, gap)


def _best(layers: Sequence[LayerScore]) -> int:
    return max(range(len(layers)), key=lambda layer: layers[layer].probe)


def _encode(encoder: StatisticsEncoder, manifest: Manifest, key: Keys | None = None) -> Statistics:
    return encoder([*manifest], [float(value) for value in manifest.columns["duration"]], key)


def _means(statistics: Statistics, layer: int) -> Floats:
    return statistics[:, layer, : statistics.shape[2] // 2].astype(float)


def _ordered(found: Mapping[str, _Findings]) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Give candidates from the best on, and who of them is within noise of the first."""
    scores = {name: float(one.scores.mean()) for name, one in found.items()}
    names = sorted(found, key=lambda name: (-scores[name], name))
    draws = _draw_scores(np.stack([found[name].scores for name in names]), found[names[0]].blocks)
    lowest, highest = np.percentile(draws, [2.5, 97.5], axis=1)
    first = np.bincount(draws.argmax(axis=0), minlength=len(names)) / draws.shape[1]
    candidates = tuple(
        Candidate(
            model=name,
            score=scores[name],
            interval=(float(lowest[place]), float(highest[place])),
            best_layer=_best(found[name].layers),
            layers=found[name].layers,
            first_share=float(first[place]),
            parameters=found[name].parameters,
            weights_mb=round(4 * found[name].parameters / 2**20, 1),
            real_time_factor=found[name].factor,
            head=found[name].head,
            gap=found[name].gap,
        )
        for place, name in enumerate(names)
    )
    behind = np.percentile(draws[0] - draws, 2.5, axis=1)
    return candidates, tuple(name for name, low in zip(names[1:], behind[1:], strict=True) if low <= 0)


def _draw_scores(scores: Floats, blocks: npt.NDArray[np.str_]) -> Floats:
    """Give mean scores `[models, draws]` of `[models, utterances]`: blocks with replacement, the same for all."""
    names, block_of = np.unique(blocks, return_inverse=True)
    sums = np.stack([np.bincount(block_of, row, len(names)) for row in scores])
    sizes = np.bincount(block_of, minlength=len(names))
    times = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), _DRAWS).T
    return (sums @ times) / (sizes @ times)


def _verdict(candidates: Sequence[Candidate], within: Sequence[str]) -> str:
    best = candidates[0]
    if best.model == RANDOM or RANDOM in within:
        return "No model does clearly better than random weights here: take more or other data, or other models."
    said = f"{best.model}: best probe ({best.score:.3f}, first in {best.first_share:.0%} of the draws)"
    cheaper = [one for one in candidates if one.model in within and one.parameters * _MUCH_CHEAPER <= best.parameters]
    taken = min(cheaper, key=lambda one: one.parameters) if cheaper else best
    if cheaper:
        said += f"; {taken.model} is within noise and {best.parameters / taken.parameters:.1f} times smaller: take that"
    elif within:
        said += f"; {', '.join(within)} {'is' if len(within) == 1 else 'are'} within noise and not much smaller"
    else:
        said += "; no other is within noise" if len(candidates) > 1 else "; there is no other to compare it with"
    return f"{said}. {_expected(taken)}"


def _expected(taken: Candidate) -> str:
    """Say what to expect of a fine-tune, from what the head alone reached on the sample."""
    if taken.head is None:
        return f"A head alone is right in about {taken.score:.0%}; upper layers and more data may do better."
    reached = f"a head alone reached that on speakers it did not hear, from {taken.head.minutes:.0f} minutes"
    return f"Expect WER of about {taken.head.wer:.0%} or less: {reached}; upper layers and more data may do better."

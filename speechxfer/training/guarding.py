"""The guard's arm: a model before and after in; what was lost on `data.guard`, and a remedied model, out.

The guard decides (`speechxfer.evaluation.judge`), this acts.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from speechxfer.data import Manifest
from speechxfer.evaluation import GuardVerdict, RowErrors, SetScores, halves, judge
from speechxfer.features import MemoryStore
from speechxfer.models import SpeechModel
from speechxfer.recipe import Recipe
from speechxfer.training.comparisons import StartingPoint, score_set
from speechxfer.training.preparation import Prepared
from speechxfer.training.run import Run

_STEPS = 10  # of the way from the starting point to the tuned model


@dataclass(frozen=True)
class Guarded:
    """What the guard left.

    Attributes
    ----------
    speech_model
        The tuned model, or the remedied one.
    is_refused
        Whether it must not be used.
    section
        The `guard` section of the report.
    """

    speech_model: SpeechModel
    is_refused: bool
    section: dict[str, Any]


def guard(recipe: Recipe, prepared: Prepared, start: StartingPoint, run: Run) -> Guarded:
    """Judge the tuned model on every guard set, and remedy it if the recipe says so."""
    sets = {name: manifest for name, manifest in prepared.sets.items() if name.startswith("guard")}
    tuned = prepared.speech_model
    before = {name: score_set(recipe, start.speech_model, manifest) for name, manifest in sets.items()}
    after = {name: score_set(recipe, tuned, manifest) for name, manifest in sets.items()}
    limit = recipe.guard.max_regression
    verdicts = {name: judge(before[name].rows, after[name].rows, limit) for name in sets}
    section: dict[str, Any] = {"before": _scores(before), "after": _scores(after), "verdicts": _dicts(verdicts)}
    refused = _is_refused(verdicts, recipe)
    if recipe.guard.remedy == "auto" and any(verdict.outcome != "intact" for verdict in verdicts.values()):
        run.tell("note", text="guard: not intact; looks for a mixture of the weights before and after")
        curve = _trade_off(recipe, prepared, start, sets, before)
        section["trade_off"] = [vars(point) for point in curve]
        if best := _choose(curve, limit):
            mixed = _mixed(start.weights, tuned, best.share)
            judged = {name: _judge_on_the_other_half(recipe, mixed, sets[name], before[name].rows) for name in sets}
            if not _is_refused(judged, recipe) or refused:
                section |= {"remedy": "interpolate", "share": best.share, "verdicts_after_remedy": _dicts(judged)}
                tuned, refused = mixed, _is_refused(judged, recipe)
    section["outcome"] = "refused" if refused else "accepted"
    for name, verdict in section.get("verdicts_after_remedy", section["verdicts"]).items():
        run.tell("note", text=f"{name}: {verdict['sentence']}")
    return Guarded(tuned, refused, section)


@dataclass(frozen=True)
class Point:
    """A mixture: its share of the tuned weights, its dev error, and what it loses on the half of the guard it is chosen by."""

    share: float
    dev_error: float
    losses: dict[str, float]


def _trade_off(
    recipe: Recipe, prepared: Prepared, start: StartingPoint, sets: dict[str, Manifest], before: dict[str, SetScores]
) -> list[Point]:
    store = MemoryStore("float32") if _encoder_is_the_same(start, prepared.speech_model) else None
    points = []
    for step in range(_STEPS + 1):
        share = step / _STEPS
        mixed = _mixed(start.weights, prepared.speech_model, share)
        dev = score_set(recipe, mixed, prepared.sets["dev"], store)
        losses = {}
        for name, manifest in sets.items():
            rows, _ = halves(before[name].rows)
            chosen_on = score_set(recipe, mixed, manifest.select(rows), store).rows
            losses[name] = chosen_on.rate - before[name].rows.select(rows).rate
        points.append(Point(share, dev.rows.rate, losses))
    return points


def _encoder_is_the_same(start: StartingPoint, tuned: SpeechModel) -> bool:
    """Tell whether all mixtures share their encoder, so that it need not listen again for each."""
    encoder = tuned.model.base_model_prefix + "."
    own: nn.Module = tuned.model
    return all(
        torch.equal(start.weights[name].to(w.device), w) for name, w in own.state_dict().items() if name.startswith(encoder)
    )


def _choose(curve: Sequence[Point], limit: float) -> Point | None:
    """Give the mixture with the lowest dev error that loses no more than it may; not the starting point itself."""
    allowed = [point for point in curve if point.share > 0 and all(loss <= limit for loss in point.losses.values())]
    return min(allowed, key=lambda point: (point.dev_error, point.share)) if allowed else None


def _judge_on_the_other_half(recipe: Recipe, mixed: SpeechModel, manifest: Manifest, before: RowErrors) -> GuardVerdict:
    _, rows = halves(before)
    return judge(before.select(rows), score_set(recipe, mixed, manifest.select(rows)).rows, recipe.guard.max_regression)


def _mixed(start: dict[str, Tensor], tuned: SpeechModel, share: float) -> SpeechModel:
    """Give a model between two: `start` + share · (tuned - start), of every weight (WiSE-FT, Wortsman et al., CVPR 2022)."""
    model = copy.deepcopy(tuned.model)
    own: nn.Module = model
    own.load_state_dict(
        {
            name: start[name].to(weight.device).lerp(weight, share) if weight.is_floating_point() else weight
            for name, weight in tuned.model.state_dict().items()
        }
    )
    return replace(tuned, model=model)


def _is_refused(verdicts: dict[str, GuardVerdict], recipe: Recipe) -> bool:
    unwanted = {"broken", "undecided"} if recipe.guard.undecided == "stop" else {"broken"}
    return any(verdict.outcome in unwanted for verdict in verdicts.values())


def _scores(scored: dict[str, SetScores]) -> dict[str, Any]:
    return {name: result.scores for name, result in scored.items()}


def _dicts(verdicts: dict[str, GuardVerdict]) -> dict[str, Any]:
    return {name: verdict.to_dict() for name, verdict in verdicts.items()}

"""What a run is compared with: where it started, and the same recipe from random weights or on less data.

Every comparison that trains is a run of its own in a folder of the main one, so that it can be resumed; scores come out.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from torch import Tensor, nn

from speechxfer.data import Manifest, normaliser_of, plan_batches
from speechxfer.evaluation import SetScores, compare, evaluate, extrapolate
from speechxfer.features import FeatureStore
from speechxfer.models import SpeechModel, load_model
from speechxfer.recipe import Recipe
from speechxfer.training.checkpoints import read_tensors
from speechxfer.training.preparation import (
    Prepared,
    can_do_the_task_before,
    model_under_new_head,
    starts_with_head_only,
)
from speechxfer.training.run import Run
from speechxfer.training.stages import train


def score(recipe: Recipe, prepared: Prepared) -> dict[str, SetScores]:
    """Score dev and test as `speechxfer evaluate` will on the saved model: nothing comes from the store."""
    return {name: score_set(recipe, prepared.speech_model, prepared.sets[name]) for name in ("dev", "test")}


def score_set(recipe: Recipe, speech_model: SpeechModel, manifest: Manifest, store: FeatureStore | None = None) -> SetScores:
    """Score one set of a run; a store serves several models with the same encoder."""
    training = recipe.training
    given: dict[str, Any] = {"device": training.device, "precision": training.precision, "groups": recipe.data.groups}
    return evaluate(speech_model, manifest, terms=recipe.data.terms or (), store=store, **given)


@dataclass(frozen=True)
class StartingPoint:
    """Where a run started, if that can do the task.

    Attributes
    ----------
    kind
        `pretrained model` or `after the head-only stage`.
    speech_model
        It.
    weights
        Its weights in the shape of the tuned model, whose head may have grown.
    """

    kind: str
    speech_model: SpeechModel
    weights: dict[str, Tensor]


def starting_point(recipe: Recipe, prepared: Prepared, run: Run) -> StartingPoint | None:
    """Give the pretrained model as it is, where it has a head for the task, else the model as its head-only stage left it."""
    if can_do_the_task_before(recipe):
        before = replace(load_model(recipe.model.path), normaliser=normaliser_of(recipe.data))
        if before.tokens:
            assert prepared.speech_model.tokens
            before = replace(before, tokens=replace(before.tokens, language=prepared.speech_model.tokens.language))
        grown = model_under_new_head(recipe, prepared.sets)
        return StartingPoint("pretrained model", before, grown.model.state_dict())
    if starts_with_head_only(recipe):
        weights = read_tensors(run.stage_start(1))
        model = copy.deepcopy(prepared.speech_model.model)
        cast(nn.Module, model).load_state_dict(weights)
        return StartingPoint("after the head-only stage", replace(prepared.speech_model, model=model), weights)
    return None


def proof(recipe: Recipe, prepared: Prepared, start: StartingPoint, result: dict[str, SetScores]) -> dict[str, Any]:
    """Compare the result with where it started; give the `before` and `proof` sections of the report."""
    before = score_set(recipe, start.speech_model, prepared.sets["test"])
    verdict = compare(before.rows, result["test"].rows)
    return {"before": {"kind": start.kind, "sets": {"test": before.scores}}, "proof": {"test": verdict.to_dict()}}


def scratch_control(recipe: Recipe, prepared: Prepared, result: dict[str, SetScores], run: Run) -> dict[str, Any]:
    """Train the same shape from random weights; give the `control` section of the report, with the gain of the transfer."""
    run.tell("note", text="control: the same recipe on the same shape with random weights")
    control = replace(prepared, speech_model=model_under_new_head(recipe, prepared.sets, random_encoder=True))
    train(recipe, control, run.beside("control", recipe))
    scores = score(recipe, control)
    gain = compare(scores["test"].rows, result["test"].rows, ("from random weights", "pretrained"))
    name = "negative transfer" if gain.overall.outcome == "worse" else "transfer"
    sets = {name: result.scores for name, result in scores.items()}
    return {"kind": "scratch", "sets": sets, "gain": {**gain.to_dict(), "sentence": f"{name}: {gain.sentence}"}}


def learning_curve(recipe: Recipe, prepared: Prepared, whole: dict[str, SetScores], run: Run) -> dict[str, Any]:
    """Train on shares of the data, and say what twice the data would give.

    Parameters
    ----------
    recipe, prepared, run
        Of the run on all data.
    whole
        Its scores.

    Returns
    -------
    dict
        The `learning_curve` section of the report. Errors are as the test set is judged; `twice` is None where the error does
        not clearly fall.

    Notes
    -----
    Shares are nested: what is in the smaller one is in the larger one. For labels each share holds all of them in proportion.
    Small shares are trained for more epochs, so that each takes as many steps as the whole; with the same epochs they would be
    undertrained, and the curve would promise too much.
    """
    everything = prepared.sets["train"]
    order = _nested_order(everything, recipe)
    scores = {100: whole}
    sizes = {100: everything}
    counts = {share: max(1, round(len(order) * share / 100)) for share in sorted(recipe.proof.learning_curve)}
    # Of a small set, several shares may be the same utterances; each is trained on once.
    for count, share in {count: share for share, count in counts.items() if count < len(order)}.items():
        sizes[share] = everything.select(sorted(order[:count]))
        sets = {**prepared.sets, "train": sizes[share]}
        longer = _for_as_many_steps(recipe, everything, sizes[share])
        run.tell("note", text=f"learning curve: {share} % of the training data")
        part = replace(prepared, sets=sets, speech_model=model_under_new_head(longer, sets))
        train(longer, part, run.beside(f"share-{share}", longer))
        scores[share] = score(longer, part)
    shares = sorted(scores)
    minutes = [sum(map(float, sizes[share].columns["duration"])) / 60 for share in shares]
    points = [
        {"share": share, "utterances": len(sizes[share]), "minutes": round(length, 2)}
        | {name: result.rows.rate for name, result in scores[share].items()}
        for share, length in zip(shares, minutes, strict=True)
    ]
    twice = extrapolate(minutes, [scores[share]["test"].rows for share in shares], 2 * minutes[-1])
    return {
        "measure": whole["test"].rows.measure,
        "test_speakers": len({*whole["test"].rows.blocks}),
        "points": points,
        "twice": twice and {"minutes": round(2 * minutes[-1], 2), "test": twice.error, "test_interval": twice.interval},
    }


def _nested_order(manifest: Manifest, recipe: Recipe) -> list[int]:
    """Give the rows in an order whose every beginning holds all labels in proportion; texts are simply shuffled."""
    random = np.random.default_rng(recipe.training.seed)
    strata = manifest.columns["label"] if recipe.task == "classification" else [""] * len(manifest)
    places: list[tuple[float, float, int]] = []
    for stratum in sorted(set(strata)):
        rows = random.permutation([row for row, name in enumerate(strata) if name == stratum])
        places += [(place / len(rows), float(random.random()), int(row)) for place, row in enumerate(rows)]
    return [row for _, _, row in sorted(places)]


def _for_as_many_steps(recipe: Recipe, whole: Manifest, part: Manifest) -> Recipe:
    """Give the recipe with more epochs, as many as make up for those of a part having fewer steps."""
    training = recipe.training
    longer = _steps_per_epoch(whole, recipe) / _steps_per_epoch(part, recipe)
    stages = [stage.model_copy(update={"epochs": stage.epochs and round(stage.epochs * longer)}) for stage in training.stages]
    epochs = {"epochs": round(training.epochs * longer), "patience": training.patience and round(training.patience * longer)}
    return recipe.model_copy(update={"training": training.model_copy(update={**epochs, "stages": stages})})


def _steps_per_epoch(manifest: Manifest, recipe: Recipe) -> int:
    batches = plan_batches([float(seconds) for seconds in manifest.columns["duration"]], recipe.training.batch_seconds)
    return math.ceil(len(batches) / recipe.training.accumulation)

"""What a run is compared with: the same recipe, beside it, from random weights or on less data.

Every comparison is a run of its own in a folder of the main one, so that it can be resumed; scores come out.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from speechxfer.data import Manifest, plan_batches
from speechxfer.evaluation import SetScores, evaluate, extrapolate
from speechxfer.recipe import Recipe
from speechxfer.training.preparation import Prepared, model_under_new_head
from speechxfer.training.run import Run
from speechxfer.training.stages import train


def score(recipe: Recipe, prepared: Prepared) -> dict[str, SetScores]:
    """Score dev and test as `speechxfer evaluate` will on the saved model: nothing comes from the store."""
    training, groups, model = recipe.training, recipe.data.groups, prepared.speech_model
    return {
        name: evaluate(model, prepared.sets[name], groups=groups, device=training.device, precision=training.precision)
        for name in ("dev", "test")
    }


def scratch_control(recipe: Recipe, prepared: Prepared, run: Run) -> dict[str, Any]:
    """Train the same shape from random weights; give the `control` section of the report."""
    run.tell("note", text="control: the same recipe on the same shape with random weights")
    control = replace(prepared, speech_model=model_under_new_head(recipe, prepared.sets, random_encoder=True))
    train(recipe, control, run.beside("control", recipe))
    return {"kind": "scratch", "sets": {name: result.scores for name, result in score(recipe, control).items()}}


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
        The `learning_curve` section of the report. Errors are WER, or 1 - accuracy; `twice` is None where the error does not
        clearly fall.

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
        "measure": "wer" if recipe.task == "ctc" else "error",
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

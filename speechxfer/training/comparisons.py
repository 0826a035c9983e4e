"""What a run is compared with: where it started, and the same recipe from random weights or on less data.

Every comparison that trains is a run of its own in a folder of the main one, so that it can be resumed; scores come out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from speechxfer.data import Manifest, plan_batches
from speechxfer.evaluation import SetScores, compare, evaluate, extrapolate
from speechxfer.models import SpeechModel, load_model
from speechxfer.recipe import Recipe
from speechxfer.training.checkpoints import read_tensors
from speechxfer.training.preparation import Prepared, model_under_new_head
from speechxfer.training.run import Run
from speechxfer.training.stages import train


def score(recipe: Recipe, prepared: Prepared) -> dict[str, SetScores]:
    """Score dev and test as `speechxfer evaluate` will on the saved model: nothing comes from the store."""
    return {name: _score_set(recipe, prepared.speech_model, prepared.sets[name]) for name in ("dev", "test")}


def _score_set(recipe: Recipe, speech_model: SpeechModel, manifest: Manifest) -> SetScores:
    training = recipe.training
    return evaluate(speech_model, manifest, groups=recipe.data.groups, device=training.device, precision=training.precision)


def proof(recipe: Recipe, prepared: Prepared, result: dict[str, SetScores], run: Run) -> dict[str, Any]:
    """Compare the result with where it started; give the `before` and `proof` sections of the report.

    The start is the pretrained model as it is, where it has a head for the task, else the model as its head-only first stage left
    it. Where there is neither, there is nothing to compare with, and no section.
    """
    if recipe.model.vocabulary != "new":
        kind, start = "pretrained model", load_model(recipe.model.path)
        before = _score_set(recipe, start, prepared.sets["test"])
    elif len(recipe.stages()) > 1 and recipe.stages()[0].train == "head":
        kind = "after the head-only stage"
        with _other_weights(prepared.speech_model.model, run.stage_start(1)):
            before = _score_set(recipe, prepared.speech_model, prepared.sets["test"])
    else:
        return {}
    verdict = compare(before.rows, result["test"].rows)
    return {"before": {"kind": kind, "sets": {"test": before.scores}}, "proof": {"test": verdict.to_dict()}}


@contextmanager
def _other_weights(model: PreTrainedModel, file: Path) -> Iterator[None]:
    """Put saved weights into a model for the duration of a block."""
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(read_tensors(file))
    try:
        yield
    finally:
        model.load_state_dict(own)


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

"""One stage: a split model, its features and targets in, the best weights (by dev error) left in the model.

Batches are a pure function of (seed, stage, epoch). Accelerate does devices, precision and accumulation.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from speechxfer.data import plan_batches
from speechxfer.errors import TrainingError
from speechxfer.evaluation import SetScores
from speechxfer.features import FeatureSource, Item
from speechxfer.models import FeatureBatch, SplitModel
from speechxfer.recipe import Recipe, StageSection
from speechxfer.training.checkpoints import BestCheckpoint
from speechxfer.training.loss import classification_losses, ctc_losses
from speechxfer.training.masking import mask_features
from speechxfer.training.optimizer import WeightAverage, make_optimizer, make_schedule
from speechxfer.training.run import Run

COLLAPSED_SHARE = 0.995
COLLAPSE_ADVICE = (
    "the model answers blank everywhere. Likely causes: the learning rate of the head is too high or too low, too few steps "
    "(more epochs, smaller training.batch_seconds), or texts that do not belong to the audio"
)


@dataclass(frozen=True)
class TrainingSet:
    """What is trained on.

    Attributes
    ----------
    views
        For each utterance its views: first those of `data.train`, then those of `data.mix`.
    targets
        For each utterance its symbol numbers, or its label number.
    num_own
        How many are of `data.train`.
    """

    views: Sequence[Sequence[Item]]
    targets: Sequence[Any]
    num_own: int


@dataclass(frozen=True)
class StageResult:
    """How a stage went.

    Attributes
    ----------
    best_epoch
        From 1; its weights are in the model.
    dev_error
        That epoch's CER, or 1 - accuracy.
    steps
        Of the optimiser.
    data_wait_share
        Share of the training time spent waiting for features.
    seconds_to_first_step
        From the start of the stage to the end of its first step.
    seconds
        Of the whole stage.
    collapsed
        Whether it was stopped because the model answered blank everywhere.
    """

    best_epoch: int
    dev_error: float
    steps: int
    data_wait_share: float
    seconds_to_first_step: float
    seconds: float
    collapsed: bool


def run_stage(
    number: int,
    stage: StageSection,
    recipe: Recipe,
    split: SplitModel,
    source: FeatureSource,
    training_set: TrainingSet,
    score_dev: Callable[[], SetScores],
    accelerator: Accelerator,
    run: Run,
) -> StageResult:
    """Train one stage.

    Parameters
    ----------
    number
        From 0.
    stage
        With every value filled in.
    recipe
        The run's recipe.
    split, source
        The model with its cut, and its features, prepared.
    training_set
        What is trained on.
    score_dev
        Scores the model as it stands.
    accelerator
        Devices, precision and accumulation.
    run
        Told each step and epoch; holds the best checkpoint.

    Returns
    -------
    StageResult
        The weights of its best epoch are in the model.

    Raises
    ------
    TrainingError
        If a loss is not finite; the utterances are named.
    """
    training = recipe.training
    epochs = stage.epochs or training.epochs
    assert stage.head_learning_rate is not None and stage.encoder_learning_rate is not None and stage.mix_share is not None
    plans = [_plan_epoch(training_set, recipe, number, epoch, stage.mix_share) for epoch in range(epochs)]
    total_steps = sum(math.ceil(len(plan) / training.accumulation) for plan in plans)
    optimizer = make_optimizer(split, stage.head_learning_rate, stage.encoder_learning_rate, training.weight_decay)
    schedule = make_schedule(optimizer, max(1, round(training.warmup_share * total_steps)), total_steps)
    average = WeightAverage(split, training.average_decay)
    best = BestCheckpoint(run.checkpoints / f"stage{number}-best.safetensors", split.model)
    prepared, prepared_optimizer = accelerator.prepare(split, optimizer)
    start, waited_before, collapsed = time.perf_counter(), source.seconds_waited, False
    train_seconds = first_step_seconds = 0.0
    steps = 0
    for epoch, plan in enumerate(plans):
        epoch_start, losses = time.perf_counter(), 0.0
        random = np.random.default_rng((training.seed, number, epoch, 1))
        torch.manual_seed(_torch_seed(training.seed, number, epoch))
        split.train_suffix()
        batches = source.batches([[item for _, item in batch] for batch in plan])
        for index, (batch, features) in enumerate(zip(plan, batches, strict=True)):
            masked = mask_features(features, recipe.augment, split.frame_seconds_at_cut, random).to(accelerator.device)
            rows = [row for row, _ in batch]
            with accelerator.accumulate(prepared):
                per_utterance = _losses(recipe, prepared(masked), masked, [training_set.targets[row] for row in rows], split)
                _refuse_non_finite(per_utterance, [item for _, item in batch])
                accelerator.backward(per_utterance.mean())
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(prepared.parameters(), training.max_grad_norm)
                prepared_optimizer.step()
                prepared_optimizer.zero_grad()
            if accelerator.sync_gradients:
                schedule.step()
                average.update()
                steps += 1
            first_step_seconds = first_step_seconds or time.perf_counter() - start
            loss = per_utterance.mean().item()
            losses += loss
            run.tell("step", stage=number, epoch=epoch + 1, epochs=epochs, step=index + 1, steps=len(plan), loss=loss)
        train_seconds += time.perf_counter() - epoch_start
        with average.applied():
            dev = score_dev()
            best.offer(dev.error, epoch + 1)
        record = {
            "stage": number,
            "epoch": epoch + 1,
            "epochs": epochs,
            "loss": losses / len(plan),
            "learning_rate": schedule.get_last_lr()[0],
            "train_seconds": time.perf_counter() - epoch_start,
            **{f"dev_{name}": dev.scores[name] for name in ("wer", "cer", "accuracy") if name in dev.scores},
        }
        run.tell("epoch", **record, blank_share=dev.blank_share, best_epoch=best.epoch)
        accelerator.log({name: value for name, value in record.items() if isinstance(value, float)}, step=steps)
        collapsed = recipe.task == "ctc" and dev.blank_share > COLLAPSED_SHARE
        if collapsed and epoch + 1 >= max(3, epochs // 3):
            run.tell("collapse", stage=number, epoch=epoch + 1, blank_share=dev.blank_share, advice=COLLAPSE_ADVICE)
            break
        if training.patience and epoch + 1 - best.epoch >= training.patience:
            break
    best.restore()
    return StageResult(
        best_epoch=best.epoch,
        dev_error=best.error,
        steps=steps,
        data_wait_share=(source.seconds_waited - waited_before) / max(train_seconds, 1e-9),
        seconds_to_first_step=first_step_seconds,
        seconds=time.perf_counter() - start,
        collapsed=collapsed,
    )


def _plan_epoch(
    training_set: TrainingSet, recipe: Recipe, stage: int, epoch: int, mix_share: float
) -> list[list[tuple[int, Item]]]:
    """Give the batches of an epoch: each own utterance once, in one of its views, and so many others that they are this share."""
    seed = recipe.training.seed
    random = np.random.default_rng((seed, stage, epoch, 0))
    others = range(training_set.num_own, len(training_set.views))
    count = min(len(others), round(training_set.num_own * mix_share / (1 - mix_share)))
    rows = [*range(training_set.num_own), *(random.choice(others, count, replace=False).tolist() if count else [])]
    chosen = [training_set.views[row][int(random.integers(len(training_set.views[row])))] for row in rows]
    batches = plan_batches([item.seconds for item in chosen], recipe.training.batch_seconds, (seed, stage, epoch))
    return [[(rows[place], chosen[place]) for place in batch] for batch in batches]


def _torch_seed(seed: int, stage: int, epoch: int) -> int:
    return int(np.random.default_rng((seed, stage, epoch, 2)).integers(2**62))


def _losses(recipe: Recipe, logits: Tensor, batch: FeatureBatch, targets: Sequence[Any], split: SplitModel) -> Tensor:
    if recipe.task == "ctc":
        return ctc_losses(logits, split.frame_lengths(batch.input_lengths), targets)
    return classification_losses(logits, targets, recipe.training.label_smoothing)


def _refuse_non_finite(losses: Tensor, items: Sequence[Item]) -> None:
    if not bool(torch.isfinite(losses).all()):
        bad = [item.utterance for item, loss in zip(items, losses.tolist(), strict=True) if not math.isfinite(loss)]
        named = "\n".join(f"  {utterance.id} ({utterance.audio})" for utterance in bad)
        raise TrainingError(f"the loss is not finite; weights of earlier epochs are saved. Look at these utterances:\n{named}")

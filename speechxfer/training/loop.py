"""One stage: a split model, its features and targets in, the best weights (by dev error) left in the model.

Batches are a pure function of (seed, stage, epoch). Accelerate does devices and precision.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from speechxfer.data import plan_batches
from speechxfer.errors import RunStoppedError
from speechxfer.evaluation import SetScores
from speechxfer.features import FeatureSource, Item
from speechxfer.models import FeatureBatch, SplitModel
from speechxfer.recipe import Recipe
from speechxfer.training.checkpoints import BestCheckpoint
from speechxfer.training.masking import mask_features
from speechxfer.training.run import Run
from speechxfer.training.state import StageState
from speechxfer.training.step import MicroBatch, Stepper

COLLAPSED_SHARE = 0.995
COLLAPSED_STEPS = 300  # until then answering blank everywhere is where CTC begins: a short run goes on to its end
COLLAPSE_ADVICE = (
    "the model answers blank everywhere. Likely causes: the learning rate of the head is too high or too low, too few steps "
    "(more epochs, smaller training.batch_seconds), or texts that do not belong to the audio"
)

Planned = list[list[tuple[int, int]]]
"""Batches of (row of the training set, the number of the view of it that is used)."""


@dataclass(frozen=True)
class TrainingSet:
    """What is trained on.

    Attributes
    ----------
    views
        For each utterance its views: first those of `data.train`, then of `data.silence`, then of `data.mix`.
    targets
        For each utterance, and each of its views, its symbol numbers, its label number, or what its decoder learns.
    num_own
        How many are not of `data.mix`, so that each epoch has them all.
    seconds_computed
        How much audio the model works on for so much.
    """

    views: Sequence[Sequence[Item]]
    targets: Sequence[Sequence[Any]]
    num_own: int
    seconds_computed: Callable[[float], float] = float

    def seconds(self, row: int, view: int) -> float:
        """Give how much audio the model works on for a view."""
        return self.seconds_computed(self.views[row][view].seconds)


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
        Share of the training time spent waiting for features, since the run was last started.
    seconds_to_first_step
        From the start of the stage, or from its resumption, to the end of the first step.
    seconds
        Of the stage, since the run was last started.
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

    def to_dict(self) -> dict[str, Any]:
        """Give the fields by name."""
        return asdict(self)


def run_stage(
    number: int,
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
    recipe
        The run's recipe.
    split, source
        The model with its cut, and its features, prepared.
    training_set
        What is trained on.
    score_dev
        Scores the model as it stands.
    accelerator
        Devices and precision.
    run
        Told each step and epoch; keeps the best weights, and a checkpoint after each epoch, every `training.checkpoint_minutes`,
        and when interrupted. If it was resumed in this stage, the stage goes on.

    Returns
    -------
    StageResult
        The weights of its best epoch are in the model.

    Raises
    ------
    TrainingError
        If a loss is not finite; the utterances are named.
    RunStoppedError
        If the user stopped the run; the state is saved.
    """
    training, stage = recipe.training, recipe.stages()[number]
    epochs = stage.epochs or training.epochs
    batches = (_plan_epoch(training_set, recipe, number, epoch, stage.mix_share or 0.0) for epoch in range(epochs))
    plans = [_in_steps(planned, training.accumulation * accelerator.num_processes) for planned in batches]
    best = BestCheckpoint(run.checkpoints / f"stage{number}-best.safetensors", split.model)
    state = StageState(number, stage, recipe, split, sum(map(len, plans)), best)
    prepared, optimizer = accelerator.prepare(split, state.optimizer)
    stepper = Stepper(accelerator, prepared, optimizer, recipe, run)
    if saved := run.saved_in(number):
        state.restore(saved)
    start, waited_before, train_seconds, first_step_seconds = time.perf_counter(), source.seconds_waited, 0.0, 0.0
    last_saved, collapsed = time.monotonic(), False
    while state.epoch < epochs and not collapsed and not _out_of_patience(state, training.patience):
        plan, epoch_start = plans[state.epoch], time.perf_counter()
        if not state.step:
            state.begin_epoch()
        split.train_suffix()
        shares = _masked(plan[state.step :], source, recipe, split, state, training_set, accelerator)
        for step, micro_batches in zip(plan[state.step :], shares, strict=True):
            loss = stepper.take(micro_batches, sum(map(len, step)))
            state.pull()
            state.schedule.step()
            state.average.update()
            state.step, state.steps, state.loss_sum = state.step + 1, state.steps + 1, state.loss_sum + loss
            first_step_seconds = first_step_seconds or time.perf_counter() - start
            run.tell("step", stage=number, epoch=state.epoch + 1, epochs=epochs, step=state.step, steps=len(plan), loss=loss)
            if _any_process(accelerator, run.is_interrupted()):
                run.save(state.checkpoint())
                raise RunStoppedError
            if time.monotonic() - last_saved > 60 * training.checkpoint_minutes:
                run.save(state.checkpoint())
                last_saved = time.monotonic()
        epoch_seconds = time.perf_counter() - epoch_start
        train_seconds += epoch_seconds
        with state.average.applied():
            dev = score_dev()
            best.offer(dev.error, state.epoch + 1)
        collapsed = _tell_epoch(run, accelerator, recipe, state, epochs, len(plan), dev, epoch_seconds)
        state.end_epoch()
        run.save(state.checkpoint())
        last_saved = time.monotonic()
        if run.is_interrupted():
            raise RunStoppedError
    best.restore()
    return StageResult(
        best_epoch=best.epoch,
        dev_error=best.error,
        steps=state.steps,
        data_wait_share=(source.seconds_waited - waited_before) / max(train_seconds, 1e-9),
        seconds_to_first_step=first_step_seconds,
        seconds=time.perf_counter() - start,
        collapsed=collapsed,
    )


def _out_of_patience(state: StageState, patience: int | None) -> bool:
    return patience is not None and state.epoch > 0 and state.epoch - state.best.epoch >= patience


def _tell_epoch(
    run: Run,
    accelerator: Accelerator,
    recipe: Recipe,
    state: StageState,
    epochs: int,
    num_steps: int,
    dev: SetScores,
    seconds: float,
) -> bool:
    """Log an epoch; tell whether the model has collapsed and had time enough not to."""
    epoch = state.epoch + 1
    record = {
        "stage": state.number,
        "epoch": epoch,
        "epochs": epochs,
        "loss": state.loss_sum / num_steps,
        "learning_rate": state.schedule.get_last_lr()[0],
        "train_seconds": seconds,
        **{f"dev_{name}": dev.scores[name] for name in ("wer", "cer", "accuracy") if name in dev.scores},
    }
    run.tell("epoch", **record, blank_share=dev.blank_share, best_epoch=state.best.epoch)
    accelerator.log({name: value for name, value in record.items() if isinstance(value, float)}, step=state.steps)
    had_time = epoch >= max(3, epochs // 3) and (state.steps >= COLLAPSED_STEPS or epoch == epochs)
    collapsed = recipe.task == "ctc" and dev.blank_share > COLLAPSED_SHARE and had_time
    if collapsed:
        run.tell("collapse", stage=state.number, epoch=epoch, blank_share=dev.blank_share, advice=COLLAPSE_ADVICE)
    return collapsed


def _plan_epoch(training_set: TrainingSet, recipe: Recipe, stage: int, epoch: int, mix_share: float) -> Planned:
    """Give the batches of an epoch: each own utterance once, in one of its views, and so many others that they are this share."""
    seed = recipe.training.seed
    random = np.random.default_rng((seed, stage, epoch, 0))
    others = range(training_set.num_own, len(training_set.views))
    count = min(len(others), round(training_set.num_own * mix_share / (1 - mix_share)))
    rows = [*range(training_set.num_own), *(random.choice(others, count, replace=False).tolist() if count else [])]
    chosen = [int(random.integers(len(training_set.views[row]))) for row in rows]
    seconds = [training_set.seconds(row, view) for row, view in zip(rows, chosen, strict=True)]
    batches = plan_batches(seconds, recipe.training.batch_seconds, (seed, stage, epoch))
    return [[(rows[place], chosen[place]) for place in batch] for batch in batches]


def _in_steps(batches: Planned, count: int) -> list[Planned]:
    """Put so many batches into each step of the optimiser; the last step of an epoch may have fewer."""
    return [batches[start : start + count] for start in range(0, len(batches), count)]


def _any_process(accelerator: Accelerator, is_so: bool) -> bool:
    """Tell whether it is so for any process: all stop after the same step."""
    if accelerator.num_processes == 1:
        return is_so
    told: Any = accelerator.reduce(torch.tensor(float(is_so), device=accelerator.device), "sum")
    return bool(told)


def _share(step: Planned, accelerator: Accelerator) -> Planned:
    """Give this process's batches of a step; one that has none gets the first, for nothing: all exchange gradients."""
    return step[accelerator.process_index :: accelerator.num_processes] or step[:1]


def _masked(
    steps: Sequence[Planned],
    source: FeatureSource,
    recipe: Recipe,
    split: SplitModel,
    state: StageState,
    training_set: TrainingSet,
    accelerator: Accelerator,
) -> Iterator[list[MicroBatch]]:
    """Give this process's masked batches of each step on the device, with their targets and utterances."""
    views, targets = training_set.views, training_set.targets
    shares = [_share(step, accelerator) for step in steps]
    features = source.batches([[views[row][view] for row, view in batch] for share in shares for batch in share])

    def masked(batch: FeatureBatch) -> FeatureBatch:
        return mask_features(batch, recipe.augment, split.frame_seconds_at_cut, state.masks).to(accelerator.device)

    for step, share in zip(steps, shares, strict=True):
        yield [
            MicroBatch(
                masked(batch),
                [targets[row][view] for row, view in places],
                [views[row][view].utterance for row, view in places],
                counts=accelerator.process_index < len(step),
            )
            for places, batch in zip(share, islice(features, len(share)), strict=True)
        ]

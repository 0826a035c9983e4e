"""The state of a stage under way: what changes from step to step, its way into a checkpoint, and back to the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from speechxfer.errors import TrainingError
from speechxfer.models import SplitModel
from speechxfer.recipe import Recipe, StageSection
from speechxfer.training.checkpoints import (
    BestCheckpoint,
    Checkpoint,
    frozen_digest,
    random_states,
    restore_random_states,
    seed_generators,
)
from speechxfer.training.optimizer import StartingPointPull, WeightAverage, make_optimizer, make_schedule


class StageState:
    """Optimiser, schedule, average, best weights, position and generators of one stage.

    Parameters
    ----------
    number
        Of the stage, from 0.
    stage
        With every value filled in.
    recipe
        The run's recipe.
    split
        The model with its cut.
    total_steps
        Of the optimiser, over all epochs.
    best
        Where the best weights go.
    """

    def __init__(
        self, number: int, stage: StageSection, recipe: Recipe, split: SplitModel, total_steps: int, best: BestCheckpoint
    ) -> None:
        training = recipe.training
        assert stage.head_learning_rate is not None and stage.encoder_learning_rate is not None
        self.number = number
        self._seed = training.seed
        self._model = split.model
        self._frozen = frozen_digest(split.model)
        self.optimizer = make_optimizer(split, stage.head_learning_rate, stage.encoder_learning_rate, training.weight_decay)
        self.schedule = make_schedule(self.optimizer, max(1, round(training.warmup_share * total_steps)), total_steps)
        self.pull = StartingPointPull(split, self.optimizer, training.l2_sp)
        self.average = WeightAverage(split, training.average_decay)
        self.best = best
        self.epoch = 0  # under way, from 0
        self.step = 0  # taken in this epoch
        self.steps = 0  # taken in this stage
        self.loss_sum = 0.0  # over the steps of this epoch
        self.masks = np.random.default_rng(0)

    def begin_epoch(self) -> None:
        """Seed every generator by (seed, stage, epoch) alone."""
        self.step, self.loss_sum = 0, 0.0
        self.masks = np.random.default_rng((self._seed, self.number, self.epoch, 1))
        seed_generators(self._seed, self.number, self.epoch, 2)

    def end_epoch(self) -> None:
        """Move to the start of the next epoch."""
        self.epoch += 1
        self.step = 0

    def checkpoint(self) -> Checkpoint:
        """Give all of it."""
        tensors: dict[str, Tensor] = {f"model.{name}": p for name, p in self._model.named_parameters() if p.requires_grad}
        tensors |= {f"buffer.{name}": buffer for name, buffer in self._model.named_buffers()}
        tensors |= {f"average.{index}": tensor for index, tensor in enumerate(self.average.tensors)}
        random_tensors, random_facts = random_states()
        tensors |= {f"random.{name}": state for name, state in random_tensors.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        facts = {
            "stage": self.number,
            "epoch": self.epoch,
            "step": self.step,
            "steps": self.steps,
            "loss_sum": self.loss_sum,
            "best": [self.best.error, self.best.epoch],
            "average_steps": self.average.steps,
            "schedule": self.schedule.state_dict()["last_epoch"],
            "rates": [group["lr"] for group in self.optimizer.param_groups],
            "masks": self.masks.bit_generator.state,
            "random": random_facts,
            "frozen": self._frozen,
        }
        return Checkpoint({name: tensor.detach().clone() for name, tensor in tensors.items()}, facts)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Become what a checkpoint says.

        Raises
        ------
        TrainingError
            If what is frozen is not what was frozen when it was written.
        """
        facts = checkpoint.facts
        if facts["frozen"] != self._frozen:
            raise TrainingError("the pretrained model is not the one this run began with; begin anew with another --out")
        groups: dict[str, dict[str, Any]] = {}
        for name, tensor in checkpoint.tensors.items():
            kind, _, rest = name.partition(".")
            groups.setdefault(kind, {})[rest] = tensor
        self._model.load_state_dict(groups["model"] | groups.get("buffer", {}), strict=False)
        for index, tensor in enumerate(self.average.tensors):
            tensor.copy_(groups["average"][str(index)])
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in groups.get("optimizer", {}).items():
            number, _, moment = name.partition(".")
            state.setdefault(int(number), {})[moment] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
        for group, rate in zip(self.optimizer.param_groups, facts["rates"], strict=True):
            group["lr"] = rate
        self.schedule.last_epoch = facts["schedule"]
        self.average.steps = facts["average_steps"]
        self.best.error, self.best.epoch = facts["best"]
        self.epoch, self.step, self.steps, self.loss_sum = (facts[name] for name in ("epoch", "step", "steps", "loss_sum"))
        self.masks.bit_generator.state = facts["masks"]
        restore_random_states(groups["random"], facts["random"])

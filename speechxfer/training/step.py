"""One step of the optimiser: masked batches in, weights moved, the mean loss per utterance out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from speechxfer.data import Utterance
from speechxfer.errors import TrainingError
from speechxfer.models import FeatureBatch
from speechxfer.recipe import Recipe
from speechxfer.training.loss import classification_losses, ctc_losses, seq2seq_losses, teacher_forcing
from speechxfer.training.run import Run


@dataclass(frozen=True)
class MicroBatch:
    """What goes through the model at once: features on the device, a target and an utterance for each row."""

    features: FeatureBatch
    targets: Sequence[Any]
    utterances: Sequence[Utterance]
    counts: bool = True  # or is there for the sake of the other processes alone

    def halves(self) -> list[MicroBatch]:
        """Give the two halves; a single row stays whole."""
        half = len(self.targets) // 2
        parts = (slice(half), slice(half, None)) if half else (slice(None),)
        return [MicroBatch(self.features.rows(part), self.targets[part], self.utterances[part], self.counts) for part in parts]


class Stepper:
    """Takes the steps of one stage.

    The loss of a step is the sum over its utterances divided by their number, however many batches and processes they come in.
    When memory runs out, batches are halved from then on; the result is the same but for rounding, so that exact resumption is
    no longer claimed.

    Parameters
    ----------
    accelerator
        Devices and precision.
    model, optimizer
        As accelerate prepared them.
    recipe
        For task, clipping and label smoothing.
    run
        Told when batches are halved.
    """

    def __init__(self, accelerator: Accelerator, model: nn.Module, optimizer: Any, recipe: Recipe, run: Run) -> None:
        self._accelerator = accelerator
        self._model = model
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._optimizer = optimizer
        self._recipe = recipe
        self._run = run
        self._halvings = 0

    def take(self, micro_batches: Sequence[MicroBatch], count: int) -> float:
        """Take one step.

        Parameters
        ----------
        micro_batches
            This process's.
        count
            Utterances of the step, all processes together.

        Returns
        -------
        float
            The mean loss of the step's utterances.

        Raises
        ------
        TrainingError
            If a loss is not finite (the utterances are named), or if one utterance alone does not fit into memory.
        """
        while True:
            parts = list(micro_batches)
            for _ in range(self._halvings):
                parts = [half for part in parts for half in part.halves()]
            try:
                return self._take(parts, count)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                if all(len(part.targets) == 1 for part in parts):
                    raise TrainingError(f"out of memory with one utterance at a time: {str(error).splitlines()[0]}") from None
            self._optimizer.zero_grad()
            self._halvings += 1
            advice = "a smaller training.batch_seconds avoids it"
            self._run.tell("note", text=f"out of memory: batches are cut into {2**self._halvings} from here on; {advice}")

    def _take(self, parts: Sequence[MicroBatch], count: int) -> float:
        processes = self._accelerator.num_processes  # whose gradients are averaged
        total = 0.0
        for number, part in enumerate(parts, start=1):
            # Processes exchange gradients once a step.
            with self._accelerator.no_sync(self._model) if number < len(parts) else nullcontext():
                losses = self._losses(part)
                _refuse_non_finite(losses, part.utterances)
                loss = losses.sum() * part.counts
                self._accelerator.backward(loss * processes / count)
            total += loss.item()
        self._accelerator.clip_grad_norm_(self._trained, self._recipe.training.max_grad_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if processes > 1:
            summed: Any = self._accelerator.reduce(torch.tensor(total, device=self._accelerator.device), "sum")
            total = float(summed)
        return total / count

    def _losses(self, part: MicroBatch) -> Tensor:
        smoothing = self._recipe.training.label_smoothing
        if self._recipe.task == "seq2seq":
            given, expected = (ids.to(part.features.frames.device) for ids in teacher_forcing(part.targets))
            return seq2seq_losses(self._model(part.features, given), expected, smoothing)
        logits = self._model(part.features)
        if self._recipe.task == "ctc":
            split = self._accelerator.unwrap_model(self._model)
            return ctc_losses(logits, split.frame_lengths(part.features.input_lengths), part.targets)
        return classification_losses(logits, part.targets, smoothing)


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _refuse_non_finite(losses: Tensor, utterances: Sequence[Utterance]) -> None:
    if not bool(torch.isfinite(losses).all()):
        bad = [utterance for utterance, loss in zip(utterances, losses.tolist(), strict=True) if not math.isfinite(loss)]
        named = "\n".join(f"  {utterance.id} ({utterance.audio})" for utterance in bad)
        raise TrainingError(f"the loss is not finite; weights of earlier epochs are saved. Look at these utterances:\n{named}")

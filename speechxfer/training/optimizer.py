"""What trains, in groups with their own rates: AdamW, linear warm-up, then a cosine to zero; and the running average."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from speechxfer.models import SplitModel, encoder_of

_FUSED_ON = ("cpu", "cuda")


def make_optimizer(split: SplitModel, head_rate: float, encoder_rate: float, weight_decay: float) -> AdamW:
    """Give AdamW over what trains.

    Parameters
    ----------
    split
        Its `requires_grad` says what trains.
    head_rate, encoder_rate
        Peak learning rates of the head or decoder, and of the encoder's layers.
    weight_decay
        Of matrices; vectors (biases, norms) never decay.

    Returns
    -------
    torch.optim.AdamW
        With up to four groups.
    """
    encoder_ids = {id(parameter) for parameter in encoder_of(split.model).parameters()}
    trainable = [parameter for parameter in split.parameters() if parameter.requires_grad]
    groups = []
    for in_encoder, rate in ((False, head_rate), (True, encoder_rate)):
        own = [parameter for parameter in trainable if (id(parameter) in encoder_ids) == in_encoder]
        for decays in (True, False):
            parameters = [parameter for parameter in own if (parameter.ndim > 1) == decays]
            if parameters:
                groups.append({"params": parameters, "lr": rate, "weight_decay": weight_decay * decays})
    return AdamW(groups, betas=(0.9, 0.98), fused=split.device.type in _FUSED_ON)


def make_schedule(optimizer: AdamW, warmup_steps: int, total_steps: int) -> LambdaLR:
    """Give a linear warm-up followed by a cosine to zero, stepped once per optimiser step."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, total_steps - warmup_steps)))

    return LambdaLR(optimizer, factor)


class StartingPointPull:
    """Pulls what is pretrained back to where the stage began (L2-SP), apart from the gradient, as AdamW decays weights.

    X. Li, Y. Grandvalet and F. Davoine, "Explicit inductive bias for transfer learning with convolutional networks", ICML 2018.

    Parameters
    ----------
    split
        The model, at its starting point.
    optimizer
        Whose rates scale the pull.
    strength
        0 pulls nothing.
    """

    def __init__(self, split: SplitModel, optimizer: AdamW, strength: float) -> None:
        self._strength = strength
        pretrained_ids = {id(parameter) for parameter in split.model.base_model.parameters()} if strength else set()
        groups = [(group, [p for p in group["params"] if id(p) in pretrained_ids]) for group in optimizer.param_groups]
        self._groups = [(group, own, [p.detach().clone() for p in own]) for group, own in groups if own]

    @torch.no_grad()
    def __call__(self) -> None:
        """Pull, after a step and before the schedule changes its rate."""
        for group, parameters, starts in self._groups:
            torch._foreach_lerp_(parameters, starts, min(1.0, group["lr"] * self._strength))


class WeightAverage:
    """Exponential running average of what trains (Polyak averaging); it is what gets evaluated and saved.

    Parameters
    ----------
    split
        The model under training.
    decay
        Weight of the past; in the first steps less, so that the random start is soon forgotten. 0 keeps the raw weights.
    """

    def __init__(self, split: nn.Module, decay: float) -> None:
        self._decay = decay
        self.steps = 0
        self._parameters: list[Tensor] = (
            [parameter for parameter in split.parameters() if parameter.requires_grad] if decay else []
        )
        self.tensors: list[Tensor] = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after an optimiser step."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        if self._parameters:
            torch._foreach_lerp_(self.tensors, self._parameters, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the model for the duration of a block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self._parameters, self.tensors, strict=True):
            kept = parameter.clone()
            parameter.copy_(average)
            average.copy_(kept)

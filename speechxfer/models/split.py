"""The found cut: a model in two halves, neither of which rewrites the family's own forward.

    prefix: inputs (log-mel or waveform, padded) -> `Features` per utterance, frozen, computed once
    suffix: features (padded) -> logits, what trains

Below the cut nothing trains. Whatever trains is found from `requires_grad`, on the order of the forward pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from speechxfer.models.families import Family


@dataclass(frozen=True)
class Cut:
    """Where the model is cut: before everything (`input`), before one layer (`layer`), or after the encoder (`end`)."""

    kind: str
    layer: int = 0

    def __str__(self) -> str:
        """Name the place."""
        return {"input": "before the encoder", "layer": f"before layer {self.layer}", "end": "after the encoder"}[self.kind]


@dataclass(frozen=True)
class Features:
    """The prefix's output for one utterance, never padded.

    Attributes
    ----------
    frames
        `[frames, width]` at the cut; for the cut before the encoder, the inputs `[input positions, width]`.
    input_length
        Input positions (mel frames or samples) the utterance had, from which the native forward derives its masks.
    """

    frames: Tensor
    input_length: int


@dataclass(frozen=True)
class FeatureBatch:
    """Features of several utterances, padded with zeros: `[batch, frames, width]`, with true lengths `[batch]`."""

    frames: Tensor
    lengths: Tensor
    input_lengths: Tensor

    def to(self, device: torch.device) -> FeatureBatch:
        """Move to a device."""
        return FeatureBatch(*(part.to(device, non_blocking=True) for part in (self.frames, self.lengths, self.input_lengths)))


def collate(features: Sequence[Features]) -> FeatureBatch:
    """Copy features into one fp32 batch; the originals are never handed to a forward, which writes into its input."""
    return FeatureBatch(
        pad_sequence([item.frames.float() for item in features], batch_first=True),
        torch.tensor([len(item.frames) for item in features]),
        torch.tensor([item.input_length for item in features]),
    )


class _Stop(Exception):  # noqa: N818 (it ends a forward, it is no error)
    def __init__(self, hidden: Tensor) -> None:
        self.hidden = hidden


class SplitModel(nn.Module):
    """A native model with its cut; calling it runs the suffix.

    Parameters
    ----------
    model
        The whole model; its parameters' `requires_grad` decide where the cut lies.
    family
        Its entry.
    """

    def __init__(self, model: nn.Module, family: Family) -> None:
        super().__init__()
        self.model = model
        self.family = family
        self.cut = find_cut(model, family)

    @property
    def _encoder(self) -> nn.Module:
        return self.model.get_submodule(self.family.encoder)

    @property
    def frame_seconds_at_cut(self) -> float:
        """Time between two frames of the features."""
        shortening = self.family.inputs_per_frame if self.cut.kind == "input" else 1
        return self.family.frame_seconds / shortening

    @torch.no_grad()
    def prefix(self, inputs: FeatureBatch) -> list[Features]:
        """Run the frozen part in evaluation mode.

        Parameters
        ----------
        inputs
            `frames` `[batch, input positions, width]`.

        Returns
        -------
        list of Features
            One per utterance, on the CPU, each cut to its own length.
        """
        if self.cut.kind == "input":
            hidden, lengths = inputs.frames, inputs.lengths
        else:
            was_training = self.model.training
            self.model.eval()
            hidden, lengths = self._run_to_cut(inputs), inputs.input_lengths // self.family.inputs_per_frame
            if was_training:
                self.train_suffix()
        return [
            Features(part[:length].cpu().clone(), input_length)
            for part, length, input_length in zip(hidden, lengths.tolist(), inputs.input_lengths.tolist(), strict=True)
        ]

    def _run_to_cut(self, inputs: FeatureBatch) -> Tensor:
        arguments = self._native_inputs(inputs.frames.transpose(1, 2), inputs.input_lengths)
        if self.cut.kind == "end":
            return self._encoder(**arguments).last_hidden_state

        def stop(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            raise _Stop(args[0])

        layer = self._encoder.get_submodule(f"{self.family.layers}.{self.cut.layer}")
        handle = layer.register_forward_pre_hook(stop)
        try:
            self._encoder(**arguments)
        except _Stop as stopped:
            return stopped.hidden
        finally:
            handle.remove()
        raise RuntimeError(f"the forward never reached {self.cut}")

    def forward(self, features: FeatureBatch) -> Tensor:
        """Run the suffix: features at the cut to logits (`[batch, frames, vocabulary]` or `[batch, labels]`)."""
        if self.cut.kind == "input":
            arguments = self._native_inputs(features.frames.transpose(1, 2), features.input_lengths)
            return self.model(**arguments).logits
        batch, num_frames, _ = features.frames.shape
        shape_only = features.frames.new_zeros(1, 1, 1).expand(batch, 1, num_frames * self.family.inputs_per_frame)
        with self._starting_at_cut(features.frames):
            return self.model(**self._native_inputs(shape_only, features.input_lengths)).logits

    def train_suffix(self) -> None:
        """Put what trains into training mode and everything below the cut into evaluation mode."""
        self.model.train()
        for _, modules in _forward_order(self.model, self.family):
            if not any(parameter.requires_grad for module in modules for parameter in module.parameters()):
                for module in modules:
                    module.eval()
        if self.cut.kind == "end":
            self._encoder.eval()

    def prefix_digest(self) -> str:
        """Give a hash of all weights below the cut and of the configuration that shapes them."""
        digest = hashlib.blake2b(f"{self.cut}{self.family.name}{getattr(self.model, 'config', '')}".encode(), digest_size=16)
        for modules in self._below_cut():
            for module in modules:
                for name, tensor in module.state_dict().items():
                    digest.update(name.encode())
                    digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def _below_cut(self) -> list[list[nn.Module]]:
        if self.cut.kind == "end":
            return [[self._encoder]]
        order = _forward_order(self.model, self.family)
        return [modules for cut, modules in order if cut.kind == "input" or cut.layer < self.cut.layer] * (
            self.cut.kind != "input"
        )

    def _native_inputs(self, values: Tensor, input_lengths: Tensor) -> dict[str, Tensor]:
        positions = torch.arange(values.shape[-1], device=values.device)
        return {"input_features": values, "attention_mask": (positions < input_lengths[:, None]).long()}

    @contextmanager
    def _starting_at_cut(self, hidden: Tensor) -> Iterator[None]:
        """For one call, let the model's own forward start at the cut with these hidden states."""
        encoder = self._encoder
        with ExitStack() as undo:
            if self.cut.kind == "end":
                undo.enter_context(_replaced_forward(encoder, lambda *_, **__: _EncoderOutput(hidden)))
            else:
                for path, factor in self.family.placeholders.items():
                    undo.enter_context(_replaced_forward(encoder.get_submodule(path), _shortener(factor)))
                parent, _, name = self.family.layers.rpartition(".")
                owner = encoder.get_submodule(parent)
                layers = getattr(owner, name)
                setattr(owner, name, layers[self.cut.layer :])
                undo.callback(setattr, owner, name, layers)
                first = layers[self.cut.layer]
                handle = first.register_forward_pre_hook(lambda _, args: (hidden, *args[1:]))
                undo.callback(handle.remove)
            yield


@dataclass(frozen=True)
class _EncoderOutput:
    last_hidden_state: Tensor


@contextmanager
def _replaced_forward(module: nn.Module, forward: Any) -> Iterator[None]:
    module.forward = forward
    try:
        yield
    finally:
        del module.forward


def _shortener(factor: int) -> Any:
    """Stand in for a convolution `[batch, 1, time]`: only the shape of the result counts."""

    def forward(values: Tensor) -> Tensor:
        return values[..., ::factor]

    return forward


def _forward_order(model: nn.Module, family: Family) -> list[tuple[Cut, list[nn.Module]]]:
    """Give the encoder's stretches in the order of the forward pass, each with the cut just below it."""
    encoder = model.get_submodule(family.encoder)
    order = [(Cut("input"), [encoder.get_submodule(path) for path in family.below_layers])]
    order += [(Cut("layer", index), [layer]) for index, layer in enumerate(encoder.get_submodule(family.layers).children())]
    # What lies above the last layer never trains without it, so it needs no cut of its own.
    order[-1][1].extend(encoder.get_submodule(path) for path in family.above_layers)
    return order


def find_cut(model: nn.Module, family: Family) -> Cut:
    """Find the lowest point on the forward path above which something trains."""
    for cut, modules in _forward_order(model, family):
        if any(parameter.requires_grad for module in modules for parameter in module.parameters()):
            return cut
    return Cut("end")

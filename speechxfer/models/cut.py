"""A model whose parameters say what trains in; the found cut, the lowest point of the forward pass above which any does, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from speechxfer.errors import ModelError
from speechxfer.models.families import Family


@dataclass(frozen=True)
class Cut:
    """Where the model is cut.

    Attributes
    ----------
    kind
        Before everything (`input`), above the `stem`, before one `layer`, or after the encoder (`end`).
    layer
        Number of the layer that is cut before, from 0; 0 for other kinds.
    """

    kind: str
    layer: int = 0

    @property
    def height(self) -> tuple[int, int]:
        """Give what orders cuts by how much lies below them."""
        return ("input", "stem", "layer", "end").index(self.kind), self.layer

    def __str__(self) -> str:
        """Name the place."""
        places = {"input": "before the encoder", "stem": "above the convolutional stem", "end": "after the encoder"}
        return places.get(self.kind, f"before layer {self.layer}")


def encoder_of(model: PreTrainedModel) -> PreTrainedModel:
    """Give the audio encoder of a model, with or without a decoder beside it."""
    base: Any = model.base_model
    encoder: PreTrainedModel = base.encoder if model.config.is_encoder_decoder else base
    return encoder


def decoder_of(model: PreTrainedModel) -> nn.Module | None:
    """Give the decoder that writes text, if a model has one."""
    base: Any = model.base_model
    return base.decoder if model.config.is_encoder_decoder else None


def frame_lengths(model: Any, input_lengths: Tensor) -> Tensor:
    """Give the frames at the head of utterances with so many input positions, both `[batch]`, by the model's own arithmetic."""
    return model._get_feat_extract_output_lengths(input_lengths)


def existing(encoder: nn.Module, paths: Sequence[str]) -> dict[str, nn.Module]:
    """Give the modules at those of the paths that this encoder has."""
    modules = dict(encoder.named_modules())
    return {path: modules[path] for path in paths if path in modules}


def forward_order(model: PreTrainedModel, family: Family) -> list[tuple[Cut, list[nn.Module]]]:
    """Give the encoder's stretches in the order of the forward pass, each with the cut just below it."""
    encoder = encoder_of(model)
    layers = list(encoder.get_submodule(family.layers).children())

    def modules(*paths: str) -> list[nn.Module]:
        return [*existing(encoder, paths).values()]

    # Projection and position convolution go with layer 0: whatever trains there, the cut lies above the stem.
    first = [*modules(*family.above_stem, *family.below_layers), layers[0]]
    if family.stem:
        order = [(Cut("input"), modules(*family.stem)), (Cut("stem") if family.above_stem else Cut("layer", 0), first)]
    else:
        order = [(Cut("input"), first)]
    order += [(Cut("layer", index), [layer]) for index, layer in enumerate(layers[1:], start=1)]
    # What lies above the last layer never trains without it, so it needs no cut of its own.
    order[-1][1].extend(modules(*family.above_layers))
    return order


def find_cut(model: PreTrainedModel, family: Family) -> Cut:
    """Find the lowest point on the forward path above which something trains."""
    for cut, modules in forward_order(model, family):
        if any(parameter.requires_grad for module in modules for parameter in module.parameters()):
            return cut
    return Cut("end")


def refuse_a_lost_layer(encoder: PreTrainedModel, cut: Cut) -> None:
    """Refuse what would let a training step run without the layer at the cut, where features are handed in, or without them.

    Raises
    ------
    ModelError
        If layers are skipped at random, or run a second time in the backward pass.
    """
    config: Any = encoder.config
    name = "encoder_layerdrop" if hasattr(config, "encoder_layerdrop") else "layerdrop"
    if getattr(config, name, 0.0):
        what = f"{name} is {getattr(config, name)}, which skips layers at random, also the first that trains"
        raise ModelError(f"the model is cut {cut}, and {what}; set model.config.{name} = 0.0")
    if any(getattr(module, "gradient_checkpointing", False) for module in encoder.modules()):
        what = "gradient checkpointing runs layers a second time, then without the features"
        raise ModelError(f"the model is cut {cut}, and {what}; turn gradient_checkpointing off")

"""`model.train` in, `requires_grad` out: which parameters train, and nothing else about freezing."""

from __future__ import annotations

from torch import nn

from speechxfer.errors import ModelError
from speechxfer.models.families import Family


def set_trainable(model: nn.Module, family: Family, train: str) -> None:
    """Mark what trains.

    Parameters
    ----------
    model
        The whole model, head included.
    family
        Its entry.
    train
        `head`; `top:N`: the last N layers, what lies above them and the head; `encoder`: everything above the convolutional
        stem; `all`.

    Raises
    ------
    ModelError
        If the model has fewer layers than asked for.
    """
    encoder = model.get_submodule(family.encoder)
    layers = list(encoder.get_submodule(family.layers).children())
    model.requires_grad_(True)
    encoder.requires_grad_(train == "all")
    if train.startswith("top:"):
        count = int(train.removeprefix("top:"))
        if count > len(layers):
            raise ModelError(f"model.train is {train}, but the encoder has {len(layers)} layers")
        upper = layers[-count:]
    else:
        upper = layers if train == "encoder" else []
    if upper:
        for module in (*upper, *(encoder.get_submodule(path) for path in family.above_layers)):
            module.requires_grad_(True)
    for path in family.never_trains:
        encoder.get_parameter(path).requires_grad_(False)


def describe_trainable(model: nn.Module, family: Family) -> list[tuple[str, int, int]]:
    """Give (part, parameters that train, all parameters) for each part of the model in forward order."""
    encoder = model.get_submodule(family.encoder)
    parts = [(f"{family.encoder}.{path}", encoder.get_submodule(path)) for path in family.below_layers]
    layers = encoder.get_submodule(family.layers).children()
    parts += [(f"{family.encoder}.{family.layers}.{index}", layer) for index, layer in enumerate(layers)]
    parts += [(f"{family.encoder}.{path}", encoder.get_submodule(path)) for path in family.above_layers]
    parts += [(name, child) for name, child in model.named_children() if name != family.encoder]
    return [
        (name, sum(p.numel() for p in part.parameters() if p.requires_grad), sum(p.numel() for p in part.parameters()))
        for name, part in parts
    ]

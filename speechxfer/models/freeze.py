"""`model.train` in, `requires_grad` out: which parameters train, and nothing else about freezing."""

from __future__ import annotations

from transformers import PreTrainedModel

from speechxfer.errors import ModelError
from speechxfer.models.families import Family


def set_trainable(model: PreTrainedModel, family: Family, train: str) -> None:
    """Mark what trains.

    Parameters
    ----------
    model
        The whole model, head included.
    family
        Its entry.
    train
        `head`; `top:N`: the last N layers, what lies above them and the head; `encoder`: everything above the convolutional
        stem; `lora:R`: the adapters that `inject_lora` has put in, and the head; `all`.

    Raises
    ------
    ModelError
        If the model has fewer layers than asked for, or sums all layers and only some would train.
    """
    if train not in ("head", "all") and getattr(model.config, "use_weighted_layer_sum", False):
        # A cut between would part the layers that are summed.
        raise ModelError(f"model.train is {train}, but model.weighted_layer_sum needs head or all")
    encoder = model.base_model
    layers = list(encoder.get_submodule(family.layers).children())
    model.requires_grad_(True)
    encoder.requires_grad_(train == "all")
    if train.startswith("top:"):
        count = int(train.removeprefix("top:"))
        if count > len(layers):
            raise ModelError(f"model.train is {train}, but the encoder has {len(layers)} layers")
        for module in (*layers[-count:], *(encoder.get_submodule(path) for path in family.norms_above_layers(encoder))):
            module.requires_grad_(True)
    elif train == "encoder":
        encoder.requires_grad_(True)
        for path in family.stem:
            encoder.get_submodule(path).requires_grad_(False)
    for name, parameter in encoder.named_parameters():
        if train.startswith("lora:") and ".lora_" in name:
            parameter.requires_grad_(True)
        if name in family.never_trains:
            parameter.requires_grad_(False)


def describe_trainable(model: PreTrainedModel, family: Family) -> list[tuple[str, int, int]]:
    """Give (part, parameters that train, all parameters) for each part of the model in forward order."""
    encoder, name_of_encoder = model.base_model, model.base_model_prefix
    below, above = family.norms_below_layers(encoder), family.norms_above_layers(encoder)
    layers = [f"{family.layers}.{index}" for index in range(len(list(encoder.get_submodule(family.layers).children())))]
    paths = (*family.stem, *family.above_stem, *below, *layers, *above)
    parts = [(f"{name_of_encoder}.{path}", encoder.get_submodule(path)) for path in paths]
    parts += [(name, child) for name, child in model.named_children() if name != name_of_encoder]
    return [
        (name, sum(p.numel() for p in part.parameters() if p.requires_grad), sum(p.numel() for p in part.parameters()))
        for name, part in parts
    ]

"""`model.train` in, `requires_grad` out: which parameters train, and nothing else about freezing."""

from __future__ import annotations

from transformers import PreTrainedModel

from speechxfer.errors import ModelError
from speechxfer.models.cut import decoder_of, encoder_of, existing
from speechxfer.models.families import Family


def set_trainable(model: PreTrainedModel, family: Family, train: str, decoder: str = "trained") -> None:
    """Mark what trains.

    Parameters
    ----------
    model
        The whole model, head or decoder included.
    family
        Its entry.
    train
        `head`, or `decoder` for a model with one; `top:N`: the last N layers, what lies above them and the head or decoder;
        `encoder`: everything above the convolutional stem; `adapter`: the language adapters of MMS, and the head; `lora:R`: the
        adapters that `inject_lora` has put in, and the head;
        `all`.
    decoder
        `trained`, or `frozen` whatever else trains.

    Raises
    ------
    ModelError
        If the model has fewer layers than asked for, no decoder, head or language adapters to train, or sums all layers and only
        some would train.
    """
    own_decoder = decoder_of(model)
    if train == "decoder" and not own_decoder:
        raise ModelError("model.train is decoder, but this model has none; take head")
    if own_decoder and (train == "head" or (train, decoder) == ("decoder", "frozen")):
        what = "nothing would train" if train == "decoder" else "a model that writes with a decoder has no head"
        raise ModelError(f"model.train is {train}, model.decoder {decoder}: {what}; take decoder, top:N, lora:R, encoder or all")
    if train not in ("head", "all") and getattr(model.config, "use_weighted_layer_sum", False):
        # A cut between would part the layers that are summed.
        raise ModelError(f"model.train is {train}, but model.weighted_layer_sum needs head or all")
    encoder = encoder_of(model)
    layers = list(encoder.get_submodule(family.layers).children())
    model.requires_grad_(True)
    encoder.requires_grad_(train == "all")
    if train.startswith("top:"):
        count = int(train.removeprefix("top:"))
        if count > len(layers):
            raise ModelError(f"model.train is {train}, but the encoder has {len(layers)} layers")
        for module in (*layers[-count:], *existing(encoder, family.above_layers).values()):
            module.requires_grad_(True)
    elif train == "encoder":
        encoder.requires_grad_(True)
        for path in family.stem:
            encoder.get_submodule(path).requires_grad_(False)
    elif train == "adapter":
        adapters = existing(encoder, [f"{family.layers}.{index}.{family.language_adapter}" for index in range(len(layers))])
        if not adapters:
            raise ModelError("model.train is adapter, but this model has no language adapters as MMS has; take lora:R")
        for adapter in adapters.values():
            adapter.requires_grad_(True)
    for name, parameter in encoder.named_parameters():
        if family.is_fixed(name):
            parameter.requires_grad_(False)
    if own_decoder and (decoder == "frozen" or train.startswith("lora:")):
        own_decoder.requires_grad_(False)
    for name, parameter in model.named_parameters():
        if train.startswith("lora:") and ".lora_" in name:
            parameter.requires_grad_(True)


def describe_trainable(model: PreTrainedModel, family: Family) -> list[tuple[str, int, int]]:
    """Say what of a model trains.

    Parameters
    ----------
    model
        The whole model, head or decoder included.
    family
        Its entry.

    Returns
    -------
    list of tuple
        Name, parameters that train, and all parameters of each part, in forward order.
    """
    decoder = decoder_of(model)
    encoder, name_of_encoder = encoder_of(model), "encoder" if decoder else model.base_model_prefix
    layers = [f"{family.layers}.{index}" for index in range(len(list(encoder.get_submodule(family.layers).children())))]
    paths = (*family.stem, *family.above_stem, *family.below_layers, *layers, *family.above_layers)
    parts = [(f"{name_of_encoder}.{path}", module) for path, module in existing(encoder, paths).items()]
    if decoder:
        parts.append(("decoder", decoder))
    else:
        parts += [(name, child) for name, child in model.named_children() if name != name_of_encoder]
    return [
        (name, sum(p.numel() for p in part.parameters() if p.requires_grad), sum(p.numel() for p in part.parameters()))
        for name, part in parts
    ]

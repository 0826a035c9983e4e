"""LoRA through peft: small adapters injected into the native encoder, trained in place of its weights, and merged away again.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import PreTrainedModel

from speechxfer.models.families import Family
from speechxfer.models.tensor_file import write_tensors

if TYPE_CHECKING:
    from peft import LoraConfig  # its import takes seconds, which only those who use it should wait

_SCALE = 2  # lora_alpha / r, the usual choice


@dataclass(frozen=True)
class Adapter:
    """What LoRA learned, apart from the encoder it was learned on.

    Attributes
    ----------
    config
        peft's, with rank and targets.
    tensors
        The low-rank matrices, `[rank, inputs]` and `[outputs, rank]` of each layer, by peft's names.
    """

    config: LoraConfig
    tensors: dict[str, Tensor]

    def save(self, directory: Path) -> None:
        """Write the adapter as peft writes one for the encoder; `save_head` adds the head that goes with it.

        Parameters
        ----------
        directory
            Of the adapter alone.

        Raises
        ------
        TrainingError
            If the disk is full or does not take it.
        """
        self.config.save_pretrained(str(directory))
        write_tensors(directory / "adapter_model.safetensors", self.tensors, {"format": "pt"})


def save_head(model: PreTrainedModel, directory: Path) -> None:
    """Write all that is not encoder as `head.safetensors`.

    Parameters
    ----------
    model
        The whole model.
    directory
        Of the adapter, see `Adapter.save`.

    Raises
    ------
    TrainingError
        If the disk is full or does not take it.
    """
    encoder = f"{model.base_model_prefix}."
    head = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(encoder)}
    write_tensors(directory / "head.safetensors", head, {"format": "pt"})


def inject_lora(model: PreTrainedModel, family: Family, rank: int, decoder: str = "trained") -> None:
    """Put adapters, which start without effect, on the linear layers that the family names.

    Parameters
    ----------
    model
        The whole model; it is changed.
    family
        Its entry.
    rank
        Of each adapter's two matrices; their product is scaled by 2.
    decoder
        `trained`: the layers of a decoder get adapters too; `frozen`: they do not.

    Notes
    -----
    E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
    """
    from peft import LoraConfig, inject_adapter_in_model

    # peft takes a name, a regular expression on the whole path, or a list of last names.
    names: str | list[str] = list(family.lora_targets)
    if model.config.is_encoder_decoder and decoder == "frozen":
        names = rf"encoder\..*\.({'|'.join(family.lora_targets)})"
    config = LoraConfig(r=rank, lora_alpha=_SCALE * rank, target_modules=names)
    inject_adapter_in_model(config, model.base_model)


def merge_lora(model: PreTrainedModel) -> Adapter:
    """Add the adapters to the weights they stand beside and take them out.

    Parameters
    ----------
    model
        With the adapters that `inject_lora` has put in; it is changed.

    Returns
    -------
    Adapter
        What was learned, on the CPU.
    """
    from peft import get_peft_model_state_dict
    from peft.tuners.lora import LoraLayer

    encoder: Any = model.base_model
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in get_peft_model_state_dict(encoder).items()}
    config = encoder.peft_config["default"]
    for name, module in list(encoder.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge(safe_merge=True)
            parent, _, own = name.rpartition(".")
            setattr(encoder.get_submodule(parent), own, module.get_base_layer())
    del encoder.peft_config
    return Adapter(config, tensors)

"""Language adapters of MMS: one language's weights in, out of a directory that holds those of many, and back.

Pratap et al., "Scaling Speech Technology to 1,000+ Languages", 2023. The files are those of `load_adapter` in transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from speechxfer.errors import ModelError
from speechxfer.models.directory import encoder_weights, read_tensors
from speechxfer.models.families import Family
from speechxfer.models.tensor_file import write_tensors

_FILE = "adapter.{}.safetensors"


def language_adapters(path: Path, family: Family, target_lang: str) -> dict[str, Tensor]:
    """Read one language's adapters, by their names in the encoder; the head that comes with them is left behind.

    Raises
    ------
    ModelError
        If there are none for this language; the message says which there are.
    """
    tensors = encoder_weights(adapters_with_head(path, target_lang), family)
    return {name: tensor for name, tensor in tensors.items() if "lm_head." not in name}


def adapters_with_head(path: Path, target_lang: str) -> dict[str, Tensor]:
    """Read one language's adapters and head, by their names in the complete model.

    Raises
    ------
    ModelError
        If there are none for this language; the message says which there are.
    """
    file = path / _FILE.format(target_lang)
    if not file.is_file():
        there = sorted(other.name.split(".")[1] for other in path.glob(_FILE.format("*")))
        what = f"languages there: {', '.join(there)}" if there else "there are none for any language"
        raise ModelError(f"{path}: no adapters for the language {target_lang!r} ({file.name}); {what}")
    return read_tensors(file)


def save_language_adapters(model: PreTrainedModel, target_lang: str, directory: Path) -> None:
    """Write the adapters and the head, so that many languages can share one base."""
    native: Any = model
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in native._get_adapters().items()}
    write_tensors(directory / _FILE.format(target_lang), tensors, {"format": "pt"})

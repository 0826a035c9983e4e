"""Tensors by name in, a safetensors file out that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from speechxfer.errors import TrainingError


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file beside and rename it once its bytes are on the disk.

    Parameters
    ----------
    path
        The file.
    tensors
        By name, of any shape and type, on any device.
    metadata
        Of the file.

    Raises
    ------
    TrainingError
        If the disk is full or does not take it; what stood at `path` stays.
    """
    beside = path.with_suffix(".part")
    whole: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        # The format has no tied weights.
        whole[name] = own.clone() if own.data_ptr() in places else own
        places.add(whole[name].data_ptr())
    try:
        save_file(whole, beside, dict(metadata))
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        beside.unlink(missing_ok=True)
        what = f"{path}: cannot be written: {error}"
        raise TrainingError(f"{what}; free some space and go on with --resume from the last checkpoint") from None

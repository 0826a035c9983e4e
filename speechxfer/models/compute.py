"""Where and how exactly a model computes: names such as `auto` in, a torch device and an autocast context out."""

from __future__ import annotations

import os

import torch

from speechxfer.errors import ModelError

# oneDNN and PyTorch each keep a thousand compiled kernels, one for every shape they met. Batches of speech seldom have the same
# shape twice, so memory grew by hundreds of megabytes and nothing got faster for it (RESULTS.md, "Kernels kept"). Both read this
# once, before the first forward; whoever has set it keeps what they set.
for _capacity in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_capacity, "64")


def choose_device(name: str) -> torch.device:
    """Give a device.

    Parameters
    ----------
    name
        A torch device, such as `cuda:0`; or `auto`, the GPU where there is one.

    Returns
    -------
    torch.device
        One that can be used.

    Raises
    ------
    ModelError
        If there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """Give the precision to compute with.

    Parameters
    ----------
    name
        `fp32`, `bf16`; or `auto`, which is bf16 where the hardware multiplies it natively.
    device
        Where is computed.

    Returns
    -------
    str
        `fp32` or `bf16`.

    Raises
    ------
    ModelError
        If it is none of these.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise ModelError(f"precision {name!r}: expected auto, fp32, bf16, or for inference on a CPU int8")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if device.type == "cpu" and native else "fp32"


def suitable_batch_seconds(device: torch.device) -> float:
    """Give how much padded audio one forward should take on a device, in seconds: on a CPU no more than its caches hold."""
    return 16.0 if device.type == "cpu" else 64.0


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Give the context in which a forward on this device runs in this precision, `fp32` or `bf16`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")

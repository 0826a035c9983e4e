"""A model directory in; its configuration and its weights, of safetensors only, or one line on what is wrong with it, out."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from speechxfer.data import fetch, is_remote, list_files
from speechxfer.errors import ModelError, StorageError
from speechxfer.models.families import Family

EMBEDDED = "tiny"
"""Names the model that comes with the package, wherever a directory is taken."""

# Weight norm as torch named it before it was a parametrisation.
_OLD_NAMES = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}


def read_config(directory: str | Path) -> tuple[Path, dict[str, Any]]:
    """Find a model's directory and read its `config.json`.

    Parameters
    ----------
    directory
        A model's, or its run's; a URL, which is fetched without pickles; or `tiny`, the embedded model.

    Returns
    -------
    pathlib.Path
        Where the model lies on this machine.
    dict
        Its configuration.

    Raises
    ------
    ModelError
        If there is no such directory, or it cannot be fetched; if its configuration is missing or cannot be read.
    """
    path = _fetched(str(directory)) if is_remote(directory) else Path(directory)
    if str(directory) == EMBEDDED and not path.exists():
        path = Path(str(files("speechxfer"))) / "assets" / EMBEDDED
    if (path / "model" / "config.json").is_file():
        path /= "model"
    if not path.is_dir():
        parent = path.parent if path.parent.is_dir() else Path()
        beside = sorted(child.name for child in parent.iterdir() if (child / "config.json").is_file())
        raise ModelError(f"{path}: no such model directory" + (f"; beside it: {', '.join(beside)}" if beside else ""))
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: not a model directory, config.json is missing") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path / 'config.json'}: not readable as JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path / 'config.json'}: expected an object, found {type(config).__name__}")
    return path, config


def _fetched(url: str) -> Path:
    try:
        files = list_files(url.rstrip("/"))
        folder = url.rstrip("/")
        if f"{folder}/model/config.json" in files:
            folder += "/model"
        wanted = [name for name in files if name.rpartition("/")[0] == folder and not _is_pickle(name)]
        if f"{folder}/config.json" not in wanted:
            raise ModelError(f"{url}: not a model directory, config.json is missing")
        return fetch(wanted)
    except StorageError as error:
        raise ModelError(f"{error}") from None


def _is_pickle(name: str) -> bool:
    """Tell by its name what nobody should open; `model.bin` is CTranslate2's and harmless."""
    return name.endswith((".bin", ".pt", ".pth", ".ckpt")) and name.rpartition("/")[2] != "model.bin"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read all tensors of `model.safetensors`, or of the parts its index names, as fp32."""
    index = path / "model.safetensors.index.json"
    if index.is_file():
        files = [path / name for name in sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))]
    else:
        files = [path / "model.safetensors"]
    tensors: dict[str, Tensor] = {}
    for file in files:
        if not file.is_file():
            pickles = sorted(p.name for p in path.iterdir() if _is_pickle(p.name))
            found = f"; {', '.join(pickles)} is a pickle and is not opened: convert it to safetensors" if pickles else ""
            raise ModelError(f"{path}: {file.name} is missing{found}")
        tensors |= read_tensors(file)
    return tensors


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read all tensors of one safetensors file as fp32."""
    try:
        with safe_open(file, framework="pt") as opened:
            return {_new_name(name): _as_fp32(opened.get_tensor(name)) for name in opened.keys()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file}: not a whole safetensors file: {error}") from None


def _as_fp32(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float32) if tensor.is_floating_point() else tensor


def _new_name(name: str) -> str:
    for old, new in _OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def load_strictly(module: torch.nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put weights into a module, or complain of all that is missing, left over or of another shape."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    complaints = [f"missing: {name}" for name in expected.keys() - found.keys()]
    complaints += [f"unexpected: {name}" for name in found.keys() - expected.keys()]
    complaints += [
        f"{name} has shape {found[name]}, expected {shape}" for name, shape in expected.items() if found.get(name, shape) != shape
    ]
    if complaints:
        shown = "\n  ".join(sorted(complaints)[:10]) + ("\n  ..." if len(complaints) > 10 else "")
        raise ModelError(f"{path}: the weights do not fit the configuration, {len(complaints)} complaint(s):\n  {shown}")
    module.load_state_dict(tensors, strict=True)


def encoder_weights(tensors: dict[str, Tensor], family: Family) -> dict[str, Tensor]:
    """Give the encoder's tensors of a file, by their names in the encoder."""
    for prefix in family.weight_prefixes:
        if any(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return {}

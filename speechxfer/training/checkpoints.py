"""What a run needs to go on after it was stopped or killed, on disk: safetensors and JSON, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from speechxfer.errors import TrainingError
from speechxfer.models import write_tensors


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and facts that JSON can hold."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write beside and rename.

        Raises
        ------
        TrainingError
            If the disk is full or does not take it; what stood at `path` stays.
        """
        write_tensors(path, self.tensors, {"facts": json.dumps(self.facts)})

    @classmethod
    def read(cls, path: Path) -> Checkpoint | None:
        """Give the checkpoint at a path, or None if there is none.

        Raises
        ------
        TrainingError
            If the file is damaged.
        """
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                return cls({name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["facts"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise TrainingError(f"{path}: a damaged checkpoint: {error}; remove it to begin anew") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file that `write_tensors` wrote.

    Raises
    ------
    TrainingError
        If it is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path}: a damaged checkpoint: {error}; begin anew with another --out") from None


class BestCheckpoint:
    """Keeps the weights of the lowest dev error.

    Parameters
    ----------
    path
        A safetensors file; it holds the parameters that train, and no others.
    model
        Whose parameters they are.
    """

    def __init__(self, path: Path, model: nn.Module) -> None:
        self._path = path
        self._model = model
        self.error = float("inf")
        self.epoch = 0

    def offer(self, error: float, epoch: int) -> bool:
        """Save the present weights unless earlier ones were better; tell whether they were saved.

        Of equal ones the later stay: dev sets are small, and where they no longer tell epochs apart, the loss still falls.
        """
        if error > self.error:
            return False
        self.error, self.epoch = error, epoch
        trainable = {name: parameter for name, parameter in self._model.named_parameters() if parameter.requires_grad}
        write_tensors(self._path, trainable, {"epoch": str(epoch)})
        return True

    def restore(self) -> None:
        """Put the best weights back into the model."""
        self._model.load_state_dict(read_tensors(self._path), strict=False)


def seed_generators(*numbers: int) -> None:
    """Seed every global generator that training may draw from by numbers such as seed, stage and epoch."""
    seeds = np.random.default_rng(numbers).integers(2**32, size=3).tolist()
    torch.manual_seed(seeds[0])
    np.random.seed(seeds[1])
    random.seed(seeds[2])


def random_states() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Give the state of every global generator that training may draw from, as tensors and as facts."""
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"cuda{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    name, key, *rest = np.random.get_state(legacy=True)
    return tensors, {"numpy": [name, np.asarray(key).tolist(), *rest], "python": random.getstate()}


def restore_random_states(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Put every global generator back where it was."""
    torch.set_rng_state(tensors["torch"])
    cuda = [tensors[name] for name in sorted(tensors) if name.startswith("cuda")]
    if cuda and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)
    name, key, *rest = facts["numpy"]
    np.random.set_state((name, np.array(key, dtype=np.uint32), *rest))
    version, internal, gauss = facts["python"]
    random.setstate((version, tuple(internal), gauss))


def frozen_digest(model: nn.Module) -> str:
    """Give a hash of every parameter that does not train."""
    digest = hashlib.blake2b(digest_size=16)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            digest.update(name.encode())
            digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()

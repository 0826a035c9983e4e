"""The best weights of a stage: what trains goes to disk beside the run, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn


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
        trainable = {name: p.detach().cpu().contiguous() for name, p in self._model.named_parameters() if p.requires_grad}
        beside = self._path.with_suffix(".part")
        save_file(trainable, beside, metadata={"epoch": str(epoch)})
        beside.replace(self._path)
        return True

    def restore(self) -> None:
        """Put the best weights back into the model."""
        self._model.load_state_dict(load_file(self._path), strict=False)

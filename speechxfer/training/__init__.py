"""Fine-tuning: stages, batches, losses, and the verb that runs them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Event": "speechxfer.training.run",
    "fill_store": "speechxfer.training.filling",
    "fit": "speechxfer.training.fitting",
    "finetune": "speechxfer.training.finetuning",
    "is_first_process": "speechxfer.training.processes",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.training.filling import fill_store as fill_store
    from speechxfer.training.finetuning import finetune as finetune
    from speechxfer.training.fitting import fit as fit
    from speechxfer.training.processes import is_first_process as is_first_process
    from speechxfer.training.run import Event as Event


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)

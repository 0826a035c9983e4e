"""speechxfer turns a pretrained speech model into your speech model, and proves that the result is better.

The public names below load on first use; importing the package loads neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "CommandRecognizer": "speechxfer.commands",
    "ProofCallback": "speechxfer.integrations",
    "Transcriber": "speechxfer.transcription",
    "evaluate": "speechxfer.evaluation",
    "finetune": "speechxfer.training",
    "load_model": "speechxfer.models",
    "read_manifest": "speechxfer.data",
    "read_recipe": "speechxfer.recipe",
    "split_for_trainer": "speechxfer.integrations",
}

__all__ = [
    "CommandRecognizer",
    "ProofCallback",
    "Transcriber",
    "__version__",
    "evaluate",
    "finetune",
    "load_model",
    "read_manifest",
    "read_recipe",
    "split_for_trainer",
]

if TYPE_CHECKING:
    from speechxfer.commands import CommandRecognizer
    from speechxfer.data import read_manifest
    from speechxfer.evaluation import evaluate
    from speechxfer.integrations import ProofCallback, split_for_trainer
    from speechxfer.models import load_model
    from speechxfer.recipe import read_recipe
    from speechxfer.training import finetune
    from speechxfer.transcription import Transcriber


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'speechxfer' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__

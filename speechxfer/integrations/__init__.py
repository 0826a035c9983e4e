"""Other people's frameworks, one file each: what this package can do, where their scripts already run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "FeatureCollator": "speechxfer.integrations.trainer",
    "ProofCallback": "speechxfer.integrations.trainer_proof",
    "split_for_trainer": "speechxfer.integrations.trainer",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.integrations.trainer import FeatureCollator as FeatureCollator
    from speechxfer.integrations.trainer import split_for_trainer as split_for_trainer
    from speechxfer.integrations.trainer_proof import ProofCallback as ProofCallback


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)

"""The recipe: what a run is made by."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "AugmentSection": "speechxfer.recipe.augmentation",
    "CodecSection": "speechxfer.recipe.augmentation",
    "DataSection": "speechxfer.recipe.sections",
    "GainSection": "speechxfer.recipe.augmentation",
    "ModelSection": "speechxfer.recipe.sections",
    "NoiseSection": "speechxfer.recipe.augmentation",
    "Normaliser": "speechxfer.recipe.values",
    "PitchSection": "speechxfer.recipe.augmentation",
    "Recipe": "speechxfer.recipe.sections",
    "RoomSection": "speechxfer.recipe.augmentation",
    "StageSection": "speechxfer.recipe.sections",
    "TelephoneSection": "speechxfer.recipe.augmentation",
    "TrainingSection": "speechxfer.recipe.sections",
    "known_normaliser": "speechxfer.recipe.values",
    "read_recipe": "speechxfer.recipe.reading",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.recipe.augmentation import AugmentSection as AugmentSection
    from speechxfer.recipe.augmentation import CodecSection as CodecSection
    from speechxfer.recipe.augmentation import GainSection as GainSection
    from speechxfer.recipe.augmentation import NoiseSection as NoiseSection
    from speechxfer.recipe.augmentation import PitchSection as PitchSection
    from speechxfer.recipe.augmentation import RoomSection as RoomSection
    from speechxfer.recipe.augmentation import TelephoneSection as TelephoneSection
    from speechxfer.recipe.reading import read_recipe as read_recipe
    from speechxfer.recipe.sections import DataSection as DataSection
    from speechxfer.recipe.sections import ModelSection as ModelSection
    from speechxfer.recipe.sections import Recipe as Recipe
    from speechxfer.recipe.sections import StageSection as StageSection
    from speechxfer.recipe.sections import TrainingSection as TrainingSection
    from speechxfer.recipe.values import Normaliser as Normaliser
    from speechxfer.recipe.values import known_normaliser as known_normaliser


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)

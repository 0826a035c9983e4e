"""Frozen features: computed once, kept by key, handed out in batches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "FeatureSource": "speechxfer.features.source",
    "FeatureStore": "speechxfer.features.store",
    "Item": "speechxfer.features.source",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.features.source import FeatureSource as FeatureSource
    from speechxfer.features.source import Item as Item
    from speechxfer.features.store import FeatureStore as FeatureStore


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)

"""Frozen features: computed once, kept by key, handed out in batches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "FeatureSource": "speechxfer.features.source",
    "DiskStore": "speechxfer.features.store",
    "FeatureStore": "speechxfer.features.store",
    "InputKeys": "speechxfer.features.keys",
    "Keys": "speechxfer.features.store",
    "Item": "speechxfer.features.item",
    "MemoryStore": "speechxfer.features.store",
    "PrefixRunner": "speechxfer.features.prefix_runner",
    "RecordFile": "speechxfer.features.record_file",
    "Statistics": "speechxfer.features.statistics",
    "StatisticsEncoder": "speechxfer.features.statistics",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.features.item import Item as Item
    from speechxfer.features.keys import InputKeys as InputKeys
    from speechxfer.features.prefix_runner import PrefixRunner as PrefixRunner
    from speechxfer.features.record_file import RecordFile as RecordFile
    from speechxfer.features.source import FeatureSource as FeatureSource
    from speechxfer.features.statistics import Statistics as Statistics
    from speechxfer.features.statistics import StatisticsEncoder as StatisticsEncoder
    from speechxfer.features.store import DiskStore as DiskStore
    from speechxfer.features.store import FeatureStore as FeatureStore
    from speechxfer.features.store import Keys as Keys
    from speechxfer.features.store import MemoryStore as MemoryStore


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)

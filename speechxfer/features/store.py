"""FeatureStore: frozen features by key, in memory. `Features` in, the same `Features` out, in the storage precision."""

from __future__ import annotations

import torch

from speechxfer.models import Features


class FeatureStore:
    """Keeps what the frozen part computed.

    Parameters
    ----------
    dtype
        Storage precision: `float16`, `bfloat16` or `float32`.
    """

    def __init__(self, dtype: str) -> None:
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._features: dict[str, Features] = {}

    def __contains__(self, key: str) -> bool:
        """Tell whether a key is held."""
        return key in self._features

    def put(self, key: str, features: Features) -> None:
        """Keep features under a key."""
        self._features[key] = Features(features.frames.to(self._dtype), features.input_length)

    def get(self, key: str) -> Features:
        """Give the features of a key; they are the store's own memory and must not be written to."""
        return self._features[key]

    @property
    def num_bytes(self) -> int:
        """Size of all features held."""
        return sum(item.frames.numel() * item.frames.element_size() for item in self._features.values())

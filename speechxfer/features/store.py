"""Stores: frozen features by key. `Features` in, the same `Features` out, in the storage precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import torch

from speechxfer.data import Utterance, WaveformAugmenter
from speechxfer.errors import StoreError
from speechxfer.features.item import Item
from speechxfer.features.keys import AudioContents, FeatureKeys, content_of
from speechxfer.features.record_file import RecordFile
from speechxfer.models import Features, Frontend, InferenceModel

Keys = Callable[[Item], bytes]

_HOST = torch.device("cpu")


class FeatureStore(Protocol):
    """What a store can do.

    Attributes
    ----------
    dtype
        Storage precision.
    """

    dtype: torch.dtype

    def keys(self, split: InferenceModel, frontend: Frontend, precision: str, augmenter: WaveformAugmenter | None) -> Keys:
        """Give the function that says under which key an item's features are kept.

        Parameters
        ----------
        split, frontend
            The model with its cut, on its device, and what makes its inputs.
        precision
            Of the computation: `fp32` or `bf16`.
        augmenter
            Makes the views; may be None if no item has a view.

        Returns
        -------
        Keys
            From an item to a key.
        """

    def __contains__(self, key: bytes) -> bool:
        """Tell whether a key is held."""

    def put(self, features: Mapping[bytes, Features]) -> None:
        """Keep features by key."""

    def get(self, key: bytes) -> Features:
        """Give the features of a key; they may be the store's own memory and must not be written to."""

    @property
    def num_bytes(self) -> int:
        """Size of all features held."""

    def close(self) -> None:
        """Let go of what other processes may want."""


class MemoryStore:
    """Keeps what the frozen part computed as long as a stage lasts.

    Parameters
    ----------
    dtype
        Storage precision: `float16`, `bfloat16` or `float32`.
    device
        Where the model is. Features for a CUDA device stay in its memory, up to half of what is free there; the rest waits in the
        computer's.
    """

    def __init__(self, dtype: str, device: torch.device = _HOST) -> None:
        self.dtype: torch.dtype = getattr(torch, dtype)
        self._features: dict[bytes, Features] = {}
        self._device = device
        self._device_bytes_left = torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else 0

    def keys(self, split: InferenceModel, frontend: Frontend, precision: str, augmenter: WaveformAugmenter | None) -> Keys:
        """See `FeatureStore`; these keys need no look into the audio: while a process runs, a path stands for its content."""
        prefix = f"{split.prefix_digest()}/{precision}"
        return lambda item: f"{prefix}/{item.place}".encode()

    def __contains__(self, key: bytes) -> bool:
        """Tell whether a key is held."""
        return key in self._features

    def put(self, features: Mapping[bytes, Features]) -> None:
        """Keep features by key."""
        for key, item in features.items():
            size = item.frames.numel() * self.dtype.itemsize
            fits = size <= self._device_bytes_left
            self._device_bytes_left -= size if fits else 0
            self._features[key] = item.to(self.dtype, self._device if fits else _HOST)

    def get(self, key: bytes) -> Features:
        """Give the features of a key; they are the store's own memory and must not be written to."""
        return self._features[key]

    @property
    def num_bytes(self) -> int:
        """Size of all features held."""
        return sum(item.frames.numel() * item.frames.element_size() for item in self._features.values())

    def close(self) -> None:
        """Nothing is to be let go of."""


class DiskStore:
    """Keeps features in a folder, for later stages and runs and for other processes.

    Parameters
    ----------
    directory
        Made if missing. While one process writes there, others read, and keep what is missing in their own memory.
    dtype
        Storage precision: `float16`, `bfloat16` or `float32`.

    Raises
    ------
    StoreError
        If the folder cannot be used.
    """

    def __init__(self, directory: str | Path, dtype: str) -> None:
        self._directory = directory
        self._records = RecordFile(directory, dtype)
        self._contents = AudioContents(Path(directory) / "audio.sqlite")
        self._own = MemoryStore(dtype)
        self.dtype = self._own.dtype

    def keys(self, split: InferenceModel, frontend: Frontend, precision: str, augmenter: WaveformAugmenter | None) -> Keys:
        """See `FeatureStore`; these keys hold every cause: weights, code, precisions, how inputs are made, and the audio itself.

        Giving one raises `AudioError` if the audio cannot be read.
        """
        return FeatureKeys(split, frontend, precision, self.dtype, augmenter, self._contents)

    def __contains__(self, key: bytes) -> bool:
        """Tell whether a key is held, undamaged."""
        return key in self._own or key in self._records

    def put(self, features: Mapping[bytes, Features]) -> None:
        """Keep features by key: on the disk, unless another process writes there.

        Raises
        ------
        StoreError
            If the disk does not take them.
        """
        self._contents.write()  # what is kept without its audio known would be pruned
        (self._records if self._records.is_writer else self._own).put(features)

    def get(self, key: bytes) -> Features:
        """Give the features of a key; they must not be written to."""
        return self._own.get(key) if key in self._own else self._records.get(key)

    def prune(self, utterances: Iterable[Utterance] | None = None) -> tuple[int, int]:
        """Really delete the features of audio that is gone or changed, or that is not among these utterances.

        Parameters
        ----------
        utterances
            Whose features are kept; None keeps those of all audio that is still there as it was.

        Returns
        -------
        tuple of int
            How many utterances' features were deleted, and the bytes that this freed.

        Raises
        ------
        StoreError
            If another process writes there.
        """
        if not self._records.is_writer:
            raise StoreError(f"{self._directory}: another process writes there; try again later")
        contents = self._contents.still_there() if utterances is None else self._contents.contents_of(utterances)
        before = len(self._records)
        freed = self._records.prune([key for key in self._records if content_of(key) in contents])
        self._contents.forget_all_but(contents)
        return before - len(self._records), freed

    @property
    def num_bytes(self) -> int:
        """Size of all features held, those of other runs too."""
        return self._records.num_bytes + self._own.num_bytes

    def close(self) -> None:
        """Let others write."""
        self._records.close()
        self._contents.close()

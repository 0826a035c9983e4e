"""Batches of items in, features at a model's cut out: what is frozen, computed, and nothing kept.

Audio is decoded and turned into model inputs by threads while the prefix runs on what is ready.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch

from speechxfer.data import WaveformAugmenter, load_audio
from speechxfer.errors import AudioError
from speechxfer.features.item import Item
from speechxfer.models import FeatureBatch, Features, Frontend, InferenceModel, autocast, collate

Given = TypeVar("Given")
Made = TypeVar("Made")

NUM_READERS = max(2, min(8, (os.cpu_count() or 2) // 2))
_LOOK_AHEAD = NUM_READERS + 1  # batches whose audio is being read while one is computed


@dataclass(frozen=True)
class PrefixRunner:
    """Computes the features of batches, one forward each.

    Attributes
    ----------
    split
        The model with its cut, on its device.
    frontend
        From samples to the model's inputs.
    precision
        Of the prefix: `fp32` or `bf16`.
    augmenter
        Makes the views; may be None if no item has a view.
    """

    split: InferenceModel
    frontend: Frontend
    precision: str
    augmenter: WaveformAugmenter | None = None

    def __call__(self, batches: Iterable[Sequence[Item]]) -> Iterator[list[Features]]:
        """Give the features of each batch, in order.

        Parameters
        ----------
        batches
            Items that go together.

        Returns
        -------
        iterator over lists of Features
            Of each batch, one per item; `AudioError`, which names the utterance, is raised if one cannot be read.
        """
        return self.map(self.split.prefix, batches)

    def map(self, forward: Callable[[FeatureBatch], Made], batches: Iterable[Sequence[Item]]) -> Iterator[Made]:
        """Give what a forward of the model makes of the inputs of each batch, in order.

        Parameters
        ----------
        forward
            Such as the model's `prefix`.
        batches
            Items that go together.

        Yields
        ------
        Made
            Of each batch.

        Raises
        ------
        AudioError
            If an utterance, which the error names, cannot be read.
        """
        device = self.split.device
        with ThreadPoolExecutor(NUM_READERS) as pool:
            for inputs in _ahead(pool, self._read, batches, _LOOK_AHEAD):
                with autocast(device, self.precision):
                    made = forward(inputs.to(device))
                yield made

    def _read(self, batch: Sequence[Item]) -> FeatureBatch:
        return collate([self._read_one(item) for item in batch])

    @torch.no_grad()
    def _read_one(self, item: Item) -> Features:
        try:
            samples = load_audio(item.utterance, self.frontend.sampling_rate)
        except AudioError as error:
            error.utterance_id = item.utterance.id
            raise
        if item.view is not None and self.augmenter is not None:
            samples = self.augmenter(samples, item.utterance.id, item.view)
        inputs = self.frontend(samples)
        return Features(inputs, len(inputs))


def _ahead(pool: ThreadPoolExecutor, make: Callable[[Given], Made], given: Iterable[Given], look_ahead: int) -> Iterator[Made]:
    """Map in order, with a bounded number of results under way."""
    under_way: deque[Future[Made]] = deque()
    try:
        for one in given:
            under_way.append(pool.submit(make, one))
            if len(under_way) > look_ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()

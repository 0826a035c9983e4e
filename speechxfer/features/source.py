"""FeatureSource: utterances in, features at a model's cut out, each computed once and kept in the store.

Audio is decoded and turned into model inputs by threads while the prefix runs on what is ready.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch

from speechxfer.data import Utterance, WaveformAugmenter, load_audio, plan_batches
from speechxfer.features.store import FeatureStore
from speechxfer.models import FeatureBatch, Features, Frontend, SplitModel, autocast, collate

Given = TypeVar("Given")
Made = TypeVar("Made")

_THREADS = 2
_LOOK_AHEAD = 3  # batches whose audio is being read while one is computed


@dataclass(frozen=True)
class Item:
    """One utterance in one view; `seconds` is its length in that view, `view` None the audio as it is."""

    utterance: Utterance
    seconds: float
    view: int | None = None


class FeatureSource:
    """Gives features at the cut of one model.

    Parameters
    ----------
    split
        The model with its cut, on its device.
    frontend
        From samples to the model's inputs.
    store
        Where features are kept; None computes them each time.
    precision
        Of the prefix: `fp32` or `bf16`.
    augmenter
        Makes the views; may be None if no item has a view.
    batch_seconds
        Upper bound of padded audio in one forward of the prefix.
    """

    def __init__(
        self,
        split: SplitModel,
        frontend: Frontend,
        store: FeatureStore | None,
        precision: str,
        augmenter: WaveformAugmenter | None = None,
        batch_seconds: float = 64.0,
    ) -> None:
        self._split = split
        self._frontend = frontend
        self._store = store
        self._precision = precision
        self._augmenter = augmenter
        self._batch_seconds = batch_seconds
        self._prefix = f"{split.prefix_digest()}/{precision}"
        self.seconds_waited = 0.0

    def prepare(self, items: Sequence[Item], on_batch: Callable[[int, int], None] | None = None) -> None:
        """Compute whatever the store lacks.

        Parameters
        ----------
        items
            All that will be asked for.
        on_batch
            Called with (utterances done, utterances to do).
        """
        if self._store is None:
            return
        missing = [item for item in items if self._key(item) not in self._store]
        done = 0
        for batch, features in self._compute(missing):
            for item, feature in zip(batch, features, strict=True):
                self._store.put(self._key(item), feature)
            done += len(batch)
            if on_batch:
                on_batch(done, len(missing))

    def batches(self, batches: Sequence[Sequence[Item]]) -> Iterator[FeatureBatch]:
        """Give one padded fp32 batch after the other, each made while the one before is used.

        Time spent waiting for a batch is added to `seconds_waited`.
        """

        def assemble(batch: Sequence[Item]) -> FeatureBatch:
            return collate(self._stored_or_new(batch))

        with ThreadPoolExecutor(1) as pool:
            # The prefix must not run beside the suffix on the same model, so only stored features are fetched ahead.
            made = _ahead(pool, assemble, batches, 2) if self._store is not None else map(assemble, batches)
            while True:
                start = time.perf_counter()
                batch = next(made, None)
                self.seconds_waited += time.perf_counter() - start
                if batch is None:
                    return
                yield batch

    def features(self, items: Sequence[Item]) -> list[Features]:
        """Give the features of items in their order, computing and keeping what is missing."""
        self.prepare(items)
        return self._stored_or_new(items)

    def _stored_or_new(self, items: Sequence[Item]) -> list[Features]:
        if self._store is not None:
            return [self._store.get(self._key(item)) for item in items]
        places = {id(item): place for place, item in enumerate(items)}
        features: dict[int, Features] = {}
        for batch, computed in self._compute(items):
            features |= {places[id(item)]: feature for item, feature in zip(batch, computed, strict=True)}
        return [features[place] for place in range(len(items))]

    def _key(self, item: Item) -> str:
        utterance = item.utterance
        audio = utterance.audio if isinstance(utterance.audio, str) else f"memory {id(utterance.audio)}"
        return f"{self._prefix}/{audio}/{utterance.start}-{utterance.end}/{utterance.channel}/{item.view}"

    def _compute(self, items: Sequence[Item]) -> Iterator[tuple[list[Item], list[Features]]]:
        planned = plan_batches([item.seconds for item in items], self._batch_seconds)
        batches = [[items[row] for row in rows] for rows in planned]
        device = next(self._split.parameters()).device
        training = self._split.model.training
        with ThreadPoolExecutor(_THREADS) as pool:
            for batch, inputs in zip(batches, _ahead(pool, self._read, batches, _LOOK_AHEAD), strict=True):
                with autocast(device, self._precision):
                    yield batch, self._split.prefix(inputs.to(device))
        if training:
            self._split.train_suffix()

    def _read(self, batch: Sequence[Item]) -> FeatureBatch:
        return collate([self._read_one(item) for item in batch])

    @torch.no_grad()
    def _read_one(self, item: Item) -> Features:
        samples = load_audio(item.utterance, self._frontend.sampling_rate)
        if item.view is not None and self._augmenter is not None:
            samples = self._augmenter(samples, item.utterance.id, item.view)
        inputs = self._frontend(samples)
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

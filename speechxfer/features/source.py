"""FeatureSource: utterances in, features at a model's cut out, each computed once and kept in the store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from speechxfer.data import WaveformAugmenter, plan_batches
from speechxfer.errors import AudioError
from speechxfer.features.item import Item
from speechxfer.features.prefix_runner import NUM_READERS, PrefixRunner
from speechxfer.features.store import FeatureStore
from speechxfer.models import FeatureBatch, Features, Frontend, InferenceModel, collate

Compute = Callable[[Sequence[Sequence[Item]]], Iterable[Sequence[Features]]]
"""Gives the features of each group of items, in order, as a `PrefixRunner` does."""

_HOST = torch.device("cpu")


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
    max_bytes
        What the store may grow to; planned items beyond it are computed each time they are used.

    Attributes
    ----------
    runner
        What computes features.
    seconds_waited
        In `batches`, for features.
    planned_bytes
        Size of all that was planned.
    """

    def __init__(
        self,
        split: InferenceModel,
        frontend: Frontend,
        store: FeatureStore | None,
        precision: str,
        augmenter: WaveformAugmenter | None = None,
        batch_seconds: float = 64.0,
        max_bytes: float = math.inf,
    ) -> None:
        self._split = split
        self._frontend = frontend
        self._store = store
        self.runner = PrefixRunner(split, frontend, precision, augmenter)
        self._batch_seconds = batch_seconds
        self._key_of = store.keys(split, frontend, precision, augmenter) if store is not None else None
        self._keys: dict[tuple[Any, ...], bytes] = {}
        self._groups: dict[bytes, Sequence[Item]] = {}  # of each key, all that is computed with it
        self._fleeting: set[bytes] = set()  # keys of what is computed each time
        self._bytes_left = max_bytes - store.num_bytes if store is not None else 0.0
        self.planned_bytes = 0
        self.seconds_waited = 0.0

    def plan(self, items: Sequence[Item]) -> None:
        """Say what will be asked for, so that features are computed in batches that depend on the whole set alone.

        Whenever an item is first asked for, its whole batch is computed. So training begins at once, and features do not
        depend on the order in which they are used.

        Parameters
        ----------
        items
            In any order; each may be planned again.

        Raises
        ------
        AudioError
            If the store looks into the audio, and an utterance, which the error names, cannot be read.
        """
        if self._key_of is None:
            return
        with ThreadPoolExecutor(NUM_READERS) as pool:  # a store on disk looks into the audio
            distinct = dict(zip(pool.map(self._key, items), items, strict=True))
        ordered = [distinct[key] for key in sorted(distinct)]
        for rows in plan_batches(self._seconds(ordered), self._batch_seconds):
            group = [ordered[row] for row in rows]
            self._plan_group({self._key(item): item for item in group})

    def fill(self, compute: Compute | None = None) -> Iterator[int]:
        """Have what is missing computed and keep it.

        Parameters
        ----------
        compute
            Gives the features of each group of items, in order; None is `runner`.

        Yields
        ------
        int
            After each group, how many items it has.

        Raises
        ------
        AudioError
            If an utterance, which the error names, cannot be read.
        StoreError
            If the store does not take the features.
        """
        assert self._store is not None
        groups = self.missing()
        for group, features in zip(groups, (compute or self.runner)(groups), strict=True):
            self._store.put(dict(zip(map(self._key, group), features, strict=True)))
            yield len(group)

    def missing(self) -> list[Sequence[Item]]:
        """Give what is planned and to be kept, and not there yet, in the groups in which it is computed."""
        groups = {id(group): group for key, group in self._groups.items() if self._store is not None and key not in self._store}
        return [*groups.values()]

    @property
    def num_planned(self) -> int:
        """Distinct items that were planned."""
        return len(self._groups) + len(self._fleeting)

    @property
    def num_fleeting(self) -> int:
        """Those of them whose features do not fit into the store."""
        return len(self._fleeting)

    def _plan_group(self, group: Mapping[bytes, Item]) -> None:
        """Decide whether a group is kept: if all of it fits."""
        assert self._store is not None
        sizes = {key: self._num_bytes(item) for key, item in group.items() if key not in self._groups}
        self.planned_bytes += sum(sizes.values())
        to_come = sum(size for key, size in sizes.items() if key not in self._store)
        if to_come <= self._bytes_left:
            self._bytes_left -= to_come
            members = [*group.values()]
            self._groups.update({key: members for key in group})
            self._fleeting -= group.keys()
        else:
            self._fleeting |= {key for key in sizes if key not in self._store}

    def _seconds(self, items: Sequence[Item]) -> list[float]:
        return [self._frontend.seconds_computed(item.seconds) for item in items]

    def _num_bytes(self, item: Item) -> int:
        """Give the size of an item's features in the store, to a frame."""
        assert self._store is not None
        samples = round(item.seconds * self._frontend.sampling_rate)
        frames, width = self._split.feature_shape(self._frontend.num_inputs(samples))
        return frames * width * self._store.dtype.itemsize

    def batches(self, batches: Sequence[Sequence[Item]]) -> Iterator[FeatureBatch]:
        """Give one padded fp32 batch after the other; audio is read ahead by threads where features are missing.

        Time spent waiting for a batch is added to `seconds_waited`.

        Parameters
        ----------
        batches
            Items that go together.

        Yields
        ------
        FeatureBatch
            Of each batch, its items in their order.

        Raises
        ------
        AudioError
            If an utterance, which the error names, cannot be read.
        StoreError
            If the store does not take what was computed.
        """
        made = (collate(features) for features in self._each(batches))
        while True:
            start = time.perf_counter()
            batch = next(made, None)
            self.seconds_waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch

    def features(self, items: Sequence[Item]) -> list[Features]:
        """Give the features of items in their order: those of a store where it keeps them, others in the computer's memory.

        Parameters
        ----------
        items
            Planned or not.

        Returns
        -------
        list of Features
            One per item.

        Raises
        ------
        AudioError
            If an utterance, which the error names, cannot be read.
        StoreError
            If the store does not take what was computed.
        """
        if self._store is None:
            planned = plan_batches(self._seconds(items), self._batch_seconds)
            in_order = dict(
                pair
                for rows, features in zip(planned, self._each([[items[row] for row in rows] for rows in planned]), strict=True)
                for pair in zip(rows, (one.to(one.frames.dtype, _HOST) for one in features), strict=True)
            )
            return [in_order[row] for row in range(len(items))]
        return next(self._each([items]))

    def _each(self, batches: Sequence[Sequence[Item]]) -> Iterator[list[Features]]:
        if self._store is None:
            yield from self.runner(batches)
            return
        needed = self._needed_groups(batches)
        computed = self.runner([group for groups in needed for group in groups])
        for batch, groups in zip(batches, needed, strict=True):
            fleeting: dict[bytes, Features] = {}
            for group in groups:
                made = {self._key(item): features for item, features in zip(group, next(computed), strict=True)}
                if self._fleeting.isdisjoint(made):
                    self._store.put(made)
                else:
                    fleeting = {key: features.to(self._store.dtype) for key, features in made.items()}
            keys = map(self._key, batch)
            yield [fleeting[key] if key in fleeting else self._store.get(key) for key in keys]

    def _needed_groups(self, batches: Sequence[Sequence[Item]]) -> list[list[Sequence[Item]]]:
        """Give for each batch the groups that it is the first to need and the store lacks, and what it needs that is not kept."""
        assert self._store is not None
        under_way: set[int] = set()
        needed: list[list[Sequence[Item]]] = []
        for batch in batches:
            missing = [item for item in batch if self._key(item) not in self._store]
            fleeting = [item for item in missing if self._key(item) in self._fleeting]
            kept = {id(group): group for item in missing if (group := self._groups.get(self._key(item)))}
            needed.append([group for name, group in kept.items() if name not in under_way] + ([fleeting] if fleeting else []))
            under_way |= kept.keys()
        return needed

    def _key(self, item: Item) -> bytes:
        assert self._key_of
        if item.place not in self._keys:
            try:
                self._keys[item.place] = self._key_of(item)
            except AudioError as error:
                error.utterance_id = item.utterance.id
                raise
        return self._keys[item.place]

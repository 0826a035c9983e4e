"""Utterances in, what an encoder makes of them out: mean and standard deviation over time of every layer.

float32 `[utterances, layers, 2 x width]`; layer 0 is what goes into the first one. Statistics pooling as in x-vectors (Snyder et
al. 2018), by the road that training takes: the found cut behind the encoder, `FeatureSource`, and a store if one is given.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from speechxfer.data import Utterance
from speechxfer.features.item import Item
from speechxfer.features.source import FeatureSource
from speechxfer.features.store import FeatureStore, Keys
from speechxfer.models import Features, SplitModel, for_inference, new_head, suitable_batch_seconds

Statistics = npt.NDArray[np.float32]
"""`[utterances, layers, 2 x width]`: of each layer its means over time, then its standard deviations."""


class StatisticsEncoder:
    """A pretrained or fine-tuned model, of which only the encoder is used: mean and standard deviation over time of every layer.

    Parameters
    ----------
    model
        Its directory, or `tiny`.
    device, precision
        `auto`, or a torch device; `auto`, `fp32`, `bf16` or `int8`.
    batch_seconds
        Upper bound of padded audio in one forward; None suits the device.
    store
        Keeps features; None computes them each time.

    Attributes
    ----------
    digest
        Hash of the weights and of the configuration that shapes them.
    max_seconds
        Longest utterance that the model takes.
    num_parameters
        Of the encoder.

    Raises
    ------
    ModelError
        If there is no such model, device or precision.

    Notes
    -----
    Statistics pooling as in D. Snyder et al., "X-vectors: robust DNN embeddings for speaker recognition", ICASSP 2018.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_seconds: float | None = None,
        store: FeatureStore | None = None,
    ) -> None:
        speech_model = new_head(model, "classification", labels=("any",), weighted_layer_sum=True)
        split, exactness = for_inference(speech_model, device, precision, keep_deviations=True)
        size = batch_seconds or suitable_batch_seconds(split.device)
        self._split, self._store = split, store
        self._source = FeatureSource(split, speech_model.frontend, store, exactness, batch_seconds=size)
        self.digest = split.prefix_digest()
        encoder = speech_model.model.base_model
        self.num_parameters = sum(parameter.numel() for parameter in encoder.parameters())
        self.max_seconds = speech_model.frontend.max_seconds

    def __call__(
        self, utterances: Sequence[Utterance], seconds: Sequence[float] | None = None, frame_key: Keys | None = None
    ) -> Statistics:
        """Encode utterances.

        Parameters
        ----------
        utterances
            With `end` given, unless `seconds` are.
        seconds
            How long each is; None is from its start to its end.
        frame_key
            Under which the frames of the last layer are kept in the store, too, where statistics are not there yet: for a head
            that is to be trained on them. None keeps statistics alone. Not with `int8`.

        Returns
        -------
        numpy.ndarray
            float32 `[utterances, layers, 2 x width]`.

        Raises
        ------
        AudioError
            If one cannot be read.
        """
        lengths = seconds or [(one.end or 0.0) - one.start for one in utterances]
        items = [Item(one, length) for one, length in zip(utterances, lengths, strict=True)]
        self._source.plan(items)
        if frame_key is not None:
            for _ in self._source.fill(functools.partial(self._keeping_frames, frame_key)):
                pass
        kept = np.stack([features.frames.float().cpu().numpy() for features in self._source.features(items)])
        layers = kept.shape[1] // 2
        return np.concatenate([kept[:, :layers], kept[:, layers:]], axis=2)

    def _keeping_frames(self, key: Keys, groups: Sequence[Sequence[Item]]) -> Iterator[Sequence[Features]]:
        """Compute the statistics of groups, and keep the frames that come out of the same forward."""
        assert isinstance(self._split, SplitModel) and self._store is not None
        made = self._source.runner.map(self._split.prefix_with_frames, groups)
        for group, pairs in zip(groups, made, strict=True):
            statistics, frames = zip(*pairs, strict=True)
            self._store.put(dict(zip(map(key, group), frames, strict=True)))
            yield statistics

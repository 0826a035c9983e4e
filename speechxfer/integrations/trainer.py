"""The feature store under a `Trainer` of transformers: its model, data and collator in, the same three out.

What the user's collator makes of a row alone, `[samples]` or `[mels, mel frames]`, goes through the frozen part once, up front.
From then on a row carries a number in place of its audio, a batch the features `[batch, frames, width]` at the cut, and the
model's own forward starts there and computes its own loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging
from transformers.utils.generic import ModelOutput

from speechxfer.data import plan_batches
from speechxfer.errors import DataError, ModelError, Problem
from speechxfer.features import FeatureStore, InputKeys, MemoryStore
from speechxfer.models import (
    FeatureBatch,
    Features,
    SplitModel,
    autocast,
    choose_device,
    choose_precision,
    collate,
    encoder_of,
    known_families,
    suitable_batch_seconds,
)

Row = dict[str, Any]
Collator = Callable[[list[Row]], Mapping[str, Tensor]]
Model = TypeVar("Model", bound=PreTrainedModel)
Sets = TypeVar("Sets")

_FEATURES, _LENGTHS, _INPUT_LENGTHS = "stored_features", "stored_feature_lengths", "stored_input_lengths"
_MASK = "attention_mask"
_WINDOW = 256  # rows whose inputs are in memory at once, so that clips of like length are computed together
_READ_TWICE = 3


def split_for_trainer(
    model: Model,
    dataset: Sets,
    collator: Collator,
    *,
    store: FeatureStore | None = None,
    precision: str = "fp32",
    device: str = "auto",
    batch_seconds: float | None = None,
) -> tuple[Model, Sets, FeatureCollator]:
    """Compute the frozen part of a model once for all rows, and let a `Trainer` train what lies above it.

    Parameters
    ----------
    model
        A native model of transformers with its head, in which what shall not train is frozen already. What trains must not change
        afterwards.
    dataset
        Rows for training, or a mapping of names to such sets (a `DatasetDict`), prepared for the model: a `datasets.Dataset`, or
        any map-style set of dictionaries. The audio of a row must always be the same.
    collator
        What the Trainer is given as `data_collator`; where it is given none, `DataCollatorWithPadding(feature_extractor)`.
    store
        Where features are kept; None keeps them in memory, in fp32. `DiskStore(directory, "float16")` keeps them for later runs.
    precision
        Of the frozen part: `fp32`, `bf16`, or `auto`.
    device
        Where the frozen part is computed; `auto`, or a torch device.
    batch_seconds
        Upper bound of padded audio in one forward of the frozen part; None suits the device, 0 computes each clip alone.

    Returns
    -------
    transformers.PreTrainedModel
        The same object: it is saved, and takes audio, as ever.
    Dataset or mapping of datasets
        The same rows with a number in place of their audio; of the kind that was given, or a torch `Dataset` where rows are made
        as they are asked for.
    FeatureCollator
        Makes batches of features from such rows, and what `collator` makes from others.

    Raises
    ------
    ModelError
        If the model is none of transformers, its family is not known, nothing is frozen below what trains, or there is no such
        device or precision.
    DataError
        If a set has no rows to come back to; if rows hold no inputs for the model, are too short for a frame, or have other audio
        each time.

    Notes
    -----
    The frozen part runs in evaluation mode and each clip is computed as if it were alone. So losses are the same as before where
    nothing in the frozen part is random (the Trainer keeps its dropout on) and no clip depends on the others in its batch: with
    the attention mask in the batch and a stem with layer norm, or with a batch of one.
    """
    split = _split(model)
    split.to(choose_device(device))
    extraction = _Extraction(split, collator, store or MemoryStore("float32"), precision, batch_seconds)
    if isinstance(dataset, Mapping):
        numbered: Any = type(dataset)({name: extraction.numbered(rows, name) for name, rows in dataset.items()})  # type: ignore[call-arg]
    else:
        numbered = extraction.numbered(dataset, "dataset")
    _take_features(model, split)
    return model, numbered, extraction.collator


def _split(model: PreTrainedModel) -> SplitModel:
    if not isinstance(model, PreTrainedModel):
        raise ModelError(f"found a {type(model).__name__}, expected a model of transformers; hand it over before it is wrapped")
    config: Any = encoder_of(model).config
    if config.model_type not in known_families():
        raise ModelError(f"model_type is {config.model_type!r}; supported: {', '.join(known_families())}")
    try:
        split = SplitModel(model, known_families()[config.model_type].of(config.to_dict()))
    except ValueError as error:
        raise ModelError(f"{type(model).__name__}: {error}") from None
    if split.cut.kind == "input":
        raise ModelError(
            "nothing is frozen below what trains, so nothing can be kept; freeze first, such as with "
            "model.freeze_feature_encoder(), model.freeze_encoder() or model.base_model.requires_grad_(False)"
        )
    return split


class FeatureCollator:
    """Makes batches of stored features; all else in a batch, such as padded labels, is the work of the user's own collator.

    Parameters
    ----------
    collator
        The user's.
    inputs
        Name of the model's main input.
    store
        Holds the features.
    """

    def __init__(self, collator: Collator, inputs: str, store: FeatureStore) -> None:
        self._collator = collator
        self._inputs = inputs
        self._store = store
        self._keys: list[bytes] = []
        self._stand_in: Any = None

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Make a batch.

        Parameters
        ----------
        rows
            With a number in place of their audio; rows with audio go to the user's collator as they are.

        Returns
        -------
        dict
            `stored_features`, float32 `[batch, frames, width]`, `stored_feature_lengths` and `stored_input_lengths`, int64
            `[batch]`, and what the user's collator makes of the rest.
        """
        if _FEATURES not in rows[0]:
            return dict(self._collator([*rows]))
        others = ({name: value for name, value in row.items() if name != _FEATURES} for row in rows)
        batch = self._collator([{**row, self._inputs: self._stand_in} for row in others])
        stored = collate([self._store.get(self._keys[int(row[_FEATURES])]) for row in rows])
        kept = {name: value for name, value in batch.items() if name not in (self._inputs, _MASK)}
        return {**kept, _FEATURES: stored.frames, _LENGTHS: stored.lengths, _INPUT_LENGTHS: stored.input_lengths}

    def add(self, key: bytes, stand_in: Any) -> int:
        """Give a key the number that stands for it in a row.

        Parameters
        ----------
        key
            Of features in the store.
        stand_in
            What the user's collator gets to see as audio from now on.

        Returns
        -------
        int
            From 0.
        """
        self._keys.append(key)
        self._stand_in = stand_in
        return len(self._keys) - 1


class _Rows(Dataset[Row]):
    """Rows in memory, for sets that make them as they are asked for."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Row:
        return dict(self._rows[number])


class _Extraction:
    """Runs sets through the frozen part."""

    def __init__(
        self, split: SplitModel, collator: Collator, store: FeatureStore, precision: str, batch_seconds: float | None
    ) -> None:
        self._split = split
        self._own_collator = collator
        self._store = store
        self._precision = choose_precision(precision, split.device)
        seconds = suitable_batch_seconds(split.device) if batch_seconds is None else batch_seconds
        self._max_inputs = seconds * split.family.sampling_rate / split.family.samples_per_input
        self._key_of = InputKeys(split, self._precision, store.dtype)
        self._inputs = str(split.model.main_input_name)
        self._taken = {*inspect.signature(split.model.forward).parameters, "label", "label_ids"}
        self.collator = FeatureCollator(collator, self._inputs, store)

    def numbered(self, dataset: Any, name: str) -> Any:
        """Compute what the store lacks of a set, and give the set with numbers in place of audio."""
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            what = f"a {type(dataset).__name__} has no rows to come back to; take a map-style set"
            raise DataError([Problem(name, None, what, skippable=False)])
        self._refuse_changing_audio(dataset, name)
        numbers: list[int] = []
        others: list[Row] = []
        progress = transformers_logging.tqdm(total=len(dataset), desc=f"frozen features of {name}", leave=False)
        for start in range(0, len(dataset), _WINDOW):
            window = range(start, min(start + _WINDOW, len(dataset)))
            read = [(number, dict(dataset[number])) for number in window]
            inputs = [self._inputs_of(row, name, number) for number, row in read]
            keys = [self._key_of(one.frames) for one in inputs]
            self._compute(dict(zip(keys, inputs, strict=True)))
            for key, (_, row) in zip(keys, read, strict=True):
                numbers.append(self.collator.add(key, np.asarray(row[self._inputs])[:1]))
                others.append({column: value for column, value in row.items() if column not in (self._inputs, _MASK)})
            progress.update(len(window))
        progress.close()
        if self._inputs in getattr(dataset, "column_names", ()):
            audio = [column for column in (self._inputs, _MASK) if column in dataset.column_names]
            return dataset.remove_columns(audio).add_column(_FEATURES, numbers)
        return _Rows([{**row, _FEATURES: number} for row, number in zip(others, numbers, strict=True)])

    def _refuse_changing_audio(self, dataset: Any, name: str) -> None:
        for number in range(min(_READ_TWICE, len(dataset))):
            first, second = (self._inputs_of(dict(dataset[number]), name, number).frames for _ in range(2))
            if not torch.equal(first, second):
                what = "its audio is another each time the row is read; take the random crop or noise out of it"
                raise DataError([Problem(f"{name}[{number}]", None, what, skippable=False)])

    def _inputs_of(self, row: Row, name: str, number: int) -> Features:
        """Give what the user's collator makes of a row alone, `[input positions, width]` or `[samples]`, without padding."""
        place, family = f"{name}[{number}]", self._split.family
        if self._inputs not in row:
            what = f"no `{self._inputs}`, found {', '.join(map(str, row))}; prepare the audio for the model with `map` first"
            raise DataError([Problem(place, None, what, skippable=False)])
        batch = self._own_collator([{column: value for column, value in row.items() if column in self._taken}])
        values = batch[self._inputs][0]
        if family.inputs == "log_mel":
            return Features(values.T, values.shape[1])
        length = int(batch[_MASK][0].sum()) if _MASK in batch else len(values)
        if family.inputs == "waveform" and length < family.min_samples:
            what = f"{length} samples, expected {family.min_samples} or more; filter such rows out"
            raise DataError([Problem(place, None, what, skippable=False)])
        return Features(values[:length], length)

    def _compute(self, inputs: Mapping[bytes, Features]) -> None:
        for part in self._planned({key: one for key, one in inputs.items() if key not in self._store}):
            batch = collate([inputs[key] for key in part]).to(self._split.device)
            with autocast(self._split.device, self._precision):
                made = self._split.prefix(batch)
            self._store.put(dict(zip(part, made, strict=True)))

    def _planned(self, missing: Mapping[bytes, Features]) -> Iterator[list[bytes]]:
        keys = [*missing]
        for part in plan_batches([one.input_length for one in missing.values()], self._max_inputs):
            yield [keys[place] for place in part]


def _take_features(model: PreTrainedModel, split: SplitModel) -> None:
    """Let a model's forward start at the cut wherever a batch holds stored features."""
    native = model.forward

    def forward(*args: Any, **given: Any) -> Any:
        if _FEATURES not in given:
            return native(*args, **given)
        if not split.is_frozen_below_cut():
            raise ModelError(
                f"something below the cut ({split.cut}) trains that was frozen before; call split_for_trainer after freezing"
            )
        batch = FeatureBatch(*(given.pop(name) for name in (_FEATURES, _LENGTHS, _INPUT_LENGTHS)))
        return _as_native(split.native_forward(batch, **given), given)

    forward.__signature__ = _with_features(inspect.signature(native))  # type: ignore[attr-defined]  # the Trainer looks there
    model.forward = forward


def _as_native(output: Any, given: Mapping[str, Any]) -> Any:
    """Leave out the hidden states that pooled features come as, which nobody asked for and the Trainer would take for answers."""
    if not isinstance(output, ModelOutput) or given.get("output_hidden_states"):
        return output
    return type(output)(**{name: value for name, value in output.items() if name != "hidden_states"})


def _with_features(signature: inspect.Signature) -> inspect.Signature:
    """Add what the Trainer shall not take for unused columns."""
    kinds = inspect.Parameter
    added = [kinds(name, kinds.KEYWORD_ONLY, default=None) for name in (_FEATURES, _LENGTHS, _INPUT_LENGTHS)]
    own = [one for name, one in signature.parameters.items() if name not in (_FEATURES, _LENGTHS, _INPUT_LENGTHS)]
    caught = [one for one in own if one.kind is kinds.VAR_KEYWORD]
    return signature.replace(parameters=[*(one for one in own if one.kind is not kinds.VAR_KEYWORD), *added, *caught])

"""Filling a store: a recipe in, its frozen features on the disk, for runs to come.

Whoever computes, this process alone writes.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import parametrize

from speechxfer.data import Spread
from speechxfer.errors import RecipeError, RunStoppedError
from speechxfer.evaluation import as_items
from speechxfer.features import Item, PrefixRunner
from speechxfer.models import Cut, Features
from speechxfer.recipe import Recipe
from speechxfer.training.interrupt import interruptible
from speechxfer.training.preparation import prepare
from speechxfer.training.stages import (
    make_accelerator,
    make_augmenter,
    make_source,
    make_training_set,
    open_disk_store,
    split_for_stage,
)

Listener = Callable[[int, int], None]
"""Told how many items of how many are done."""

Group = Sequence[Item]

_GROUPS = 16  # that one worker computes at a time, the next ones being read meanwhile


def fill_store(recipe: Recipe, listener: Listener | None = None, spread: Spread | None = None) -> tuple[int, int]:
    """Compute what is frozen in a recipe's stages and put it into its store.

    A stage whose frozen part an earlier stage trains is left to the run.

    Parameters
    ----------
    recipe
        With `store.directory`.
    listener
        Told of progress.
    spread
        Has others compute, such as `speechxfer.distributed.on_cluster`, on the kind of device that is here; None computes here.

    Returns
    -------
    tuple of int
        Views of utterances that the store holds for the recipe, over all cuts, and the store's size in bytes.

    Raises
    ------
    RecipeError
        If the recipe names no store.
    DataError
        With all problems of manifests, audio and model.
    AudioError
        If audio whose header could be read cannot be decoded.
    StoreError
        If the store cannot be used, or does not take the features.
    TrainingError
        If accelerate is configured to shard the model.
    RunStoppedError
        If the user stopped it; what is computed stays.
    """
    if not recipe.store.enabled or recipe.store.directory is None:
        raise RecipeError("store.directory is missing, or store.enabled is false: there is no store to fill")
    prepared = prepare(recipe)
    speech_model, sets = prepared.speech_model, prepared.sets
    accelerator = make_accelerator(recipe, Path())
    speech_model.model.to(accelerator.device)
    augmenter = make_augmenter(recipe, prepared)
    training_set = make_training_set(recipe, speech_model, sets, augmenter)
    count, lowest = 0, Cut("end")
    with interruptible() as is_interrupted, open_disk_store(recipe) as store:
        assert store is not None
        for number in range(len(recipe.stages())):
            split = split_for_stage(recipe, number, speech_model)
            if split.cut.height > lowest.height:
                break
            if number and split.cut == lowest:
                continue
            lowest = split.cut
            source = make_source(recipe, split, speech_model, store, accelerator, augmenter)
            source.plan(as_items(sets["dev"]))
            source.plan([item for views in training_set.views for item in views])
            kept = source.num_planned - source.num_fleeting
            done = kept - sum(len(group) for group in source.missing())
            compute = _elsewhere(spread, source.runner, store.dtype) if spread else None
            for added in source.fill(compute):
                done += added
                if listener:
                    listener(done, kept)
                if is_interrupted():
                    raise RunStoppedError(f"stopped; the same command goes on ({recipe.store.directory})")
            count += kept
        return count, store.num_bytes


def _elsewhere(spread: Spread, runner: PrefixRunner, dtype: torch.dtype) -> Callable[[Sequence[Group]], Iterator[list[Features]]]:
    """Give what has groups computed by others."""

    def compute(groups: Sequence[Group]) -> Iterator[list[Features]]:
        parts = [groups[start : start + _GROUPS] for start in range(0, len(groups), _GROUPS)]
        return itertools.chain.from_iterable(spread(functools.partial(_computer, _to_be_sent(runner), dtype), parts))

    return compute


def _to_be_sent(runner: PrefixRunner) -> PrefixRunner:
    """Give a copy whose weights are plain: torch sends no weight norm, which while frozen gives the same weight each time."""
    split = copy.deepcopy(runner.split)
    for module in split.modules() if isinstance(split, nn.Module) else ():
        if parametrize.is_parametrized(module):
            weights = {name: getattr(module, name).detach() for name in dict(module.parametrizations)}  # type: ignore[arg-type]
            module.__class__ = type(module).__bases__[0]  # removing them would take them from the class, which both share
            del module.parametrizations
            for name, weight in weights.items():
                module.register_parameter(name, nn.Parameter(weight, requires_grad=False))
    return replace(runner, split=split)


def _computer(runner: PrefixRunner, dtype: torch.dtype) -> Callable[[Sequence[Group]], list[list[Features]]]:
    """Give what computes groups, as they are kept."""
    return lambda groups: [[one.to(dtype, torch.device("cpu")) for one in features] for features in runner(groups)]

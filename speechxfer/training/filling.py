"""Filling a store: a recipe in, its frozen features on the disk, for runs to come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from speechxfer.errors import RecipeError, RunStoppedError
from speechxfer.evaluation import as_items
from speechxfer.models import Cut
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


def fill_store(recipe: Recipe, listener: Listener | None = None) -> tuple[int, int]:
    """Compute what is frozen in a recipe's stages and put it into its store.

    A stage whose frozen part an earlier stage trains is left to the run.

    Parameters
    ----------
    recipe
        With `store.directory`.
    listener
        Told of progress.

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
            for done in source.fill():
                if listener:
                    listener(done, source.num_planned - source.num_fleeting)
                if is_interrupted():
                    raise RunStoppedError(f"stopped; the same command goes on ({recipe.store.directory})")
            count += source.num_planned - source.num_fleeting
        return count, store.num_bytes

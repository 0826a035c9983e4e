"""The verb `fit`: a recipe in, the trained model out, for what is larger: nothing is compared, reported or left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

from speechxfer.models import SpeechModel
from speechxfer.recipe import Recipe
from speechxfer.training.preparation import prepare
from speechxfer.training.run import Run
from speechxfer.training.stages import train


def fit(recipe: Recipe) -> SpeechModel:
    """Train as `finetune` does, and no more.

    Parameters
    ----------
    recipe
        See `speechxfer.read_recipe`; what it says of tests, guard, proof and report is left to who calls this.

    Returns
    -------
    SpeechModel
        With the weights of the best epoch on dev, on the device that it was trained on.

    Raises
    ------
    DataError
        With all problems of manifests, audio files and model, before anything is trained.
    TrainingError
        If training cannot go on.
    StoreError
        If the recipe's store cannot be used, or does not take the features.
    """
    prepared = prepare(recipe)
    with tempfile.TemporaryDirectory() as directory:
        train(recipe, prepared, Run(Path(directory), recipe))
    return prepared.speech_model

"""Utterances with texts and a pretrained model in; how a new head reads speakers it does not know, out: a short fine-tune."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from speechxfer.data import Manifest, Vocabulary, split_manifest
from speechxfer.evaluation import evaluate
from speechxfer.features import DiskStore, Keys
from speechxfer.models import for_inference, new_head
from speechxfer.recipe import Recipe
from speechxfer.training import fit

_EPOCHS = 25
_BATCHES = 12  # in each, at least: a head needs some hundred steps, however little there is to learn from
_LEARNING_RATE = 5e-3
_BATCH_SECONDS = 48.0
_SHARES = {"dev": 0.1, "test": 0.4}
_BLOCK = "block"


@dataclass(frozen=True)
class HeadProbe:
    """What a new CTC head on the frozen encoder learned.

    Attributes
    ----------
    minutes
        Of speech that it was trained on.
    utterances
        That it was tested on, of speakers that it was not trained on where they are known.
    cer, wer
        On those.
    """

    minutes: float
    utterances: int
    cer: float
    wer: float


def frame_key(model: str | Path, device: str, precision: str, store: DiskStore) -> Keys:
    """Give the function that says under which key a store keeps the frames that `probe_head` trains a head on.

    Parameters
    ----------
    model, device, precision
        As there.
    store
        Of the directory that it will be given.
    """
    under_head = new_head(model, "ctc", vocabulary=Vocabulary.from_texts(["any"]))
    split, exactness = for_inference(under_head, device, precision)
    return store.keys(split, under_head.frontend, exactness, None)


def probe_head(
    model: str | Path,
    sample: Manifest,
    blocks: Sequence[str],
    store: str | Path,
    device: str,
    precision: str,
) -> HeadProbe:
    """Fine-tune a linear head on half of a sample, and test it on most of the rest.

    Parameters
    ----------
    model
        Directory of a pretrained or fine-tuned model, or `tiny`.
    sample
        Checked, see `speechxfer.data.check_sets`.
    blocks
        What each row belongs to, such as its speaker; never parted. At least three different ones.
    store
        Directory of a feature store, which later runs with the same encoder read too.
    device, precision
        As in a recipe.

    Returns
    -------
    HeadProbe
        Rates over all that was tested.

    Raises
    ------
    DataError
        If the blocks are too few.
    ModelError
        If the model cannot be loaded.
    """
    columns = {**sample.columns, _BLOCK: [*blocks]}
    parted = split_manifest(Manifest(columns, sample.source, sample.lines, sample.problems), _BLOCK, _SHARES)
    trained_on = sum(map(float, parted.where(split="train").columns["duration"]))
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        manifest = Path(name) / "sample.csv"
        parted.write(manifest)
        recipe = _recipe(model, manifest, min(_BATCH_SECONDS, trained_on / _BATCHES), store, device, precision)
        fitted = fit(recipe)
        with closing(DiskStore(store, recipe.store.dtype)) as features:
            found = evaluate(fitted, f"{manifest}[split=test]", device=device, precision=precision, store=features).scores
    return HeadProbe(round(trained_on / 60, 2), found["utterances"], found["cer"], found["wer"])


def _recipe(model: str | Path, manifest: Path, batch_seconds: float, store: str | Path, device: str, precision: str) -> Recipe:
    return Recipe.model_validate(
        {
            "task": "ctc",
            "model": {"path": str(model), "train": "head"},
            "data": {name: f"{manifest}[split={name}]" for name in ("train", "dev", "test")},
            "store": {"directory": str(store)},
            "training": {
                "epochs": _EPOCHS,
                "head_learning_rate": _LEARNING_RATE,
                "batch_seconds": batch_seconds,
                "device": device,
                "precision": precision,
            },
        }
    )

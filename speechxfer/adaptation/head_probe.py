"""Utterances with texts and a pretrained model in; how a new head reads speakers it does not know, out: a short fine-tune."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speechxfer.data import Manifest, split_manifest
from speechxfer.evaluation import character_errors, total, word_errors
from speechxfer.recipe import Recipe
from speechxfer.report import read_answers
from speechxfer.training import finetune

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


def probe_head(
    model: str | Path,
    sample: Manifest,
    blocks: Sequence[str],
    *,
    device: str = "auto",
    precision: str = "auto",
    store: str | Path | None = None,
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
    device, precision
        As in a recipe.
    store
        Directory of a feature store, which later runs with the same encoder read too; None is memory.

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
        manifest, run = Path(name) / "sample.csv", Path(name) / "run"
        parted.write(manifest)
        finetune(_recipe(model, manifest, min(_BATCH_SECONDS, trained_on / _BATCHES), device, precision, store), run)
        ids, rows = read_answers(run / "answers.csv")
    return HeadProbe(
        minutes=round(trained_on / 60, 2),
        utterances=len(ids),
        cer=total(character_errors(rows.references, rows.answers)).rate or 0.0,
        wer=total(word_errors(rows.references, rows.answers)).rate or 0.0,
    )


def _recipe(
    model: str | Path, manifest: Path, batch_seconds: float, device: str, precision: str, store: str | Path | None
) -> Recipe:
    return Recipe.model_validate(
        {
            "task": "ctc",
            "model": {"path": str(model), "train": "head"},
            "data": {name: f"{manifest}[split={name}]" for name in ("train", "dev", "test")},
            "store": {"directory": None if store is None else str(store)},
            "training": {
                "epochs": _EPOCHS,
                "head_learning_rate": _LEARNING_RATE,
                "batch_seconds": batch_seconds,
                "device": device,
                "precision": precision,
            },
            "report": {"audio": False},
        }
    )

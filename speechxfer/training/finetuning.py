"""The verb `finetune`: a recipe in; a directory with model, report and log out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from speechxfer.data import TARGET_COLUMN, Manifest, Vocabulary, WaveformAugmenter, check_sets, normalise, read_sets
from speechxfer.errors import DataError, Problem
from speechxfer.evaluation import as_items, score_set
from speechxfer.features import FeatureSource, FeatureStore
from speechxfer.models import (
    PooledClassificationHead,
    SpeechModel,
    SplitModel,
    choose_device,
    choose_precision,
    collate,
    describe_trainable,
    new_head,
    set_trainable,
)
from speechxfer.recipe import Recipe
from speechxfer.report import make_report, write_json
from speechxfer.training.loop import TrainingSet, run_stage
from speechxfer.training.loss import fits
from speechxfer.training.run import Listener, Run


def finetune(recipe: Recipe, out: str | Path, listener: Listener | None = None) -> dict[str, Any]:
    """Fine-tune a pretrained model as a recipe says.

    Parameters
    ----------
    recipe
        See `speechxfer.read_recipe`.
    out
        The run's directory: `model/`, `report.json`, `recipe.yaml`, `log.jsonl`, `environment.json`, `checkpoints/`.
    listener
        Told every event as a dictionary, for progress.

    Returns
    -------
    dict
        The report: scores of dev and test, how training went.

    Raises
    ------
    DataError
        With all problems of all manifests and audio files, before anything is trained.
    ModelError
        If the pretrained model cannot be used.
    TrainingError
        If training cannot go on.
    """
    sets, notes = read_sets(recipe.data)
    speech_model = _with_new_head(recipe, sets["train"])
    sets, problems = _check(recipe, sets, speech_model)
    run = Run(Path(out), recipe, listener)
    notes += [f"left out: {problem}" for problem in problems]
    notes += _unknown_targets(sets, speech_model)
    run.tell("start", sets={name: _size(manifest) for name, manifest in sets.items()}, task=recipe.task)
    for note in notes:
        run.tell("note", text=note)
    scores, stages = _train(recipe, speech_model, sets, run)
    speech_model.save(run.model)
    sections: dict[str, Any] = {"training": {"seconds": round(run.seconds, 1), "stages": stages}, "notes": notes}
    if recipe.proof.control == "scratch":
        run.tell("note", text="control: the same recipe on the same shape with random weights")
        control = _with_new_head(recipe, sets["train"], random_encoder=True)
        control_run = Run(run.directory / "control", recipe, listener)
        sections["control"] = {"kind": "scratch", "sets": _train(recipe, control, sets, control_run)[0]}
    report = make_report(recipe.task, str(run.model), scores, **sections)
    write_json(run.directory / "report.json", report)
    run.tell("end", report=str(run.directory / "report.json"), model=str(run.model))
    return report


def _with_new_head(recipe: Recipe, train: Manifest, *, random_encoder: bool = False) -> SpeechModel:
    """Build the model: vocabulary or labels come from the training rows alone."""
    target = train.columns.get(TARGET_COLUMN[recipe.task], [])
    labels = sorted({label for label in target if label.strip()}) if recipe.task == "classification" else []
    texts = [normalise(text, recipe.data.normaliser) for text in target]
    torch.manual_seed(recipe.training.seed)
    return new_head(
        recipe.model.path,
        recipe.task,
        vocabulary=Vocabulary.from_texts(texts) if recipe.task == "ctc" else None,
        labels=labels,
        head=recipe.model.head,
        head_hidden_size=recipe.model.head_hidden_size,
        head_dropout=recipe.model.head_dropout,
        normaliser=recipe.data.normaliser,
        random_encoder=random_encoder,
    )


def _check(recipe: Recipe, sets: Mapping[str, Manifest], speech_model: SpeechModel) -> tuple[dict[str, Manifest], list[Problem]]:
    """Check rows and audio, then what only the model can say: too long for it, or too short for the text."""
    try:
        checked, problems = check_sets(sets, recipe.task, recipe.data.on_bad_row, recipe.data.normaliser)
    except DataError as error:
        readable, _ = _attempt_skipping(recipe, sets)
        raise DataError([*error.problems, *(p for m in readable.values() for p in _misfits(recipe, m, speech_model))]) from None
    misfits = {name: list(_misfits(recipe, manifest, speech_model)) for name, manifest in checked.items()}
    found = [problem for part in misfits.values() for problem in part]
    if found and recipe.data.on_bad_row == "error":
        raise DataError(found)
    for name, part in misfits.items():
        bad = {problem.row for problem in part}
        checked[name] = checked[name].select([row for row in range(len(checked[name])) if row not in bad])
        if not len(checked[name]):
            raise DataError([*part, Problem(checked[name].source, None, f"no usable row is left in {name}")])
    return checked, problems + found


def _attempt_skipping(recipe: Recipe, sets: Mapping[str, Manifest]) -> tuple[dict[str, Manifest], list[Problem]]:
    try:
        return check_sets(sets, recipe.task, "skip", recipe.data.normaliser)
    except DataError:
        return {}, []


def _misfits(recipe: Recipe, manifest: Manifest, speech_model: SpeechModel) -> Iterator[Problem]:
    """Find rows that are too long in the slowest view, or too short for their text in the fastest."""
    frontend, speeds = speech_model.frontend, (1.0, *recipe.augment.speed)
    longest = frontend.max_seconds * min(speeds)
    for row, item in enumerate(as_items(manifest)):
        if item.seconds > longest:
            what = f"{item.seconds:.1f} s, but this model takes {longest:.0f} s at most"
            yield manifest.problem(row, f"{what}: give start and end of shorter stretches")
        if speech_model.vocabulary:
            numbers = speech_model.vocabulary.encode(normalise(item.utterance.text or "", speech_model.normaliser))
            frames = frontend.num_frames(math.floor(item.seconds / max(speeds) * frontend.sampling_rate))
            if not fits(frames, numbers):
                yield manifest.problem(row, f"{len(numbers)} symbols of text do not fit into {frames} frames of audio")


def _unknown_targets(sets: Mapping[str, Manifest], speech_model: SpeechModel) -> list[str]:
    """Say which symbols or labels of dev and test the model can never give."""
    notes = []
    for name in sets.keys() - {"train"}:
        values = sets[name].columns[TARGET_COLUMN[speech_model.task]]
        if speech_model.vocabulary:
            counts = speech_model.vocabulary.unknown(normalise(text, speech_model.normaliser) for text in values)
            unknown = [f"{symbol!r} ({count})" for symbol, count in counts.most_common(10)]
        else:
            unknown = sorted({repr(label) for label in values} - {repr(label) for label in speech_model.labels})
        if unknown:
            notes.append(f"{name}: not in the training set, so never recognised: {', '.join(unknown)}")
    return sorted(notes)


def _size(manifest: Manifest) -> dict[str, float]:
    minutes = sum(map(float, manifest.columns["duration"])) / 60
    return {"utterances": len(manifest), "minutes": round(minutes, 1)}


def _train(
    recipe: Recipe, speech_model: SpeechModel, sets: Mapping[str, Manifest], run: Run
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run all stages; give the scores of dev and test, and how each stage went."""
    accelerator = _accelerator(recipe, run.directory)
    precision = "bf16" if accelerator.mixed_precision == "bf16" else "fp32"
    model = speech_model.model.to(accelerator.device)
    store = FeatureStore(recipe.store.dtype) if recipe.store.enabled else None
    augmenter = WaveformAugmenter(recipe.augment, speech_model.frontend.sampling_rate, recipe.training.seed)
    per_view = [as_items(sets["train"], view, augmenter.speed(view)) for view in range(recipe.augment.views)]
    training_set = TrainingSet(list(zip(*per_view, strict=True)), _targets(sets["train"], speech_model))
    results = []
    for number, stage in enumerate(recipe.stages()):
        assert stage.train is not None
        set_trainable(model, speech_model.family, stage.train)
        split = SplitModel(model, speech_model.family)
        source = FeatureSource(split, speech_model.frontend, store, precision, augmenter, recipe.training.batch_seconds)
        run.tell(
            "stage",
            stage=number,
            train=stage.train,
            cut=str(split.cut),
            parts=describe_trainable(model, speech_model.family),
        )
        source.plan([item for views in training_set.views for item in views])
        source.plan([item for name in ("train", "dev", "test") for item in as_items(sets[name])])
        if number == 0:
            _standardise_head(split, source, sets["train"])
        score_dev = _scorer(split, source, speech_model, sets["dev"], precision)
        result = run_stage(number, stage, recipe, split, source, training_set, score_dev, accelerator, run)
        results.append({"train": stage.train, "cut": str(split.cut), **asdict(result)})
        run.tell("stage_end", **results[-1], store_mb=round(store.num_bytes / 1e6, 1) if store else 0)
    groups = recipe.data.groups
    scores = {name: score_set(split, source, speech_model, sets[name], precision, groups).scores for name in ("dev", "test")}
    model.requires_grad_(True).eval()
    accelerator.end_training()
    return scores, results


def _scorer(split: SplitModel, source: FeatureSource, speech_model: SpeechModel, dev: Manifest, precision: str) -> Any:
    return lambda: score_set(split, source, speech_model, dev, precision, intervals=False)


def _accelerator(recipe: Recipe, directory: Path) -> Accelerator:
    training = recipe.training
    device = choose_device(training.device)
    precision = choose_precision(training.precision, device)
    # Accelerate keeps one state per process; a second run with another precision must not inherit the first one's.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        gradient_accumulation_steps=training.accumulation,
        log_with=training.trackers or None,
        project_dir=str(directory),
    )
    if training.trackers:
        accelerator.init_trackers("speechxfer")
    return accelerator


def _targets(manifest: Manifest, speech_model: SpeechModel) -> Sequence[Any]:
    values = manifest.columns[TARGET_COLUMN[speech_model.task]]
    if speech_model.vocabulary:
        return [speech_model.vocabulary.encode(normalise(text, speech_model.normaliser)) for text in values]
    numbers = {label: number for number, label in enumerate(speech_model.labels)}
    return [numbers[label] for label in values]


def _standardise_head(split: SplitModel, source: FeatureSource, train: Manifest) -> None:
    """Give a pooling head the mean and spread of the training clips as the model sees them before training."""
    head = split.model.get_submodule("head")
    if not isinstance(head, PooledClassificationHead):
        return
    pooled: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Tensor, Tensor]) -> None:
        pooled.append(head.pool(args[0].float(), args[1]))

    handle = head.register_forward_pre_hook(keep)
    device = next(split.parameters()).device
    split.eval()
    with torch.no_grad():
        items = as_items(train)
        for start in range(0, len(items), 64):
            split(collate(source.features(items[start : start + 64])).to(device))
    handle.remove()
    head.standardise(torch.cat(pooled))

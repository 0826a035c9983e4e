"""All stages of a run: a model under its head and checked sets in; the trained model and how each stage went out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from torch import Tensor, nn
from transformers import PreTrainedModel

from speechxfer.data import TARGET_COLUMN, Manifest, WaveformAugmenter, normalise
from speechxfer.errors import RunDirectoryError, TrainingError
from speechxfer.evaluation import as_items, score_set
from speechxfer.features import DiskStore, FeatureSource, FeatureStore, Item, MemoryStore
from speechxfer.models import (
    Cut,
    PooledClassificationHead,
    SpeechModel,
    SplitModel,
    choose_device,
    choose_precision,
    collate,
    describe_trainable,
    inject_lora,
    merge_lora,
    save_head,
    set_trainable,
    write_tensors,
)
from speechxfer.recipe import Recipe
from speechxfer.training.checkpoints import Checkpoint, read_tensors, seed_generators
from speechxfer.training.interrupt import interruptible
from speechxfer.training.loop import TrainingSet, run_stage
from speechxfer.training.preparation import Prepared
from speechxfer.training.run import Run

_SHARDING = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)


def train(recipe: Recipe, prepared: Prepared, run: Run) -> list[dict[str, Any]]:
    """Run all stages, or those that are left, on the model in `prepared`; say how each went."""
    with interruptible() as run.is_interrupted, open_disk_store(recipe) as disk_store:
        return _train(recipe, prepared, run, disk_store)


@contextmanager
def open_disk_store(recipe: Recipe) -> Iterator[DiskStore | None]:
    """Open the store that a recipe names, if it does."""
    if not recipe.store.enabled or recipe.store.directory is None:
        yield None
        return
    store = DiskStore(recipe.store.directory, recipe.store.dtype)
    try:
        yield store
    finally:
        store.close()


def _train(recipe: Recipe, prepared: Prepared, run: Run, disk_store: DiskStore | None) -> list[dict[str, Any]]:
    sets, speech_model = prepared.sets, prepared.speech_model
    accelerator = make_accelerator(recipe, run.directory)
    model = speech_model.model.to(accelerator.device)
    store: FeatureStore | None = disk_store
    cut: Cut | None = None
    augmenter = make_augmenter(recipe, prepared)
    training_set = make_training_set(recipe, speech_model, sets, augmenter)
    first, results = _resumed(run, model, training_set)
    for number, stage in enumerate(recipe.stages()):
        assert stage.train is not None
        if number < first:
            continue
        split = split_for_stage(recipe, number, speech_model)
        if split.cut != cut and recipe.store.enabled and not disk_store:
            # Features at another cut are of no use any more, and memory is scarce.
            store, cut = MemoryStore(recipe.store.dtype, split.device), split.cut
        source = make_source(recipe, split, speech_model, store, accelerator, augmenter)
        run.tell(
            "stage",
            stage=number,
            train=stage.train,
            cut=str(split.cut),
            parts=describe_trainable(model, speech_model.family),
            processes=accelerator.num_processes,
        )
        source.plan(as_items(sets["dev"]))
        source.plan([item for views in training_set.views for item in views])
        if source.num_fleeting:
            run.tell("note", text=_does_not_fit(source, recipe.store.max_gb))
        if number == 0 and not run.saved_in(0) and recipe.model.vocabulary == "new":
            _standardise_head(split, source, sets["train"])
        score_dev = _scorer(split, source, speech_model, sets["dev"], _precision(accelerator))
        result = run_stage(number, recipe, split, source, training_set, score_dev, accelerator, run)
        if stage.train.startswith("lora:"):
            adapter = merge_lora(model)
            if _only_the_adapter_changes_the_encoder(recipe):
                adapter.save(run.directory / "adapter")
        results.append({"train": stage.train, "cut": str(split.cut), **result.to_dict()})
        run.tell("stage_end", **results[-1], store_mb=round(store.num_bytes / 1e6, 1) if store else 0)
        write_tensors(run.stage_start(number + 1), model.state_dict(), {})
        run.save(Checkpoint({}, {"stage": number + 1}))
    accelerator.end_training()
    if _only_the_adapter_changes_the_encoder(recipe):
        save_head(model, run.directory / "adapter")
    return results


def make_augmenter(recipe: Recipe, prepared: Prepared) -> WaveformAugmenter:
    """Give what makes the views of the training audio."""
    rate = prepared.speech_model.frontend.sampling_rate
    return WaveformAugmenter(recipe.augment, rate, recipe.training.seed, prepared.noises or (), prepared.rooms or ())


def split_for_stage(recipe: Recipe, number: int, speech_model: SpeechModel) -> SplitModel:
    """Let train what a stage trains, and cut the model below it."""
    train = recipe.stages()[number].train
    assert train is not None
    if train.startswith("lora:"):
        # The random matrices must not depend on what was drawn before, which a resumed process has not drawn.
        seed_generators(recipe.training.seed, number, 0, 3)
        inject_lora(speech_model.model, speech_model.family, int(train.removeprefix("lora:")), recipe.model.decoder)
    set_trainable(speech_model.model, speech_model.family, train, recipe.model.decoder)
    return SplitModel(speech_model.model, speech_model.family, masked=recipe.augment.masks)


def make_source(
    recipe: Recipe,
    split: SplitModel,
    speech_model: SpeechModel,
    store: FeatureStore | None,
    accelerator: Accelerator,
    augmenter: WaveformAugmenter,
) -> FeatureSource:
    """Give the source of a stage's features."""
    return FeatureSource(
        split,
        speech_model.frontend,
        store,
        _precision(accelerator),
        augmenter,
        batch_seconds=recipe.training.batch_seconds,
        max_bytes=recipe.store.max_gb * 1e9,
    )


def _precision(accelerator: Accelerator) -> str:
    return "bf16" if accelerator.mixed_precision == "bf16" else "fp32"


def _does_not_fit(source: FeatureSource, max_gb: float) -> str:
    size = f"{source.planned_bytes / 1e9:.1f} GB"
    count = f"{source.num_fleeting} of {source.num_planned} utterances"
    return (
        f"all frozen features take {size}, but store.max_gb is {max_gb:g}: those of {count} are computed each time they are used"
    )


def _resumed(run: Run, model: PreTrainedModel, training_set: TrainingSet) -> tuple[int, list[dict[str, Any]]]:
    """Give the stage to go on with and how those before it went; the model gets the weights with which it begins."""
    run.facts = {"data": _digest(training_set), "results": [], "threads": torch.get_num_threads()}
    if not run.saved:
        return 0, run.facts["results"]
    if run.saved.facts["data"] != run.facts["data"]:
        raise RunDirectoryError(f"{run.directory} was begun with other training data; give another --out")
    first, run.facts["results"] = run.saved.facts["stage"], run.saved.facts["results"]
    if first:
        model.load_state_dict(read_tensors(run.stage_start(first)))
    run.tell("note", text=f"resumed in stage {first + 1}, epoch {run.saved.facts.get('epoch', 0) + 1}")
    if run.saved.facts["threads"] != run.facts["threads"]:
        threads = f"on {run.facts['threads']} threads instead of {run.saved.facts['threads']}"
        run.tell("note", text=f"resumed {threads}: the weights will agree to rounding, not to the bit")
    return first, run.facts["results"]


def _digest(training_set: TrainingSet) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for views, target in zip(training_set.views, training_set.targets, strict=True):
        digest.update(f"{[(item.utterance.id, item.seconds, item.view) for item in views]}{target}".encode())
    return digest.hexdigest()


def _only_the_adapter_changes_the_encoder(recipe: Recipe) -> bool:
    """Tell whether a LoRA adapter fits the pretrained encoder, which many models may share."""
    changing = [stage.train for stage in recipe.stages() if stage.train and stage.train != "head"]
    return len(changing) == 1 and changing[0].startswith("lora:")


def make_training_set(
    recipe: Recipe, speech_model: SpeechModel, sets: Mapping[str, Manifest], augmenter: WaveformAugmenter
) -> TrainingSet:
    """Give own utterances in all views; those where nobody speaks, and those of `data.mix`, of which there are many, in one."""
    per_view = _views(sets["train"], recipe.augment.views, augmenter)
    views: list[Sequence[Item]] = list(zip(*per_view, strict=True))
    targets = _targets(recipe, sets["train"], views, speech_model)
    num_own = len(views)
    for name in [name for name in ("silence", "mix") if name in sets]:
        in_turn = _views(sets[name], recipe.augment.views, augmenter)
        more: list[Sequence[Item]] = [[in_turn[row % len(in_turn)][row]] for row in range(len(sets[name]))]
        targets += _targets(recipe, sets[name], more, speech_model)
        views += more
        num_own += len(more) * (name == "silence")
    return TrainingSet(views, targets, num_own, speech_model.frontend.seconds_computed)


def _views(manifest: Manifest, count: int, augmenter: WaveformAugmenter) -> list[list[Item]]:
    """Give a set in each of its views; one that changes nothing is the audio as it is, whose features are there already."""
    return [as_items(manifest, view if augmenter.changes(view) else None, augmenter.speed(view)) for view in range(count)]


def _scorer(split: SplitModel, source: FeatureSource, speech_model: SpeechModel, dev: Manifest, precision: str) -> Any:
    return lambda: score_set(split, source, speech_model, dev, precision, intervals=False)


def make_accelerator(recipe: Recipe, directory: Path) -> Accelerator:
    """Give devices and precision as the recipe wants them.

    Raises
    ------
    TrainingError
        If accelerate is configured to shard the model.
    """
    training = recipe.training
    device = choose_device(training.device)
    precision = choose_precision(training.precision, device)
    # Accelerate keeps one state per process; a second run with another precision must not inherit the first one's.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        log_with=training.trackers or None,
        project_dir=str(directory),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    if accelerator.distributed_type in _SHARDING:
        what = (
            f"accelerate's configuration asks for {accelerator.distributed_type.value}, which shards weights that the frozen part"
        )
        raise TrainingError(
            f"{what} and the checkpoints need whole; turn it off, and each process holds the model (docs/scale.md)"
        )
    if training.trackers:
        accelerator.init_trackers("speechxfer")
    return accelerator


def _targets(
    recipe: Recipe, manifest: Manifest, views: Sequence[Sequence[Item]], speech_model: SpeechModel
) -> list[Sequence[Any]]:
    """Give what is to be learned from each utterance, in each of its views."""
    values = manifest.columns[TARGET_COLUMN[speech_model.task]]
    if not speech_model.writes:
        numbers = {label: number for number, label in enumerate(speech_model.labels)}
        return [[numbers[label]] * len(own) for label, own in zip(values, views, strict=True)]
    texts = [normalise(text, speech_model.normaliser) for text in values]
    if speech_model.vocabulary:
        return [[speech_model.vocabulary.encode(text)] * len(own) for text, own in zip(texts, views, strict=True)]
    tokens = speech_model.tokens
    assert tokens
    is_timed = np.random.default_rng(recipe.training.seed).random(len(texts)) < recipe.whisper.timed_share
    languages = [tokens.language_of(utterance) for utterance in manifest]
    speaking = {language: tokens.speaking(language) for language in {*languages}}
    return [
        [speaking[language].target(text, item.seconds if timed else None) for item in own]
        for language, text, own, timed in zip(languages, texts, views, is_timed, strict=True)
    ]


def _standardise_head(split: SplitModel, source: FeatureSource, train: Manifest) -> None:
    """Give a pooling head the mean and spread of the training clips as the model sees them before training."""
    head = getattr(split.model, "head", None)
    if not isinstance(head, PooledClassificationHead):
        return
    pooled: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Sequence[Tensor], Tensor]) -> None:
        pooled.append(head.pool(*args))

    handle = head.register_forward_pre_hook(keep)
    split.eval()
    items = as_items(train)
    source.plan(items)
    with torch.no_grad():
        for start in range(0, len(items), 64):
            split(collate(source.features(items[start : start + 64])).to(split.device))
    handle.remove()
    head.standardise(torch.cat(pooled))

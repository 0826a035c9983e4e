"""A recipe in; checked sets and the model under its new head out, or every problem at once, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from speechxfer.data import (
    TARGET_COLUMN,
    Manifest,
    Vocabulary,
    draw_stretches,
    named_sets,
    normalise,
    normaliser_of,
    parse_manifest,
    read_sets,
    refuse,
    sift_sets,
)
from speechxfer.errors import DataError, ModelError, Problem
from speechxfer.evaluation import as_items
from speechxfer.models import (
    SpeechModel,
    add_terms,
    choose_device,
    extend_labels,
    extend_vocabulary,
    load_model,
    new_head,
    set_trainable,
    with_random_weights,
)
from speechxfer.recipe import Recipe
from speechxfer.training.loss import fits

_SILENT_SHARE = 0.1  # of the training utterances


@dataclass(frozen=True)
class Prepared:
    """What a run needs.

    Attributes
    ----------
    sets
        `train`, `dev`, `test`, and those asked for of `mix`, `guard`, `guard 2` ..., with durations, good rows only; and of
        `data.silence` the stretches that are trained on.
    noises, rooms
        The rows of `augment.noise.manifest` and `augment.room.manifest`; None without.
    speech_model
        The pretrained model under its new head.
    notes
        What the user should know, a sentence each.
    skipped
        Problems of the rows left out.
    """

    sets: Mapping[str, Manifest]
    noises: Manifest | None
    rooms: Manifest | None
    speech_model: SpeechModel
    notes: list[str]
    skipped: list[Problem]


def prepare(recipe: Recipe) -> Prepared:
    """Read and check all that a recipe names.

    Raises
    ------
    DataError
        With all problems of manifests, audio files, model and values that do not fit the model.
    """
    read, notes, problems = read_sets(recipe.data)
    sets, in_rows = sift_sets(read, recipe.task, normaliser_of(recipe.data))
    problems += in_rows
    sections = {"noise": recipe.augment.noise, "room": recipe.augment.room}
    named = {name: section.manifest for name, section in sections.items() if section}
    sounds, in_sounds = _read_sounds(named | ({"silence": recipe.data.silence} if recipe.data.silence else {}))
    problems += in_sounds
    speech_model = None
    try:
        speech_model = model_under_new_head(recipe, sets)
    except ModelError as error:
        problems.append(Problem("", None, str(error), skippable=False))
    problems += _wrong_values(recipe, speech_model)
    if speech_model:
        for name, manifest in sets.items():
            misfits = list(_misfits(recipe, manifest, speech_model))
            if name in ("train", "mix"):
                misfits += _labels_that_cannot_be_learned(manifest, speech_model)
            bad = {problem.row for problem in misfits}
            sets[name] = manifest.select([row for row in range(len(manifest)) if row not in bad])
            problems += misfits
    needed = {**sets, **sounds}
    complete = speech_model and sets.keys() >= {"train", "dev", "test", *named_sets(recipe.data)}
    refuse(problems, needed, recipe.data.on_bad_row if complete else "error")
    assert speech_model
    notes += _unknown_targets(sets, speech_model)
    if "silence" in sounds:
        sets["silence"] = _silent_stretches(sounds["silence"], sets["train"], recipe.training.seed)
    return Prepared(sets, sounds.get("noise"), sounds.get("room"), speech_model, notes, problems)


def model_under_new_head(recipe: Recipe, sets: Mapping[str, Manifest], *, random_encoder: bool = False) -> SpeechModel:
    """Build the model; vocabulary or labels come from the rows that are trained on, and from the model where they are kept.

    A model that writes with a decoder is taken as it is.
    """
    trained_on = [sets[name].columns for name in ("train", "mix") if name in sets]
    target = [value for columns in trained_on for value in columns.get(TARGET_COLUMN[recipe.task], [])]
    labels = sorted({label for label in target if label.strip()}) if recipe.task == "classification" else []
    texts = [normalise(text, normaliser_of(recipe.data)) for text in target]
    vocabulary = _vocabulary(recipe, texts) if recipe.task == "ctc" else None
    torch.manual_seed(recipe.training.seed)
    if recipe.task == "seq2seq":
        return _with_decoder(recipe, random_weights=random_encoder)
    if recipe.model.vocabulary != "new":
        return _with_kept_head(recipe, vocabulary, labels, random_weights=random_encoder)
    return new_head(
        recipe.model.path,
        recipe.task,
        vocabulary=vocabulary,
        labels=labels,
        head=recipe.model.head,
        head_hidden_size=recipe.model.head_hidden_size,
        head_dropout=recipe.model.head_dropout,
        weighted_layer_sum=recipe.model.weighted_layer_sum,
        normaliser=normaliser_of(recipe.data),
        random_encoder=random_encoder,
        target_lang=recipe.model.target_lang,
    )


def _vocabulary(recipe: Recipe, texts: list[str]) -> Vocabulary:
    _, pieces, size = recipe.model.symbols.partition(":")
    vocabulary = Vocabulary.from_texts(texts, int(size) if pieces else None)
    if pieces and len(vocabulary) > int(size):
        what = f"model.symbols={recipe.model.symbols}, but the training texts hold {len(vocabulary) - 1} different characters"
        raise ModelError(f"{what}, and one symbol is the blank: ask for more, or for characters")
    return vocabulary


def starts_with_head_only(recipe: Recipe) -> bool:
    """Tell whether a first stage trains the new head alone, so that what follows can be compared with it."""
    return len(recipe.stages()) > 1 and recipe.stages()[0].train == "head"


def can_do_the_task_before(recipe: Recipe) -> bool:
    """Tell whether the pretrained model can do the task as it is."""
    return recipe.task == "seq2seq" or recipe.model.vocabulary != "new"


def _with_kept_head(recipe: Recipe, vocabulary: Vocabulary | None, labels: list[str], *, random_weights: bool) -> SpeechModel:
    loaded = load_model(recipe.model.path, target_lang=recipe.model.target_lang)
    speech_model = replace(loaded, calibration=None)  # it will not be the same model for long
    if speech_model.is_exported:
        raise ModelError(f"{recipe.model.path}: an exported model cannot train; take the model it was exported from")
    if speech_model.task != recipe.task:
        what = f"a model of task {speech_model.task}, but the recipe's task is {recipe.task}"
        raise ModelError(f"{recipe.model.path}: {what}; put a new head on it with model.vocabulary=new")
    if speech_model.normaliser != normaliser_of(recipe.data):
        what = f"its texts went through the normaliser {speech_model.normaliser!r}"
        raise ModelError(f"{recipe.model.path}: {what}; set data.normaliser and data.rules to it, or model.vocabulary to new")
    if recipe.model.vocabulary == "extend":
        speech_model = extend_vocabulary(speech_model, vocabulary.symbols) if vocabulary else extend_labels(speech_model, labels)
    return with_random_weights(speech_model) if random_weights else speech_model


def _with_decoder(recipe: Recipe, *, random_weights: bool) -> SpeechModel:
    speech_model = replace(load_model(recipe.model.path), calibration=None, normaliser=normaliser_of(recipe.data))
    if not speech_model.tokens:
        what = f"a model of task {speech_model.task}, but task seq2seq trains one that writes with a decoder"
        raise ModelError(f"{recipe.model.path}: {what}, such as a complete Whisper")
    tokens = replace(speech_model.tokens, language=recipe.whisper.language or speech_model.tokens.language)
    tokens.prompt()  # complains of a language that it cannot do
    frontend = speech_model.frontend.in_context(recipe.whisper.context)
    speech_model = replace(speech_model, tokens=tokens, frontend=frontend)
    if terms := [normalise(term, speech_model.normaliser) for term in recipe.whisper.new_terms]:
        speech_model = add_terms(speech_model, terms)
    return with_random_weights(speech_model) if random_weights else speech_model


def _silent_stretches(recordings: Manifest, train: Manifest, seed: int) -> Manifest:
    """Draw what is as long as the training utterances and says nothing."""
    lengths = [float(seconds) for seconds in train.columns["duration"]]
    drawn = draw_stretches(recordings, lengths, round(_SILENT_SHARE * len(train)), np.random.default_rng((seed, 4)))
    return Manifest(drawn.columns | {"text": [""] * len(drawn)}, drawn.source, drawn.lines)


def _read_sounds(specs: Mapping[str, str]) -> tuple[dict[str, Manifest], list[Problem]]:
    """Read the manifests of what has neither text nor label, by name."""
    sounds: dict[str, Manifest] = {}
    problems: list[Problem] = []
    for name, spec in specs.items():
        try:
            read, found = sift_sets({name: parse_manifest(spec)}, task=None)
        except DataError as error:
            problems += error.problems
        else:
            sounds |= read
            problems += found
    return sounds, problems


def _wrong_values(recipe: Recipe, speech_model: SpeechModel | None) -> Iterator[Problem]:
    """Find values of the recipe that this model or this machine cannot serve."""
    try:
        choose_device(recipe.training.device)
    except ModelError as error:
        yield Problem("training.device", None, str(error), skippable=False)
    for name in recipe.training.trackers:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(sorted(LOGGER_TYPE_TO_CLASS))
            yield Problem("training.trackers", None, f"unknown tracker {name!r}; known: {known}", skippable=False)
    if recipe.augment.masks and recipe.model.weighted_layer_sum and any(stage.train == "head" for stage in recipe.stages()):
        what = "masks cannot act on the layers' means, which a frozen encoder under model.weighted_layer_sum is reduced to"
        yield Problem("augment", None, f"{what}: turn the masks off, or the sum", skippable=False)
    if recipe.data.guard and not can_do_the_task_before(recipe) and not starts_with_head_only(recipe):
        what = (
            "nothing to compare the result with: the pretrained model has no head for the task. Let a first stage train the head"
        )
        yield Problem("data.guard", None, f"{what} alone, or start from a model that has one (model.vocabulary)", skippable=False)
    if not recipe.data.mix and any(stage.mix_share for stage in recipe.stages()):
        yield Problem("training.stages", None, "mix_share is given, but data.mix is not", skippable=False)
    for train in dict.fromkeys(stage.train for stage in recipe.stages()) if speech_model else ():
        assert speech_model and train
        try:
            set_trainable(speech_model.model, speech_model.family, train, recipe.model.decoder)
        except ModelError as error:
            yield Problem("", None, str(error), skippable=False)


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
            frames = speech_model.num_frames(math.floor(item.seconds / max(speeds) * frontend.sampling_rate))
            if not fits(frames, numbers):
                yield manifest.problem(row, f"{len(numbers)} symbols of text do not fit into {frames} frames of audio")
        if tokens := speech_model.tokens:
            try:
                tokens.language_of(item.utterance)
            except ModelError as error:
                yield manifest.problem(row, str(error))
            target = tokens.target(normalise(item.utterance.text or "", speech_model.normaliser), item.seconds)
            length = len(target.prompt) + len(target.answer)
            if length > tokens.max_length:
                what = f"{length} tokens of text, but this decoder takes {tokens.max_length} at most"
                yield manifest.problem(row, f"{what}: give start and end of shorter stretches")


def _labels_that_cannot_be_learned(manifest: Manifest, speech_model: SpeechModel) -> Iterator[Problem]:
    if speech_model.task == "classification":
        for row, label in enumerate(manifest.columns["label"]):
            if label not in speech_model.labels:
                yield manifest.problem(row, f"the model has no label {label!r}; model.vocabulary=extend adds it")


def _unknown_targets(sets: Mapping[str, Manifest], speech_model: SpeechModel) -> list[str]:
    """Say which symbols or labels the model can never give; those of train too, if it keeps its vocabulary."""
    notes = []
    for name in sets:
        values = sets[name].columns[TARGET_COLUMN[speech_model.task]]
        if speech_model.vocabulary:
            counts = speech_model.vocabulary.unknown(normalise(text, speech_model.normaliser) for text in values)
            unknown = [f"{symbol!r} ({count})" for symbol, count in counts.most_common(10)]
        elif speech_model.tokens:
            unknown = []  # its tokens spell everything
        else:
            unknown = sorted({repr(label) for label in values} - {repr(label) for label in speech_model.labels})
        if unknown:
            notes.append(f"{name}: unknown to the model, so never recognised: {', '.join(unknown)}")
    return notes

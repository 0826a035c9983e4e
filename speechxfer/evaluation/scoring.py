"""A model and a set in, scores out: numbers only. Training scores dev and test through `score_set`, users through `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from speechxfer.data import Manifest, check_sets, normalise, parse_manifest
from speechxfer.decoding import (
    Decoder,
    calibrate_segment,
    calibration_error,
    classify,
    make_decoder,
    read_hotwords,
    recognise,
    write,
    writing_options,
)
from speechxfer.evaluation.answers import SetScores, score_answers
from speechxfer.evaluation.groups import GroupSpec
from speechxfer.evaluation.metrics import right_words, term_counts
from speechxfer.features import FeatureSource, FeatureStore, Item
from speechxfer.models import (
    Features,
    InferenceModel,
    SpeechModel,
    for_inference,
    load_model,
    suitable_batch_seconds,
)
from speechxfer.transcript import Segment


def evaluate(
    model: SpeechModel | str | Path,
    manifest: Manifest | str | Path,
    *,
    groups: GroupSpec | None = None,
    on_bad_row: str = "error",
    device: str = "auto",
    precision: str = "auto",
    batch_seconds: float | None = None,
    hotwords: str | Path | Sequence[str] = (),
    language_model: str | Path | None = None,
    prompt: str = "",
    language: str | None = None,
    terms: str | Path | Sequence[str] = (),
    store: FeatureStore | None = None,
) -> SetScores:
    """Score a saved model on a set.

    Parameters
    ----------
    model
        Loaded, or its directory.
    manifest
        Read, or `file` or `file[column=value]`.
    groups
        See `speechxfer.evaluation.group_rows`.
    on_bad_row
        `error` or `skip`.
    device, precision
        `auto`, or a torch device; `auto`, `fp32`, `bf16` or `int8`.
    batch_seconds
        Upper bound of padded audio in one forward; None suits the device.
    hotwords, language_model, prompt, language
        What to decode with, see `speechxfer.decoding.make_decoder` and `writing_options`.
    terms
        Words of interest, whose recall and precision are reported; a file or lines as for hotwords.
    store
        Keeps what the encoder computes, for other models with the same encoder.

    Returns
    -------
    SetScores
        Scores with 95 % intervals over speakers, per group, and every answer.

    Raises
    ------
    DataError
        With all problems of the manifest and its audio.
    ModelError
        If the directory holds no fine-tuned model.
    """
    speech_model = model if isinstance(model, SpeechModel) else load_model(model)
    wanted = _terms(terms, speech_model.normaliser) if terms else ()
    read = manifest if isinstance(manifest, Manifest) else parse_manifest(manifest)
    checked, skipped = check_sets({"set": read}, speech_model.task, on_bad_row, speech_model.normaliser)
    split, exactness = for_inference(speech_model, device, precision)
    size = batch_seconds or suitable_batch_seconds(split.device)
    source = FeatureSource(split, speech_model.frontend, store, exactness, batch_seconds=size)
    source.plan(as_items(checked["set"]))
    decoder, writing = None, None
    if speech_model.tokens:
        writing = writing_options(hotwords, language_model, prompt, language)
    elif hotwords or language_model or prompt:
        decoder = make_decoder(speech_model.vocabulary, hotwords, language_model, prompt)
    result = score_set(split, source, speech_model, checked["set"], exactness, groups, decoder=decoder, writing=writing)
    if wanted:
        result.scores["terms"] = term_counts(result.rows.references, result.rows.answers, wanted).to_dict()
    if skipped:
        result.scores["skipped"] = len({(problem.file, problem.line) for problem in skipped})
    return result


def _terms(source: str | Path | Sequence[str], normaliser: str) -> list[str]:
    """Give terms as texts are compared."""
    return [normalise(one.written, normaliser) for one in read_hotwords(source, None)]


def as_items(manifest: Manifest, view: int | None = None, speed: float = 1.0) -> list[Item]:
    """Give a checked manifest's utterances as items of one view."""
    seconds = manifest.columns["duration"]
    return [Item(utterance, float(seconds[row]) / speed, view) for row, utterance in enumerate(manifest)]


def score_set(
    split: InferenceModel,
    source: FeatureSource,
    speech_model: SpeechModel,
    manifest: Manifest,
    precision: str,
    groups: GroupSpec | None = None,
    *,
    intervals: bool = True,
    decoder: Decoder | None = None,
    writing: Mapping[str, Any] | None = None,
) -> SetScores:
    """Score a set whose rows are checked.

    Parameters
    ----------
    split, source
        The model with its cut, and where its features come from.
    speech_model
        Task, vocabulary or labels, and normaliser.
    manifest
        With a `duration` column, see `speechxfer.data.check_sets`.
    precision
        Of the suffix.
    groups
        See `group_rows`.
    intervals
        False leaves out groups and intervals, as for dev in each epoch.
    decoder
        Of a CTC model; None is greedy.
    writing
        Options of a model with a decoder, see `writing_options`.

    Returns
    -------
    SetScores
        The set's scores.
    """
    features = source.features(as_items(manifest))
    given: dict[str, Any] = {"labels": speech_model.labels, "normaliser": speech_model.normaliser}
    given |= {"groups": groups, "intervals": intervals}
    if not speech_model.writes:
        best = classify(split, features, precision).argmax(dim=-1).tolist()
        return score_answers(manifest, [speech_model.labels[number] for number in best], **given)
    heard, blank = _heard(split, features, speech_model, precision, decoder, writing or {})
    result = score_answers(manifest, [segment.text for segment in heard], **given)
    words = _words(heard, result.rows.references, result.rows.answers) if intervals else ()
    if words:
        result.scores["confidence"] = {"words": len(words), "error": calibration_error(*zip(*words, strict=True))}
    return replace(result, blank_share=blank, words=words)


def _heard(
    split: InferenceModel,
    features: Sequence[Features],
    speech_model: SpeechModel,
    precision: str,
    decoder: Decoder | None,
    writing: Mapping[str, Any],
) -> tuple[list[Segment], float]:
    """Give what was heard in each utterance, and the share of blank frames of a CTC model."""
    if speech_model.tokens:
        segments, blank = write(split, features, speech_model.tokens, precision, **writing), 0.0
    else:
        assert speech_model.vocabulary is not None
        recognised = recognise(split, features, speech_model.vocabulary, precision, decoder=decoder)
        segments = [item.segment for item in recognised]
        frames = [item.input_length for item in features]
        blank = float(np.average([item.blank_share for item in recognised], weights=frames))
    return [calibrate_segment(segment, speech_model.calibration) for segment in segments], blank


def _words(heard: Sequence[Segment], references: Sequence[str], answers: Sequence[str]) -> tuple[tuple[float, bool], ...]:
    """Give the confidence of each word, and whether it is right; a row whose words the normaliser changed is left out."""
    found: list[tuple[float, bool]] = []
    for segment, reference, answer in zip(heard, references, answers, strict=True):
        right = right_words(reference, answer)
        if len(right) == len(segment.words):
            found += [(word.confidence, one) for word, one in zip(segment.words, right, strict=True)]
    return tuple(found)

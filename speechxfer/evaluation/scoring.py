"""A model and a set in, scores out: numbers only. Training scores dev and test through `score_set`, users through `evaluate`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from speechxfer.data import Manifest, Spread, check_sets, normalise, parse_manifest, plan_batches
from speechxfer.decoding import calibration_error, read_hotwords
from speechxfer.evaluation.answering import Answer, Recogniser, answer, as_items
from speechxfer.evaluation.answers import SetScores, score_answers
from speechxfer.evaluation.groups import GroupSpec
from speechxfer.evaluation.metrics import right_words, term_counts
from speechxfer.features import FeatureSource, FeatureStore
from speechxfer.models import InferenceModel, SpeechModel, load_model
from speechxfer.transcript import Segment

_PART_SECONDS = 600.0  # of padded audio, that one worker recognises at a time


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
    spread: Spread | None = None,
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
    spread
        Has others recognise, such as `speechxfer.distributed.on_cluster`; None recognises here.

    Returns
    -------
    SetScores
        Scores with 95 % intervals over speakers, per group, and every answer.

    Raises
    ------
    DataError
        With all problems of the manifest and its audio, or of hotwords, language model or terms.
    ModelError
        If the directory holds no fine-tuned model, or it cannot run or decode as asked.
    AudioError
        If audio whose header could be read cannot be decoded.
    """
    speech_model = model if isinstance(model, SpeechModel) else load_model(model)
    wanted = _terms(terms, speech_model.normaliser) if terms else ()
    read = manifest if isinstance(manifest, Manifest) else parse_manifest(manifest)
    checked, skipped = check_sets({"set": read}, speech_model.task, on_bad_row, speech_model.normaliser)
    make = functools.partial(
        Recogniser,
        device=device,
        precision=precision,
        batch_seconds=batch_seconds,
        hotwords=hotwords,
        language_model=language_model,
        prompt=prompt,
        language=language,
    )
    if spread is None:
        answers = make(speech_model, store=store)(checked["set"])
    else:
        answers = _recognised_by(spread, functools.partial(make, model), checked["set"])
    result = _score(speech_model, checked["set"], answers, groups, intervals=True)
    if wanted:
        result.scores["terms"] = term_counts(result.rows.references, result.rows.answers, wanted).to_dict()
    if skipped:
        result.scores["skipped"] = len({(problem.file, problem.line) for problem in skipped})
    return result


def _recognised_by(spread: Spread, make: Callable[[], Recogniser], manifest: Manifest) -> list[Answer]:
    """Have parts of a set recognised, utterances of like length together; gives answers in the order of the set."""
    planned = plan_batches([item.seconds for item in as_items(manifest)], _PART_SECONDS)
    answered = spread(make, [manifest.select(rows) for rows in planned])
    in_order = {row: one for rows, part in zip(planned, answered, strict=True) for row, one in zip(rows, part, strict=True)}
    return [in_order[row] for row in range(len(manifest))]


def _terms(source: str | Path | Sequence[str], normaliser: str) -> list[str]:
    """Give terms as texts are compared."""
    return [normalise(one.written, normaliser) for one in read_hotwords(source, None)]


def score_set(
    split: InferenceModel,
    source: FeatureSource,
    speech_model: SpeechModel,
    manifest: Manifest,
    precision: str,
    groups: GroupSpec | None = None,
    *,
    intervals: bool = True,
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

    Returns
    -------
    SetScores
        The set's scores.

    Raises
    ------
    AudioError
        If an utterance, which the error names, cannot be read.
    """
    answers = answer(split, source, speech_model, as_items(manifest), precision)
    return _score(speech_model, manifest, answers, groups, intervals=intervals)


def _score(
    speech_model: SpeechModel, manifest: Manifest, answers: Sequence[Answer], groups: GroupSpec | None, *, intervals: bool
) -> SetScores:
    """Score answers, and the confidences of what was heard."""
    result = score_answers(
        manifest,
        [one.text for one in answers],
        labels=speech_model.labels,
        normaliser=speech_model.normaliser,
        groups=groups,
        intervals=intervals,
    )
    heard = [one.segment for one in answers if one.segment is not None]
    words = _words(heard, result.rows.references, result.rows.answers) if intervals and heard else ()
    if words:
        result.scores["confidence"] = {"words": len(words), "error": calibration_error(*zip(*words, strict=True))}
    frames = [one.input_length for one in answers]
    blank = float(np.average([one.blank_share for one in answers], weights=frames)) if any(frames) else 0.0
    return replace(result, blank_share=blank, words=words)


def _words(heard: Sequence[Segment], references: Sequence[str], answers: Sequence[str]) -> tuple[tuple[float, bool], ...]:
    """Give the confidence of each word, and whether it is right; a row whose words the normaliser changed is left out."""
    found: list[tuple[float, bool]] = []
    for segment, reference, answered in zip(heard, references, answers, strict=True):
        right = right_words(reference, answered)
        if len(right) == len(segment.words):
            found += [(word.confidence, one) for word, one in zip(segment.words, right, strict=True)]
    return tuple(found)

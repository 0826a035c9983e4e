"""A model and a set in, scores out: numbers only. Training scores dev and test through `score_set`, users through `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from speechxfer.data import TARGET_COLUMN, Manifest, check_sets, normalise, parse_manifest
from speechxfer.decoding import (
    Calibration,
    Decoder,
    calibrate,
    calibrate_segment,
    calibration_error,
    classify,
    fit_calibration,
    make_decoder,
    recognise,
    write,
    writing_options,
)
from speechxfer.evaluation.groups import GroupSpec, group_rows
from speechxfer.evaluation.metrics import ErrorCounts, character_errors, confusion, macro_f1, right_words, total, word_errors
from speechxfer.evaluation.significance import bootstrap_interval
from speechxfer.features import FeatureSource, Item
from speechxfer.models import (
    Features,
    InferenceModel,
    SpeechModel,
    for_inference,
    load_model,
    suitable_batch_seconds,
)
from speechxfer.transcript import Segment


@dataclass(frozen=True)
class RowErrors:
    """Errors row by row, for whatever compares runs on the same rows.

    Attributes
    ----------
    errors
        Of each row: wrong words, or 1 for a wrong label.
    sizes
        Of each row: words of the reference, or 1.
    blocks
        Each row's speaker, or the row itself where the speaker is unknown.
    block
        What a block is: `speaker`, or `utterance` where no speaker is known.
    measure
        `wer`, or `error` for 1 - accuracy.
    references, answers
        Of each row, as they were compared: normalised texts, or labels.
    groups
        Column to group to its rows.
    """

    errors: Sequence[int]
    sizes: Sequence[int]
    blocks: Sequence[str]
    block: str = "utterance"
    measure: str = "wer"
    references: Sequence[str] = ()
    answers: Sequence[str] = ()
    groups: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """WER, or 1 - accuracy."""
        return sum(self.errors) / sum(self.sizes)

    def select(self, rows: Sequence[int]) -> RowErrors:
        """Give some of the rows, without groups."""
        columns = (self.errors, self.sizes, self.blocks, self.references, self.answers)
        errors, sizes, blocks, references, answers = ([column[row] for row in rows] for column in columns)
        return RowErrors(errors, sizes, blocks, self.block, self.measure, references, answers)  # type: ignore[arg-type]


@dataclass(frozen=True)
class SetScores:
    """What a model did on one set.

    Attributes
    ----------
    scores
        The set's entry in `report.json`.
    answers
        Per utterance: text recognised, or label.
    rows
        Errors per utterance.
    manifest
        The utterances that were scored: without those left out.
    blank_share
        Share of blank frames of a CTC model; 0 for others.
    words
        Of each recognised word its confidence, and whether it is right; empty where no intervals were asked for.
    """

    scores: dict[str, Any]
    answers: list[str]
    rows: RowErrors
    manifest: Manifest
    blank_share: float = 0.0
    words: tuple[tuple[float, bool], ...] = ()

    def fitted_calibration(self) -> Calibration | None:
        """Find what makes this set's word confidences true; None where there are too few words."""
        return fit_calibration(*zip(*self.words, strict=True)) if self.words else None

    def calibrated(self, calibration: Calibration) -> SetScores:
        """Add how far the confidences are off once they are calibrated, if there is a word."""
        if not self.words:
            return self
        confidences, right = zip(*self.words, strict=True)
        off = calibration_error(calibrate(confidences, calibration).tolist(), right)
        return replace(self, scores={**self.scores, "confidence": {**self.scores["confidence"], "calibrated_error": off}})

    @property
    def error(self) -> float:
        """What training minimises on dev: CER, or 1 - accuracy."""
        return float(self.scores["cer"]) if "cer" in self.scores else 1 - float(self.scores["accuracy"])


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
    hotwords, language_model, prompt
        What to decode with, see `speechxfer.decoding.make_decoder` and `writing_options`.

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
    read = manifest if isinstance(manifest, Manifest) else parse_manifest(manifest)
    checked, skipped = check_sets({"set": read}, speech_model.task, on_bad_row, speech_model.normaliser)
    split, exactness = for_inference(speech_model, device, precision)
    size = batch_seconds or suitable_batch_seconds(split.device)
    source = FeatureSource(split, speech_model.frontend, None, exactness, batch_seconds=size)
    decoder, writing = None, None
    if speech_model.tokens:
        writing = writing_options(hotwords, language_model, prompt)
    elif hotwords or language_model or prompt:
        decoder = make_decoder(speech_model.vocabulary, hotwords, language_model, prompt)
    result = score_set(split, source, speech_model, checked["set"], exactness, groups, decoder=decoder, writing=writing)
    if skipped:
        result.scores["skipped"] = len({(problem.file, problem.line) for problem in skipped})
    return result


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
    targets = manifest.columns[TARGET_COLUMN[speech_model.task]]
    blocks = _blocks(manifest)
    if speech_model.writes:
        heard, blank = _heard(split, features, speech_model, precision, decoder, writing or {})
        answers = [segment.text for segment in heard]
        per_row = _TextRows(targets, answers, speech_model.normaliser)
        words = _words(heard, *per_row.compared()) if intervals else ()
    else:
        best = classify(split, features, precision).argmax(dim=-1).tolist()
        answers = [speech_model.labels[number] for number in best]
        blank, words = 0.0, ()
        per_row = _LabelRows(targets, answers, speech_model.labels)  # type: ignore[assignment]
    everything = list(range(len(manifest)))
    scores = per_row.scores(everything, blocks if intervals else None)
    block = "speaker" if any(manifest.columns.get("speaker", [])) else "utterance"
    members = group_rows(manifest, groups) if intervals else {}
    if intervals:
        scores["interval_blocks"] = block
        scores["groups"] = {
            name: {group: per_row.scores(rows, blocks) for group, rows in own.items()} for name, own in members.items()
        }
        scores.update(per_row.details())
    if words:
        scores["confidence"] = {"words": len(words), "error": calibration_error(*zip(*words, strict=True))}
    rows = RowErrors(*per_row.errors_and_sizes(), blocks, block, per_row.measure, *per_row.compared(), members)
    return SetScores(scores, answers, rows, manifest, blank, words)


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


def _blocks(manifest: Manifest) -> list[str]:
    """Name each row's block: its speaker, or itself where the speaker is unknown."""
    speakers = manifest.columns.get("speaker", [""] * len(manifest))
    return [speaker or f"row {row}" for row, speaker in enumerate(speakers)]


class _TextRows:
    """Errors of each row of a set with texts."""

    measure = "wer"

    def __init__(self, references: Sequence[str], answers: Sequence[str], normaliser: str) -> None:
        self._normaliser = normaliser
        self._compared = (
            [normalise(text, normaliser) for text in references],
            [normalise(text, normaliser) for text in answers],
        )
        self._words = word_errors(*self._compared)
        self._characters = character_errors(*self._compared)
        self._unnormalised = word_errors([normalise(text, "none") for text in references], answers)

    def scores(self, rows: Sequence[int], blocks: Sequence[str] | None) -> dict[str, Any]:
        words, characters = ([counts[row] for row in rows] for counts in (self._words, self._characters))
        scores: dict[str, Any] = {"utterances": len(rows), "wer": total(words).rate, "cer": total(characters).rate}
        scores["counts"] = {"words": total(words).to_dict(), "characters": total(characters).to_dict()}
        if blocks is not None:
            own = [blocks[row] for row in rows]
            for name, counts in (("wer", words), ("cer", characters)):
                scores[f"{name}_interval"] = _ratio_interval(counts, own)
        return scores

    def errors_and_sizes(self) -> tuple[list[int], list[int]]:
        return [counts.errors for counts in self._words], [counts.reference_length for counts in self._words]

    def compared(self) -> tuple[list[str], list[str]]:
        return self._compared

    def details(self) -> Mapping[str, Any]:
        return {"normaliser": self._normaliser, "wer_unnormalised": total(self._unnormalised).rate}


def _ratio_interval(counts: Sequence[ErrorCounts], blocks: Sequence[str]) -> tuple[float, float] | None:
    return bootstrap_interval([c.errors for c in counts], [c.reference_length for c in counts], blocks)


class _LabelRows:
    """Hits of each row of a classification set; a label the model does not know counts as an error."""

    measure = "error"

    def __init__(self, references: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> None:
        self._names = [*labels, *sorted(set(references) - set(labels))]
        numbers = {label: number for number, label in enumerate(self._names)}
        self._references = [numbers[label] for label in references]
        self._answers = [numbers[label] for label in answers]

    def _matrix(self, rows: Sequence[int]) -> Any:
        return confusion([self._references[row] for row in rows], [self._answers[row] for row in rows], len(self._names))

    def scores(self, rows: Sequence[int], blocks: Sequence[str] | None) -> dict[str, Any]:
        hits = [int(self._references[row] == self._answers[row]) for row in rows]
        scores: dict[str, Any] = {
            "utterances": len(rows),
            "accuracy": sum(hits) / len(hits),
            "macro_f1": macro_f1(self._matrix(rows)),
        }
        scores["counts"] = {"correct": sum(hits), "wrong": len(hits) - sum(hits)}
        if blocks is not None:
            scores["accuracy_interval"] = bootstrap_interval(hits, [1] * len(hits), [blocks[row] for row in rows])
        return scores

    def errors_and_sizes(self) -> tuple[list[int], list[int]]:
        wrong = [int(expected != found) for expected, found in zip(self._references, self._answers, strict=True)]
        return wrong, [1] * len(wrong)

    def compared(self) -> tuple[list[str], list[str]]:
        return [self._names[number] for number in self._references], [self._names[number] for number in self._answers]

    def details(self) -> Mapping[str, Any]:
        matrix = self._matrix(range(len(self._references)))
        return {"confusion": {"labels": self._names, "true_by_recognised": matrix.tolist()}}

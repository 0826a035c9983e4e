"""Answers in, scores out: what anything answered to the utterances of a set, row by row and in all. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from speechxfer.data import Manifest, has_words_apart, normalise, normalise_answer
from speechxfer.decoding import Calibration, calibrate, calibration_error, fit_calibration
from speechxfer.evaluation.groups import GroupSpec, group_rows
from speechxfer.evaluation.metrics import ErrorCounts, character_errors, confusion, macro_f1, total, word_errors
from speechxfer.evaluation.significance import bootstrap_interval


@dataclass(frozen=True)
class RowErrors:
    """Errors row by row, for whatever compares runs on the same rows.

    Attributes
    ----------
    errors
        Of each row: wrong words (characters, for CER), or 1 for a wrong label.
    sizes
        Of each row: words (characters) of the reference, or 1.
    blocks
        Each row's speaker, unknown ones counted as one; or the row itself where no speaker is known.
    block
        What a block is: `speaker`, or `utterance` where no speaker is known.
    measure
        `wer`; `cer` for texts whose words are not apart, see `speechxfer.data.has_words_apart`; `error` for 1 - accuracy.
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
        """WER, CER, or 1 - accuracy."""
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


def score_answers(
    manifest: Manifest,
    answers: Sequence[str],
    *,
    labels: Sequence[str] = (),
    normaliser: str = "basic",
    groups: GroupSpec | None = None,
    intervals: bool = True,
) -> SetScores:
    """Score what any recogniser answered.

    Parameters
    ----------
    manifest
        The utterances, with `text`, or for a classifier `label`.
    answers
        To each of them: a text, or a label.
    labels
        All that a classifier can answer; empty for texts.
    normaliser
        Of texts, before they are compared.
    groups
        See `group_rows`.
    intervals
        False leaves out groups and intervals.

    Returns
    -------
    SetScores
        Without confidences.

    Raises
    ------
    DataError
        If the normaliser lacks a package.
    """
    blocks = _blocks(manifest)
    if labels:
        per_row: _TextRows | _LabelRows = _LabelRows(manifest.columns["label"], answers, labels)
    else:
        per_row = _TextRows(manifest.columns["text"], answers, normaliser)
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
    rows = RowErrors(*per_row.errors_and_sizes(), blocks, block, per_row.measure, *per_row.compared(), members)
    return SetScores(scores, [*answers], rows, manifest)


def _blocks(manifest: Manifest) -> list[str]:
    """Name each row's block: its speaker, or itself where no speaker is known; all of unknown ones may be of a single speaker."""
    speakers = manifest.columns.get("speaker", [])
    return [speaker or "unknown" for speaker in speakers] if any(speakers) else [f"row {row}" for row in range(len(manifest))]


class _TextRows:
    """Errors of each row of a set with texts."""

    def __init__(self, references: Sequence[str], answers: Sequence[str], normaliser: str) -> None:
        self._normaliser = normaliser
        self._compared = (
            [normalise(text, normaliser) for text in references],
            [normalise_answer(text, normaliser) for text in answers],
        )
        self.measure = "wer" if has_words_apart(self._compared[0]) else "cer"
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
        rows = self._words if self.measure == "wer" else self._characters
        return [counts.errors for counts in rows], [counts.reference_length for counts in rows]

    def compared(self) -> tuple[list[str], list[str]]:
        return self._compared

    def details(self) -> Mapping[str, Any]:
        return {"measure": self.measure, "normaliser": self._normaliser, "wer_unnormalised": total(self._unnormalised).rate}


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

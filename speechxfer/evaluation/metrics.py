"""References and hypotheses in, counts per utterance out; rates are derived from summed counts and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jiwer
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ErrorCounts:
    """Edits between reference and hypothesis, of words or characters.

    Attributes
    ----------
    hits
        Words or characters that are the same in both.
    substitutions
        Of the reference, with others in their place.
    deletions
        Of the reference, with nothing in their place.
    insertions
        Of the hypothesis, with nothing in the reference.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference_length(self) -> int:
        """Words or characters of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float | None:
        """Errors per reference word or character; None without any."""
        return self.errors / self.reference_length if self.reference_length else None

    def to_dict(self) -> dict[str, int]:
        """Give the four counts by name."""
        return asdict(self)


def total(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    """Sum counts; the rate of the sum is the rate of the set."""
    rows = [(c.hits, c.substitutions, c.deletions, c.insertions) for c in counts]
    return ErrorCounts(*(sum(column) for column in zip(*rows, strict=True))) if rows else ErrorCounts()


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[ErrorCounts]:
    """Count word errors per utterance (jiwer's alignment); without a reference all words are insertions.

    Parameters
    ----------
    references, hypotheses
        Per utterance, normalised.

    Returns
    -------
    list of ErrorCounts
        One per utterance.
    """
    return _errors(references, hypotheses, jiwer.process_words, lambda text: len(text.split()))


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[ErrorCounts]:
    """Count character errors per utterance, spaces included (jiwer's alignment); without a reference all are insertions.

    Parameters
    ----------
    references, hypotheses
        Per utterance, normalised.

    Returns
    -------
    list of ErrorCounts
        One per utterance.
    """
    return _errors(references, hypotheses, jiwer.process_characters, len)


@dataclass(frozen=True)
class TermCounts:
    """How often terms were heard.

    Attributes
    ----------
    hits
        Where they were said.
    false
        Where they were not.
    missed
        Said, and not heard.
    """

    hits: int = 0
    false: int = 0
    missed: int = 0

    @property
    def recall(self) -> float | None:
        """Share of what was said that was heard; None if nothing was."""
        return self.hits / (self.hits + self.missed) if self.hits + self.missed else None

    @property
    def precision(self) -> float | None:
        """Share of what was heard that was said; None if nothing was."""
        return self.hits / (self.hits + self.false) if self.hits + self.false else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None if nothing was said or heard."""
        count = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / count if count else None

    def __add__(self, other: TermCounts) -> TermCounts:
        """Give the counts of both together."""
        return TermCounts(self.hits + other.hits, self.false + other.false, self.missed + other.missed)

    def to_dict(self) -> dict[str, float | None]:
        """Give counts and rates by name."""
        return {**asdict(self), "recall": self.recall, "precision": self.precision, "f1": self.f1}


def term_counts(references: Sequence[str], hypotheses: Sequence[str], terms: Iterable[str]) -> TermCounts:
    """Count how often words of interest were heard where they were said.

    Parameters
    ----------
    references, hypotheses
        Per utterance, normalised.
    terms
        Of one or more words, normalised.

    Returns
    -------
    TermCounts
        Over all utterances; an utterance that says a term once has one hit for it, however often it is heard.
    """
    counts = TermCounts()
    for term in set(terms):
        pattern = re.compile(rf"(?<!\S){re.escape(term)}(?!\S)")
        for reference, hypothesis in zip(references, hypotheses, strict=True):
            said, heard = len(pattern.findall(reference)), len(pattern.findall(hypothesis))
            counts += TermCounts(min(said, heard), max(0, heard - said), max(0, said - heard))
    return counts


def _errors(
    references: Sequence[str], hypotheses: Sequence[str], process: Callable[..., Any], length: Callable[[str], int]
) -> list[ErrorCounts]:
    counts = [ErrorCounts(insertions=length(hypothesis)) for hypothesis in hypotheses]
    spoken = [row for row, reference in enumerate(references) if reference.split()]
    if spoken:
        output = process([references[row] for row in spoken], [hypotheses[row] for row in spoken])
        for row, chunks in zip(spoken, output.alignments, strict=True):
            edits = {"equal": 0, "substitute": 0, "delete": 0, "insert": 0}
            for chunk in chunks:
                edits[chunk.type] += max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            counts[row] = ErrorCounts(*edits.values())
    return counts


def right_words(reference: str, hypothesis: str) -> list[bool]:
    """Tell which words of a hypothesis stand in the reference (jiwer's alignment).

    Parameters
    ----------
    reference, hypothesis
        Normalised.

    Returns
    -------
    list of bool
        One per word of the hypothesis.
    """
    right = [False] * len(hypothesis.split())
    if right and reference.split():
        for chunk in jiwer.process_words(reference, hypothesis).alignments[0]:
            if chunk.type == "equal":
                right[chunk.hyp_start_idx : chunk.hyp_end_idx] = [True] * (chunk.hyp_end_idx - chunk.hyp_start_idx)
    return right


def confusion(references: Sequence[int], hypotheses: Sequence[int], num_labels: int) -> npt.NDArray[np.int64]:
    """Count `[true label, recognised label]`."""
    matrix = np.zeros((num_labels, num_labels), dtype=np.int64)
    np.add.at(matrix, (np.asarray(references, dtype=int), np.asarray(hypotheses, dtype=int)), 1)
    return matrix


def macro_f1(matrix: npt.NDArray[np.int64]) -> float:
    """Give the mean F1 over the labels that occur in the references."""
    hits, recognised, true = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    f1 = 2 * hits / np.maximum(recognised + true, 1)
    return float(f1[true > 0].mean())

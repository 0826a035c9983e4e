"""Matched pairs of sentence segments, word error (MAPSSWE): two models' hypotheses of the same references in, p out.

L. Gillick and S. Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP 1989.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

_BETWEEN = 2  # words that both models have right part two segments

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mapsswe:
    """What the test found.

    Attributes
    ----------
    segments
        Stretches in which at least one model erred.
    mean_difference
        Errors of the second model minus those of the first, per segment.
    p
        Two-sided; 1 without any segment or difference. It takes segments for independent, which those of one speaker are not.
    """

    segments: int
    mean_difference: float
    p: float


def mapsswe(references: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Mapsswe:
    """Compare two models' word errors, segment by segment.

    Parameters
    ----------
    references, first, second
        Per utterance, normalised.

    Returns
    -------
    Mapsswe
        The test.

    Notes
    -----
    L. Gillick and S. Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP 1989.
    """
    rows = [row for row, reference in enumerate(references) if reference.split()]
    spoken = [references[row] for row in rows]
    pairs = zip(*(_errors_by_place(spoken, [answers[row] for row in rows]) for answers in (first, second)), strict=True)
    found = [difference for places in pairs for difference in _segments(*places)]
    if not found or np.std(found) == 0:
        mean = float(np.mean(found)) if found else 0.0
        return Mapsswe(len(found), mean, 1.0 if mean == 0 or len(found) < 2 else 0.0)
    z = np.mean(found) / (np.std(found, ddof=1) / np.sqrt(len(found)))
    return Mapsswe(len(found), float(np.mean(found)), float(2 * ndtr(-abs(z))))


def _errors_by_place(references: Sequence[str], hypotheses: Sequence[str]) -> list[Counts]:
    """Give for each utterance the errors at each place: before the first word, at it, before the second, ..., behind the last."""
    if not references:
        return []
    places = []
    for reference, chunks in zip(references, jiwer.process_words([*references], [*hypotheses]).alignments, strict=True):
        errors = np.zeros(2 * len(reference.split()) + 1, dtype=np.int64)
        for chunk in chunks:
            if chunk.type == "insert":
                errors[2 * chunk.ref_start_idx] += chunk.hyp_end_idx - chunk.hyp_start_idx
            elif chunk.type != "equal":
                errors[2 * chunk.ref_start_idx + 1 : 2 * chunk.ref_end_idx : 2] += 1
        places.append(errors)
    return places


def _segments(first: Counts, second: Counts) -> Iterator[int]:
    """Give the difference of errors of each segment of an utterance, which two words that both have right, at least, end."""
    wrong = (first + second) > 0
    begin: int | None = None
    right = 0
    for place, is_wrong in enumerate(wrong):
        if is_wrong:
            begin = place if begin is None else begin
            right = 0
        elif place % 2:
            right += 1
            if right == _BETWEEN and begin is not None:
                yield int(second[begin:place].sum() - first[begin:place].sum())
                begin = None
    if begin is not None:
        yield int(second[begin:].sum() - first[begin:].sum())

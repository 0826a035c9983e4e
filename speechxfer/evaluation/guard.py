"""The guard: a model's errors before and after on speech that must not get worse, in; intact, broken or undecided, out."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from speechxfer.evaluation.answers import RowErrors
from speechxfer.evaluation.proof import MIN_BLOCKS, Difference, compare

GuardOutcome = Literal["intact", "broken", "undecided"]

_FAR_MORE = 20  # times what there is; a set that large is nobody's answer


@dataclass(frozen=True)
class GuardVerdict:
    """What became of one guard set.

    Attributes
    ----------
    outcome
        `intact` if the whole interval of the loss lies below `max_regression`, `broken` if it lies above; otherwise, and over
        fewer than 8 speakers, `undecided`.
    difference
        The loss is its `difference`.
    max_regression
        What may be lost, as a share (0.01 is one point).
    words, words_needed
        Words (or labels) of the set, and how many of the same kind would decide, if the loss is what it seems.
    sentence
        In plain words.
    """

    outcome: GuardOutcome
    difference: Difference
    max_regression: float
    words: int
    words_needed: int | None
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, ready for JSON."""
        return asdict(self)


def judge(before: RowErrors, after: RowErrors, max_regression: float) -> GuardVerdict:
    """Judge one guard set.

    Parameters
    ----------
    before, after
        Errors row by row, of the same utterances.
    max_regression
        What may be lost, as a share (0.01 is one point).

    Returns
    -------
    GuardVerdict
        By the interval that `compare` gives.

    Raises
    ------
    ValueError
        If they are not of the same utterances.
    """
    difference = compare(before, after).overall
    outcome: GuardOutcome = "undecided"
    if difference.interval and difference.blocks >= MIN_BLOCKS:
        if difference.interval[1] < max_regression:
            outcome = "intact"
        elif difference.interval[0] > max_regression:
            outcome = "broken"
    words = sum(before.sizes)
    needed = _words_needed(difference, max_regression, words) if outcome == "undecided" else None
    sentence = _sentence(outcome, difference, max_regression, before, needed)
    return GuardVerdict(outcome, difference, max_regression, words, needed, sentence)


def halves(rows: RowErrors) -> tuple[list[int], list[int]]:
    """Part a set by speaker: one half to choose on, one to judge on. The same speakers always fall into the same half.

    Parameters
    ----------
    rows
        Of the set.

    Returns
    -------
    tuple of list of int
        Rows of the one half, and of the other.
    """
    names = sorted(set(rows.blocks), key=lambda name: hashlib.blake2b(name.encode()).digest())
    first = set(names[::2])
    own = [row for row, block in enumerate(rows.blocks) if block in first]
    return own, [row for row, block in enumerate(rows.blocks) if block not in first]


def _words_needed(difference: Difference, max_regression: float, words: int) -> int | None:
    """Give the words at which the interval, which narrows with their square root, would no longer hold the limit."""
    distance = abs(difference.difference - max_regression)
    if not difference.interval or distance == 0:
        return None
    beyond = difference.interval[1] if difference.difference < max_regression else difference.interval[0]
    reach = abs(beyond - difference.difference)
    for_speakers = MIN_BLOCKS / difference.blocks
    return math.ceil(words * max((reach / distance) ** 2, for_speakers))


def _sentence(outcome: GuardOutcome, difference: Difference, max_regression: float, rows: RowErrors, needed: int | None) -> str:
    unit = {"wer": "words", "cer": "characters", "error": "labels"}[rows.measure]
    loss = f"{100 * difference.difference:+.1f} points"
    interval = "no interval"
    if difference.interval:
        low, high = (100 * bound for bound in difference.interval)
        interval = f"95 % interval {low:+.1f} to {high:+.1f}"
    found = f"{loss}, {interval}, over {difference.blocks} {difference.over}s; {100 * max_regression:g} may be lost"
    if outcome != "undecided":
        return f"{outcome}: {found}"
    why = f"it takes {MIN_BLOCKS} {difference.over}s" if difference.blocks < MIN_BLOCKS else "the interval holds the limit"
    more = ""
    if needed and needed > _FAR_MORE * sum(rows.sizes):
        more = f"; so near the limit, a set of any ordinary size would not decide; there are {sum(rows.sizes)} {unit}"
    elif needed:
        more = f"; some {needed} {unit} would decide, there are {sum(rows.sizes)}"
    return f"undecided: {found}; {why}{more}"

"""Did it help, and whom? Two scorings of the same utterances in, a `Verdict` with a sentence out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from speechxfer.evaluation.answers import RowErrors
from speechxfer.evaluation.matched_pairs import Mapsswe, mapsswe
from speechxfer.evaluation.significance import bootstrap_interval, holm, sign_flip_test

MIN_BLOCKS = 8
"""Speakers under which nothing is said about speakers: no test over so few holds its level and has any power."""
_LEVEL = 0.05

Outcome = Literal["better", "worse", "no evidence"]


@dataclass(frozen=True)
class Difference:
    """How two scorings differ on some utterances.

    Attributes
    ----------
    before, after
        WER, CER, or 1 - accuracy.
    difference
        After minus before; negative is better.
    interval
        Of the difference, 95 % (BCa over `over`); None with fewer than two blocks.
    p
        Of the sign-flip test over `over`, two-sided; in a group, corrected by Holm for the number of groups.
    over
        `speaker` or `utterance`: what was taken for independent.
    blocks
        How many of these there are.
    effect_size
        Mean of the blocks' differences over their standard deviation; None if all are equal.
    outcome
        `better`, `worse` or `no evidence`, at the 5 % level; over fewer than 8 speakers never anything but `no evidence`.
    """

    before: float
    after: float
    difference: float
    interval: tuple[float, float] | None
    p: float
    over: str
    blocks: int
    effect_size: float | None
    outcome: Outcome


@dataclass(frozen=True)
class Verdict:
    """What the comparison says.

    Attributes
    ----------
    measure
        `wer`, `cer` or `error`.
    overall, groups
        The differences; groups by column and value.
    mapsswe
        For texts whose words are apart.
    sentence
        All of it in plain words.
    """

    measure: str
    overall: Difference
    groups: Mapping[str, Mapping[str, Difference]] = field(default_factory=dict)
    mapsswe: Mapsswe | None = None
    sentence: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, ready for JSON."""
        return asdict(self)


def compare(before: RowErrors, after: RowErrors, names: tuple[str, str] = ("before", "after")) -> Verdict:
    """Compare two scorings of the same utterances.

    Parameters
    ----------
    before, after
        Errors row by row; groups are those of the former.
    names
        What the sentence calls the two.

    Returns
    -------
    Verdict
        For all utterances and for each group.

    Raises
    ------
    ValueError
        If they are not of the same utterances.
    """
    if list(before.references) != list(after.references) or list(before.blocks) != list(after.blocks):
        raise ValueError("only scorings of the same utterances can be compared")
    overall = _difference(before, after, range(len(before.errors)))
    members = [(column, group, rows) for column, own in before.groups.items() for group, rows in own.items()]
    raw = [_difference(before, after, rows) for _, _, rows in members]
    groups: dict[str, dict[str, Difference]] = {}
    for (column, group, _), difference, p in zip(members, raw, holm([one.p for one in raw]), strict=True):
        groups.setdefault(column, {})[group] = _judged(replace(difference, p=p))
    words = mapsswe(before.references, before.answers, after.answers) if before.measure == "wer" else None
    return Verdict(before.measure, overall, groups, words, _sentence(before.measure, overall, groups, names))


def _difference(before: RowErrors, after: RowErrors, rows: Sequence[int]) -> Difference:
    sizes = np.array([before.sizes[row] for row in rows])
    first, second = (np.array([scored.errors[row] for row in rows]) for scored in (before, after))
    blocks = [before.blocks[row] for row in rows]
    total = max(1, int(sizes.sum()))
    names, index = np.unique(np.asarray(blocks), return_inverse=True)
    sums, totals = np.bincount(index, weights=second - first), np.bincount(index, weights=sizes)
    rates = sums[totals > 0] / totals[totals > 0]
    spread = float(rates.std(ddof=1)) if len(rates) > 1 else 0.0
    found = Difference(
        before=float(first.sum() / total),
        after=float(second.sum() / total),
        difference=float((second - first).sum() / total),
        interval=bootstrap_interval(second - first, sizes, blocks),
        p=sign_flip_test(second - first, blocks),
        over=before.block,
        blocks=len(names),
        effect_size=float(rates.mean() / spread) if spread > 0 else None,
        outcome="no evidence",
    )
    return _judged(found)


def _judged(found: Difference) -> Difference:
    if found.p > _LEVEL or found.blocks < MIN_BLOCKS or found.difference == 0:
        return replace(found, outcome="no evidence")
    return replace(found, outcome="better" if found.difference < 0 else "worse")


def _sentence(measure: str, overall: Difference, groups: Mapping[str, Mapping[str, Difference]], names: tuple[str, str]) -> str:
    rate = {"wer": "WER", "cer": "CER", "error": "error rate"}[measure]
    figures = f"{rate} {100 * overall.before:.1f} % {names[0]}, {100 * overall.after:.1f} % {names[1]}"
    many = f"{overall.blocks} {overall.over}{'s' if overall.blocks != 1 else ''}"
    if overall.blocks < MIN_BLOCKS:
        return f"no evidence over {overall.over}s: {many} only, and it takes {MIN_BLOCKS} ({figures})"
    points = f"{100 * abs(overall.difference):.1f} points"
    interval = ""
    if overall.interval:
        low, high = sorted(abs(100 * bound) if overall.outcome != "no evidence" else 100 * bound for bound in overall.interval)
        interval = f", 95 % interval {low:.1f} to {high:.1f}"
    p = "p < 0.001" if overall.p < 0.001 else f"p = {overall.p:.3f}"
    if overall.outcome == "no evidence":
        return f"no evidence of a difference: {points}{interval}, {p}, over {many} ({figures})"
    said = [f"{overall.outcome} by {points}{interval}, {p}, over {many} ({figures})"]
    hurt = [f"{column} {group}" for column, values in groups.items() for group, one in values.items() if one.outcome == "worse"]
    if hurt and overall.outcome == "better":
        said.append(f"but worse for {', '.join(hurt)}")
    return "; ".join(said)

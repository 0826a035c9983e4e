"""Counts of n-grams in, an interpolated model with modified Kneser-Ney smoothing out: probabilities and back-off weights.

Kneser and Ney, "Improved backing-off for m-gram language modeling" (ICASSP 1995); three discounts for each order by Chen and
Goodman, "An empirical study of smoothing techniques for language modeling" (1998), section 3. Conventions are those of Heafield
et al., "Scalable modified Kneser-Ney language model estimation" (ACL 2013): unigrams are interpolated with the uniform
distribution, of which the unknown word has its share; n-grams at the beginning of a sentence keep their plain counts.

An n-gram is known by the table's row of its suffix (all but its first word) and by its first word, so that tables of any order
are columns of numbers, and the row of its context (all but its last word) is found by bisection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from speechxfer.decoding.ngram_counts import BEGIN, NOTHING, Counts, NgramCounts, group_starts
from speechxfer.errors import DataError, Problem

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_NEVER = -99.0  # the logarithm of 0 in ARPA files
_USUAL_DISCOUNTS = (0.5, 1.0, 1.5)  # of n-grams seen once, twice, more often: lmplz's, for text too small to estimate them


@dataclass(frozen=True)
class NgramTable:
    """All n-grams of one order, sorted by suffix, then by first word.

    Attributes
    ----------
    first, suffix
        int64 `[ngrams]`: id of the first word; row of the suffix in the next lower order (0 in unigrams).
    kept
        bool `[ngrams]`: not pruned; in unigrams, whether the id occurs in the text.
    log_prob, log_backoff
        float64 `[ngrams]`, base 10; the second is 0 in the highest order.
    discounts
        Of n-grams seen once, twice, and more often.
    estimated
        Whether the counts gave the discounts; else they are the usual ones, since counts are too few or not like those of text.
    """

    first: Rows
    suffix: Rows
    kept: npt.NDArray[np.bool_]
    log_prob: Floats
    log_backoff: Floats
    discounts: tuple[float, float, float]
    estimated: bool


@dataclass(frozen=True)
class NgramModel:
    """A language model.

    Attributes
    ----------
    words
        What each id stands for. A unigram's row is its id.
    tables
        From unigrams on.
    """

    words: list[str]
    tables: list[NgramTable]


@dataclass
class _Level:
    """N-grams of one order before they have probabilities.

    `context` is its row in the next lower order, `raw` how often each occurs, `adjusted` how many different words stand
    before it: what Kneser-Ney smoothing counts.
    """

    first: Rows
    suffix: Rows
    context: Rows
    raw: Counts
    adjusted: Counts


def estimate(counts: NgramCounts, prune: Sequence[int] = (0,)) -> NgramModel:
    """Estimate a language model.

    Parameters
    ----------
    counts
        Of a text.
    prune
        For each order from unigrams on, how often an n-gram that is left out occurs at most; the last holds for higher orders.
        What was left out goes to the back-off weight of its context, so that probabilities still sum to 1.

    Returns
    -------
    NgramModel
        Of the order of the counts.

    Raises
    ------
    DataError
        If there was no word.
    ValueError
        If `prune` does not begin with 0 or falls, which would leave n-grams without their contexts.
    """
    thresholds = list(prune)
    if not thresholds or thresholds[0] != 0 or sorted(thresholds) != thresholds:
        raise ValueError(f"prune is {thresholds}; expected numbers that begin with 0 and never fall, such as 0,0,1")
    if not counts.tokens:
        what = "no words in it; expected one sentence a line"
        raise DataError([Problem("the text", None, what)])
    levels = _levels(counts)
    thresholds += thresholds[-1:] * (len(levels) - len(thresholds))
    sizes = [1, *(len(level.first) for level in levels)]
    parts = [_smooth(*given) for given in zip(levels, sizes[:-1], thresholds, strict=False)]
    log_backoffs = [np.log10(part.backoff) for part in parts[1:]] + [np.zeros(sizes[-1])]
    tables: list[NgramTable] = []
    probability = _unigrams(parts[0])
    for level, part, log_backoff in zip(levels, parts, log_backoffs, strict=True):
        if tables:
            probability = part.own + part.backoff[level.context] * probability[level.suffix]
        log_prob = np.log10(probability, out=np.full(len(probability), _NEVER), where=probability > 0)
        tables.append(NgramTable(level.first, level.suffix, part.kept, log_prob, log_backoff, part.discounts, part.estimated))
    return NgramModel(counts.words, tables)


@dataclass(frozen=True)
class _Smoothed:
    """What the discounts leave each n-gram, float64 `[ngrams]`, and each context for its back-off, `[contexts]`."""

    own: Floats
    backoff: Floats
    kept: npt.NDArray[np.bool_]
    discounts: tuple[float, float, float]
    estimated: bool


def _smooth(level: _Level, contexts: int, threshold: int) -> _Smoothed:
    kept = level.raw > threshold
    discounts, estimated = _discounts(level.adjusted)
    taken = np.asarray((0.0, *discounts))[np.minimum(level.adjusted, 3)]
    total = np.bincount(level.context, level.adjusted, contexts)
    left = np.bincount(level.context, np.where(kept, taken, level.adjusted), contexts)
    backoff = np.divide(left, total, out=np.ones(contexts), where=total > 0)
    return _Smoothed((level.adjusted - taken) / total[level.context], backoff, kept, discounts, estimated)


def _unigrams(part: _Smoothed) -> Floats:
    """Share what the discounts left evenly among all that can follow, the unknown word included."""
    can_follow = np.ones(len(part.own), dtype=bool)
    can_follow[[NOTHING, BEGIN]] = False
    return np.where(can_follow, part.own + part.backoff[0] / np.count_nonzero(can_follow), 0.0)


def _discounts(adjusted: Counts) -> tuple[tuple[float, float, float], bool]:
    """Estimate the discounts from how many n-grams were seen one to four times (Chen and Goodman, equation 26)."""
    once, twice, thrice, four = (int(np.count_nonzero(adjusted == times)) for times in (1, 2, 3, 4))
    if not (once and twice and thrice and four):
        return _USUAL_DISCOUNTS, False
    share = once / (once + 2 * twice)
    found = (1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice)
    if all(0 < discount <= times for times, discount in enumerate(found, start=1)):
        return found, True
    return _USUAL_DISCOUNTS, False


def _levels(counts: NgramCounts) -> list[_Level]:
    """Give the n-grams of every order, from unigrams on."""
    levels = []
    rows, raw = counts.rows, counts.counts
    adjusted = raw
    while rows.shape[1] > 1:
        rest = rows[:, 1:]
        starts = group_starts(rest)
        suffix = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
        levels.append((rows[:, 0].astype(np.int64), suffix, raw, adjusted))
        raw = np.add.reduceat(raw, starts)
        rows = rest[starts]
        # Nothing stands before the beginning of a sentence: there the number of different words before would always be 1.
        begins = (rows[:, 0] == BEGIN) | (rows[:, 0] == NOTHING)
        adjusted = np.where(begins, raw, np.diff(starts, append=len(suffix)))
    size = len(counts.words)
    dense = [np.bincount(rows[:, 0], values, size).astype(np.int64) for values in (raw, adjusted)]
    nothing = np.zeros(size, dtype=np.int64)
    found = [_Level(np.arange(size), nothing, nothing, *dense)]
    row_of = rows[:, 0].astype(np.int64)  # of the unigrams that occur, among all
    keys = np.arange(size)
    for first, suffix, raw, adjusted in reversed(levels):
        inside = first != NOTHING
        first, suffix, raw, adjusted = first[inside], row_of[suffix[inside]], raw[inside], adjusted[inside]
        below = found[-1]
        context = first if len(found) == 1 else np.searchsorted(keys, below.context[suffix] * size + first)
        found.append(_Level(first, suffix, context, raw, adjusted))
        keys = suffix * size + first
        row_of = np.cumsum(inside) - 1
    return found

"""Sentences in, a table of n-grams and how often each occurs, out.

The text passes by once and is never held. A table is sorted by the last word, then the one before it and so on, so that all
n-grams that end alike stand together, whatever their length.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

NOTHING, BEGIN, END, UNKNOWN = range(4)
"""Ids that are no words: before a sentence's beginning, its beginning, its end, and any word that the text lacks."""
MARKS = ("", "<s>", "</s>", "<unk>")

_CHUNK = 1 << 20  # words that are counted at a time
_MAX_RUNS = 8


@dataclass(frozen=True)
class NgramCounts:
    """The n-grams of a text, of the highest order only: every shorter one is the end of some of these.

    Attributes
    ----------
    words
        What each id stands for, `MARKS` first.
    rows
        int32 `[ngrams, order]`, ids of words from left to right, each n-gram once, sorted from its last word on. At the beginning
        of a sentence `BEGIN` and before it `NOTHING` fill up the row.
    counts
        int64 `[ngrams]`.
    sentences, tokens
        How many were read; sentence ends are no tokens.
    """

    words: list[str]
    rows: Ids
    counts: Counts
    sentences: int
    tokens: int


def count_ngrams(sentences: Iterable[str], order: int) -> NgramCounts:
    """Count n-grams.

    Parameters
    ----------
    sentences
        Words with spaces between them. Empty ones are passed over, and so are words spelled like the marks of a language model.
    order
        Of the n-grams, 2 or more.

    Returns
    -------
    NgramCounts
        Memory grows with the distinct n-grams (4 x order + 8 bytes each, three times that while tables become one), not with the
        text.

    Raises
    ------
    ValueError
        If the order is below 2: KenLM reads no such models.
    """
    if order < 2:
        raise ValueError(f"order is {order}; expected 2 or more")
    numbers = {word: number for number, word in enumerate(MARKS)}
    before = [NOTHING] * (order - 2) + [BEGIN]
    table = _Table(order)
    chunk, read, tokens = array("i"), 0, 0
    for sentence in sentences:
        words = [word for word in sentence.split() if word not in MARKS]
        if not words:
            continue
        chunk.extend(before)
        chunk.extend([numbers.setdefault(word, len(numbers)) for word in words])
        chunk.append(END)
        read, tokens = read + 1, tokens + len(words)
        if len(chunk) >= _CHUNK:
            table.add(np.frombuffer(chunk, dtype=np.int32))
            chunk = array("i")
    if chunk:
        table.add(np.frombuffer(chunk, dtype=np.int32))
    rows, counts = table.merged()
    return NgramCounts(list(numbers), rows, counts, read, tokens)


@dataclass
class _Table:
    """Sorted tables that become one whenever there are many, each row at most a few times: a merge sort of what streams by."""

    order: int
    runs: list[tuple[Ids, Counts]] = field(default_factory=list)

    def add(self, ids: Ids) -> None:
        """Count the n-grams of whole sentences; no window over two of them ends with a word."""
        windows = np.lib.stride_tricks.sliding_window_view(ids, self.order)
        spoken = windows[windows[:, -1] >= END]
        self.runs.append(_unique(spoken, np.ones(len(spoken), dtype=np.int64)))
        if len(self.runs) >= _MAX_RUNS:
            self.runs = [self.merged()]

    def merged(self) -> tuple[Ids, Counts]:
        """Give one table of all."""
        if not self.runs:
            return np.empty((0, self.order), dtype=np.int32), np.empty(0, dtype=np.int64)
        if len(self.runs) == 1:
            return self.runs[0]
        return _unique(np.concatenate([rows for rows, _ in self.runs]), np.concatenate([counts for _, counts in self.runs]))


def _unique(rows: Ids, counts: Counts) -> tuple[Ids, Counts]:
    order = np.lexsort(rows.T)  # whose last key, the last word, comes first
    rows, counts = rows[order], counts[order]
    starts = group_starts(rows)
    return rows[starts], np.add.reduceat(counts, starts)


def group_starts(rows: Ids) -> npt.NDArray[np.intp]:
    """Give where, in sorted rows `[rows, columns]`, another one begins."""
    differs = np.any(rows[1:] != rows[:-1], axis=1)
    return np.concatenate([[0], np.flatnonzero(differs) + 1])

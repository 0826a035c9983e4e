"""Sentences in, a language model in a file out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechxfer.decoding.arpa import write_arpa
from speechxfer.decoding.ngram import estimate
from speechxfer.decoding.ngram_counts import count_ngrams


@dataclass(frozen=True)
class BuiltLanguageModel:
    """What was written, and of what.

    Attributes
    ----------
    sentences, tokens
        Of the text.
    sizes
        N-grams in the file, from unigrams on.
    discounts
        Of each order, of n-grams seen once, twice, and more often.
    estimated
        Of each order, whether the text was large enough to estimate these.
    """

    sentences: int
    tokens: int
    sizes: tuple[int, ...]
    discounts: tuple[tuple[float, float, float], ...]
    estimated: tuple[bool, ...]


def build_language_model(
    sentences: Iterable[str], path: Path, *, order: int = 4, prune: Sequence[int] = (0,)
) -> BuiltLanguageModel:
    """Build an n-gram language model with interpolated modified Kneser-Ney smoothing, and write it as ARPA.

    Parameters
    ----------
    sentences
        Words with spaces between them, spelled as the model that will be decoded with spells them.
    path
        The file to be written.
    order
        Words of the longest n-grams, 2 or more.
    prune
        For each order from unigrams on, how often an n-gram that is left out occurs at most; the last holds for higher orders.

    Returns
    -------
    BuiltLanguageModel
        Sizes and discounts.

    Raises
    ------
    DataError
        If there are no words.
    StorageError
        If the file cannot be written.
    ValueError
        If the order is below 2, or `prune` does not begin with 0, or falls.

    Notes
    -----
    R. Kneser and H. Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995; three discounts for each order by
    S. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling", 1998.
    """
    counts = count_ngrams(sentences, order)
    model = estimate(counts, prune)
    sizes = write_arpa(model, path)
    discounts = tuple(table.discounts for table in model.tables)
    return BuiltLanguageModel(
        counts.sentences, counts.tokens, tuple(sizes), discounts, tuple(table.estimated for table in model.tables)
    )

"""ARPA files: an n-gram language model as text. Written here; the decoder's words are read here, too, and the rest by KenLM."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from speechxfer.decoding.ngram import NgramModel
from speechxfer.decoding.ngram_counts import BEGIN, NOTHING
from speechxfer.decoding.ngram_counts import UNKNOWN as UNKNOWN_ID
from speechxfer.errors import DataError, Problem, StorageError

UNKNOWN = "<unk>"
_MARKS = {"<s>", "</s>", UNKNOWN}
_LINES = 100_000  # that are put together at a time


def read_unigrams(path: Path) -> dict[str, float]:
    """Read the words of a language model.

    Parameters
    ----------
    path
        An ARPA file, UTF-8.

    Returns
    -------
    dict
        Word to the logarithm of its probability, base 10; without the marks of sentences and unknown words.

    Raises
    ------
    DataError
        If the file cannot be read, is not ARPA, or a line of its unigrams is not `logarithm, word`.
    """
    unigrams: dict[str, float] = {}
    section = ""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                line = line.strip()
                if line.startswith("\\"):
                    if section == "\\1-grams:":
                        break
                    section = line
                    continue
                if not line or section != "\\1-grams:":
                    continue
                fields = line.split()
                try:
                    probability, word = float(fields[0]), fields[1]
                except (ValueError, IndexError):
                    what = f"{line[:60]!r}; expected a unigram: logarithm, word and, if it has one, back-off weight"
                    raise DataError([Problem(str(path), number, what)]) from None
                if word not in _MARKS:
                    unigrams[word] = probability
    except (OSError, UnicodeDecodeError) as error:
        raise DataError([Problem(str(path), None, f"cannot read the language model: {error}; expected an ARPA file")]) from None
    if not unigrams:
        what = "no unigrams in it; expected an ARPA file, with `\\data\\` and `\\1-grams:` on lines of their own"
        raise DataError([Problem(str(path), None, what)])
    return unigrams


def write_arpa(model: NgramModel, path: Path) -> list[int]:
    """Write a language model beside its place and then into it.

    Parameters
    ----------
    model
        As `estimate` gives it.
    path
        The file.

    Returns
    -------
    list of int
        N-grams written of each order, from unigrams on.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    kept = [np.flatnonzero(written) for written in _written(model)]
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as file:
            file.write("\\data\\\n")
            file.writelines(f"ngram {order}={len(rows)}\n" for order, rows in enumerate(kept, start=1))
            for order, rows in enumerate(kept, start=1):
                file.write(f"\n\\{order}-grams:\n")
                for start in range(0, len(rows), _LINES):
                    file.writelines(_lines(model, order, rows[start : start + _LINES]))
            file.write("\n\\end\\\n")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {error.strerror}") from None
    return [len(rows) for rows in kept]


def _written(model: NgramModel) -> Iterator[npt.NDArray[np.bool_]]:
    """Tell which n-grams are written: what is not pruned, and of the marks those that a model of this order has."""
    for order, table in enumerate(model.tables, start=1):
        written = table.kept.copy()
        if order == 1:
            written[NOTHING] = False
            written[[BEGIN, UNKNOWN_ID]] = True
        yield written


def _lines(model: NgramModel, order: int, rows: npt.NDArray[np.int64]) -> Iterator[str]:
    table = model.tables[order - 1]
    columns, place = [], rows
    for below in reversed(model.tables[:order]):
        columns.append(below.first[place].tolist())
        place = below.suffix[place]
    words = model.words
    texts = (" ".join([words[number] for number in numbers]) for numbers in zip(*columns, strict=True))
    probabilities = table.log_prob[rows].tolist()
    if order == len(model.tables):
        return (f"{prob:.6f}\t{text}\n" for prob, text in zip(probabilities, texts, strict=True))
    backoffs = table.log_backoff[rows].tolist()
    return (f"{prob:.6f}\t{text}\t{back:.6f}\n" for prob, text, back in zip(probabilities, texts, backoffs, strict=True))

"""ARPA files: an n-gram language model as text, of which the decoder's words are read here and the rest by KenLM."""

from __future__ import annotations

from pathlib import Path

from speechxfer.errors import DataError, Problem

UNKNOWN = "<unk>"
_MARKS = {"<s>", "</s>", UNKNOWN}


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

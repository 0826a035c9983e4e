"""Hotwords: a list of terms in, `Hotword`s that the model can spell out; and, after decoding, their written forms.

Spotting and beam search both take these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from speechxfer.data import Vocabulary, normalise
from speechxfer.errors import DataError, Problem
from speechxfer.transcript import Segment, Word

_ARROW = "=>"


@dataclass(frozen=True)
class Hotword:
    """A term to listen for.

    Attributes
    ----------
    spoken
        As the model spells it, words separated by single spaces.
    written
        As it is to stand in the text.
    weight
        How strongly it is preferred; 1 is usual. What that means is the decoder's to say.
    """

    spoken: str
    written: str
    weight: float = 1.0


def read_hotwords(source: str | Path | Sequence[str], vocabulary: Vocabulary | None) -> list[Hotword]:
    """Read hotwords, one a line: `term`, or `spoken term => Written form`, either followed by a tab and a weight.

    Empty lines and lines that begin with `#` are skipped. A spoken term that the model cannot spell as it stands is
    normalised as training texts are (lower case, no punctuation); then the term as it stands is its written form.

    Parameters
    ----------
    source
        A UTF-8 text file, or the lines themselves.
    vocabulary
        The model's; None for a model that can spell everything.

    Returns
    -------
    list of Hotword
        In the order of the lines.

    Raises
    ------
    DataError
        With every line that cannot be used: a term the vocabulary cannot spell, a term named twice, a weight that is no number
        from 0; or the file that cannot be read or holds no term.
    """
    name, lines = _lines(source)
    hotwords: list[Hotword] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            hotword = _parse(line, vocabulary)
            if hotword.spoken in seen:
                raise ValueError(f"{hotword.spoken!r} is already on line {seen[hotword.spoken]}; keep one of them")
        except ValueError as error:
            problems.append(Problem(name, number, str(error)))
        else:
            seen[hotword.spoken] = number
            hotwords.append(hotword)
    if not hotwords and not problems:
        problems.append(Problem(name, None, "no hotword in it; expected one term a line"))
    if problems:
        raise DataError(problems)
    return hotwords


def write_forms(segment: Segment, hotwords: Sequence[Hotword]) -> Segment:
    """Write each spoken term as asked, the longest where several fit; the last step of decoding.

    Parameters
    ----------
    segment
        As decoded.
    hotwords
        Terms with written forms.

    Returns
    -------
    Segment
        A written form is one `Word`, however many it has, over the time of the spoken words; its confidence is their geometric
        mean.
    """
    forms = {tuple(hotword.spoken.split(" ")): hotword.written for hotword in hotwords if hotword.written != hotword.spoken}
    longest = max(map(len, forms), default=0)
    words, position = [], 0
    while position < len(segment.words):
        for count in range(min(longest, len(segment.words) - position), 0, -1):
            said = segment.words[position : position + count]
            written = forms.get(tuple(word.text for word in said))
            if written is not None:
                confidence = math.prod(word.confidence for word in said) ** (1 / count)
                words.append(Word(written, said[0].start, said[-1].end, confidence))
                position += count
                break
        else:
            words.append(segment.words[position])
            position += 1
    return replace(segment, text=" ".join(word.text for word in words), words=tuple(words))


def _lines(source: str | Path | Sequence[str]) -> tuple[str, Sequence[str]]:
    if not isinstance(source, str | Path):
        return "hotwords", source
    try:
        return str(source), Path(source).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        what = f"cannot read the hotwords: {error.strerror}; expected a text file, one term a line"
    except UnicodeDecodeError as error:
        what = f"cannot read the hotwords: byte {error.start} is not UTF-8; save the file as UTF-8"
    raise DataError([Problem(str(source), None, what)])


def _parse(line: str, vocabulary: Vocabulary | None) -> Hotword:
    """Read one line; a ValueError says what is wrong with it."""
    text, tab, weight = line.partition("\t")
    term, arrow, written = text.partition(_ARROW)
    term, written = " ".join(term.split()), " ".join(written.split())
    if not term:
        raise ValueError(f"no term in {line.strip()!r}; expected `term` or `spoken term {_ARROW} Written form`")
    if arrow and not written:
        raise ValueError(f"nothing after {_ARROW}; expected `spoken term {_ARROW} Written form`")
    spoken = _spelled(term, vocabulary) if vocabulary else term
    return Hotword(spoken, written or term, _weight(weight) if tab else 1.0)


def _spelled(term: str, vocabulary: Vocabulary) -> str:
    """Give a term as the model spells it."""
    spoken = normalise(term, "basic") if vocabulary.unknown([term]) else term
    unknown = sorted(vocabulary.unknown([spoken]))
    if unknown or not spoken:
        found = ", ".join(map(repr, unknown or sorted(set(term))))
        spelled = "".join(sorted(symbol for symbol in vocabulary.symbols if len(symbol) == 1 and symbol != " "))
        raise ValueError(
            f"the model cannot spell {term!r}: it has no {found}, only {spelled}; "
            f"write the term as it is spoken, as in `nine one one {_ARROW} 911`"
        )
    return spoken


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not (0 <= weight < math.inf):
        raise ValueError(f"weight {text.strip()!r}; expected a number from 0, 1 being usual, after a tab")
    return weight

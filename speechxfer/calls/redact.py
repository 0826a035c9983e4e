"""What must not be kept, taken out: card, account and telephone numbers and e-mail addresses, as digits, spoken or spelled.

A text, a segment or samples in, the same without them out. It fails closed: numbers are taken out whether or not they are valid,
words that sound like digits count among digits, a segment of digits alone goes whatever its length (the rest of the number is in
the next one), and where a detector fails the whole text goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from speechxfer.calls.events import Redaction
from speechxfer.data import Samples
from speechxfer.transcript import Segment, Word

_FEWEST_DIGITS = 3  # as a card's check number has
_FEWEST_SPELLED = 4  # letters and digits
_CARD_DIGITS = range(13, 20)

_UNITS = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_DIGITS = {
    **{word: str(number) for number, word in enumerate(_UNITS)},
    **{word: str(number) for number, word in enumerate(_TEENS, start=10)},
    **{word: str(number) for number, word in zip(range(20, 100, 10), _TENS, strict=True)},
    **{"oh": "0", "nought": "0", "null": "0", "niner": "9"},
}
# What a recogniser may write for a digit; counts as one next to others only.
_SOUNDS_LIKE = {
    "o": "0",
    "won": "1",
    "to": "2",
    "too": "2",
    "tree": "3",
    "for": "4",
    "fore": "4",
    "fife": "5",
    "sex": "6",
    "ate": "8",
}
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_BETWEEN = {
    "dash",
    "hyphen",
    "minus",
    "slash",
    "dot",
    "point",
    "space",
    "plus",
    "then",
    "and",
    "hundred",
    "thousand",
    "uh",
    "um",
    "er",
}
_LOCAL_SIGNS = {"dot", "underscore", "dash", "hyphen", "minus", "plus"}
_PART = re.compile(r"[^\s\-\u2010-\u2015/]+")  # of a word: "forty-two" and "S-M-I-T-H" are several
_WRITTEN_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


@dataclass(frozen=True)
class Finding:
    """Characters of a text that must not be kept.

    Attributes
    ----------
    start, end
        The first of them, from 0, and the one after the last.
    kind
        What they are, as it is to stand in brackets in their place.
    """

    start: int
    end: int
    kind: str


Detector = Callable[[str], Sequence[Finding]]
"""Finds in a text what must not be kept."""


class Redactor:
    """Takes out what its detectors find.

    Parameters
    ----------
    *detectors
        Beside the one for numbers and addresses, such as `presidio_detector()`.
    """

    def __init__(self, *detectors: Detector) -> None:
        self._detectors: tuple[Detector, ...] = (find_numbers, find_emails, *detectors)

    def find(self, text: str) -> list[Finding]:
        """Give what is found, in order, overlapping findings joined; everything where a detector fails."""
        try:
            found = sorted((one for detect in self._detectors for one in detect(text)), key=lambda one: (one.start, -one.end))
        except Exception:  # whatever a plug-in does: what was not looked at is not shown
            return [Finding(0, len(text), "UNCHECKED")]
        joined: list[Finding] = []
        for one in found:
            if joined and one.start < joined[-1].end:
                joined[-1] = replace(joined[-1], end=max(joined[-1].end, one.end))
            else:
                joined.append(one)
        return joined

    def text(self, text: str) -> str:
        """Give a text with `[KIND]` for what was found."""
        for one in reversed(self.find(text)):
            text = f"{text[: one.start]}[{one.kind}]{text[one.end :]}"
        return text

    def unfinished(self, text: str) -> str:
        """Give a text that may go on: besides what is found, whatever a number or an address could begin with is hidden."""
        words = self.text(text).split()
        bare = [[_bare(part) for part in _PART.findall(word)] for word in words]
        signs = {number for number, parts in enumerate(bare) for part in parts if part in _LOCAL_SIGNS or part == "at"}
        hidden = {number for number, parts in enumerate(bare) if any(map(_may_begin_something, parts))}
        hidden |= {near for number in signs for near in (number - 1, number + 1)}
        return " ".join("…" if number in hidden else word for number, word in enumerate(words))

    def segment(self, segment: Segment) -> tuple[Segment, tuple[Redaction, ...]]:
        """Take out of a segment what is found in it.

        Parameters
        ----------
        segment
            As recognised.

        Returns
        -------
        Segment
            With one word, `[KIND]`, for each finding.
        tuple of Redaction
            The times to silence, in order; of a segment without words the whole, if anything is found in its text.
        """
        if not segment.words:
            found = self.find(segment.text)
            times = tuple(Redaction(one.kind, segment.start, segment.end) for one in found)
            return replace(segment, text=self.text(segment.text)), times
        text = " ".join(word.text for word in segment.words)
        spans = [(_words_at(segment.words, one), one.kind) for one in self.find(text)]
        words, redactions = list(segment.words), []
        for (first, last), kind in reversed(spans):
            # From the end of the word before to the start of the one after: a recogniser's times are often late and short.
            start = segment.words[first - 1].end if first else segment.start
            end = segment.words[last].start if last < len(segment.words) else segment.end
            taken = segment.words[first:last]
            words[first:last] = [Word(f"[{kind}]", taken[0].start, taken[-1].end, min(word.confidence for word in taken))]
            redactions.append(Redaction(kind, start, max(end, taken[-1].end)))
        redacted = replace(segment, text=" ".join(word.text for word in words), words=tuple(words))
        return redacted, tuple(reversed(redactions))


def silenced(samples: Samples, sampling_rate: int, redactions: Sequence[Redaction]) -> Samples:
    """Give a recording with silence where something was taken out of its text.

    Parameters
    ----------
    samples
        float32 `[num_samples]` or `[num_samples, channels]`.
    sampling_rate
        In Hz.
    redactions
        Their times are seconds of these samples.

    Returns
    -------
    numpy.ndarray
        float32, a copy of the same shape.
    """
    silent = samples.copy()
    for one in redactions:
        silent[int(one.start * sampling_rate) : int(one.end * sampling_rate) + 1] = 0
    return silent


def presidio_detector(language: str = "en", threshold: float = 0.4) -> Detector:
    """Find names, places and more with Microsoft's Presidio, which is to be installed beside speechxfer.

    Parameters
    ----------
    language
        Of the texts.
    threshold
        The lowest score that counts.

    Returns
    -------
    Detector
        For `Redactor`.

    Raises
    ------
    ImportError
        If `presidio_analyzer` is not installed.
    """
    from presidio_analyzer import AnalyzerEngine

    engine = AnalyzerEngine()

    def detect(text: str) -> list[Finding]:
        results = engine.analyze(text=text, language=language, score_threshold=threshold)
        return [Finding(result.start, result.end, result.entity_type) for result in results]

    return detect


def find_emails(text: str) -> list[Finding]:
    """Find e-mail addresses, written, or spoken as `john dot smith at example dot com`.

    Parameters
    ----------
    text
        Any.

    Returns
    -------
    list of Finding
        Of the kind `EMAIL`.
    """
    found = [Finding(match.start(), match.end(), "EMAIL") for match in _WRITTEN_EMAIL.finditer(text)]
    tokens = [*_PART.finditer(text)]
    words = [_bare(token.group()) for token in tokens]
    for at, word in enumerate(words):
        last = at + 1
        while last + 2 < len(words) and words[last + 1] in {"dot", "dash", "hyphen", "minus"}:
            last += 2
        if word == "at" and last > at + 1 and "dot" in words[at:last] and at:
            first = at - 1
            while first and (words[first - 1] in _LOCAL_SIGNS or words[first] in _LOCAL_SIGNS or _is_spelled(words, first)):
                first -= 1
            found.append(Finding(tokens[first].start(), tokens[last].end(), "EMAIL"))
    return found


def find_numbers(text: str) -> list[Finding]:
    """Find numbers that may identify someone: three digits or more in a row, or what is spelled letter by letter.

    Parameters
    ----------
    text
        Any.

    Returns
    -------
    list of Finding
        Of the kinds `CARD` (by the check digit of Luhn), `NUMBER` and `SPELLED`.
    """
    tokens = [*_PART.finditer(text)]
    words = [_bare(token.group()) for token in tokens]
    found = []
    for first, last in _runs(words):
        said = words[first:last]
        digits = _said_digits(said)
        letters = sum(len(word) == 1 and word.isalpha() for word in said)
        alone = last - first == len(words) and bool(digits)
        if len(digits) >= _FEWEST_DIGITS or alone:
            kind = "CARD" if len(digits) in _CARD_DIGITS and passes_luhn(digits) else "NUMBER"
        elif letters + len(digits) >= _FEWEST_SPELLED:
            kind = "SPELLED"
        else:
            continue
        found.append(Finding(tokens[first].start(), tokens[last - 1].end(), kind))
    return found


def passes_luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of the others (ISO/IEC 7812).

    Parameters
    ----------
    digits
        Nothing but digits.

    Returns
    -------
    bool
        As all card numbers do, and every tenth other one.
    """
    doubled = [int(digit) * (1 + number % 2) for number, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _runs(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Give first and one after the last word of what belongs to one number or spelling; it begins and ends with a part of it."""
    core = [
        number for number, word in enumerate(words) if _digits_of(word) or word in _TIMES or (len(word) == 1 and word.isalpha())
    ]
    start = None
    for here, after in pairwise([*core, len(words) + 9]):
        start = here if start is None else start
        between = words[here + 1 : after]
        if after > len(words) or len(between) > 2 or not all(word in _BETWEEN or word in _SOUNDS_LIKE for word in between):
            end = here + 1
            while end < len(words) and words[end] in _SOUNDS_LIKE:
                end += 1
            while start and words[start - 1] in _SOUNDS_LIKE and words[start] not in _SOUNDS_LIKE and end - start > 1:
                start -= 1
            yield start, end
            start = None


def _said_digits(words: Sequence[str]) -> str:
    said, times = "", 1
    for number, word in enumerate(words):
        digits = _digits_of(word) or _SOUNDS_LIKE.get(word, "")
        if word in _TIMES:
            times = _TIMES[word]
        elif digits:
            # "forty two" is 42, "forty" alone 40.
            after = words[number + 1] if number + 1 < len(words) else ""
            if word in _TENS and after in _UNITS[1:]:
                digits = digits[0]
            said, times = said + digits * times, 1
    return said


def _digits_of(word: str) -> str:
    return _DIGITS.get(word) or "".join(re.findall(r"\d", word))


def _may_begin_something(word: str) -> bool:
    return bool(_digits_of(word)) or word in _TIMES or len(word) == 1


def _is_spelled(words: Sequence[str], number: int) -> bool:
    """Tell whether this word and the one before it are both parts of something spelled."""
    return all(len(word) == 1 or bool(_digits_of(word)) for word in words[number - 1 : number + 1])


def _bare(token: str) -> str:
    """Give a word without the punctuation around it, in small letters."""
    return token.lower().strip(".,;:!?\"'()[]{}")


def _words_at(words: Sequence[Word], finding: Finding) -> tuple[int, int]:
    """Give the first word and the one after the last that a finding touches; the text is the words with single spaces."""
    first, last, position = len(words), 0, 0
    for number, word in enumerate(words):
        end = position + len(word.text)
        if position < finding.end and finding.start < end:
            first, last = min(first, number), number + 1
        position = end + 1
    return first, last

"""What a decoder answers in, the answer that is believed out: one that repeats itself, or that the model doubts, is drawn again.

Warmer each time, and alone, so that it does not depend on its company (A. Radford et al., "Robust speech recognition via
large-scale weak supervision", 2022, section 4.5).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from speechxfer.models import Tokens
from speechxfer.transcript import Segment, Word

_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
_MAX_COMPRESSION, _MIN_LOG_PROB = 2.4, -1.0
# No language is spoken faster, not even where each letter takes several tokens; what is longer is a loop.
_TOKENS_PER_SECOND, _TOKENS_AT_LEAST = 15, 16


@dataclass(frozen=True)
class Answer:
    """What was written about one utterance.

    Attributes
    ----------
    tokens
        Without the end.
    log_probs
        Of the tokens, and of the end where it is known.
    starts
        Of the tokens and of the end, in seconds; empty unless asked for.
    """

    tokens: list[int]
    log_probs: list[float]
    starts: list[float]

    @property
    def log_prob(self) -> float:
        """Its mean over tokens."""
        return sum(self.log_probs) / max(1, len(self.log_probs))


class Writer(Protocol):
    """Writes about the utterances of one batch, named by their rows.

    Attributes
    ----------
    languages
        Of each row's utterance, given or heard; None where the model knows a single one.
    """

    languages: list[str | None]

    def limit(self, row: int) -> int:
        """Give how many tokens an answer may have; one that has as many did not come to an end."""

    def generate(self, rows: Sequence[int], temperature: float = 0.0) -> list[list[int]]:
        """Give answers, without the end; 0 is the likeliest, otherwise they are drawn."""

    def read(self, rows: Sequence[int], answers: Sequence[list[int]]) -> list[Answer]:
        """Give answers their probabilities and, if asked for, their times: a second pass, which cannot change them."""


def believed(writer: Writer, tokens: Tokens, count: int) -> list[Answer]:
    """Give an answer for each of so many rows: the likeliest, or a warmer one that neither loops nor is doubted.

    Failing that, the likeliest of those that do not loop; failing that, the likeliest without its loop; if it goes on for ever
    without one, there was nothing to write about.
    """
    return [_believed(writer, tokens, row, answer) for row, answer in enumerate(read_first(writer, count))]


def read_first(writer: Writer, count: int) -> list[Answer]:
    """Give the likeliest answer for each of so many rows."""
    rows = list(range(count))
    return writer.read(rows, writer.generate(rows))


def _believed(writer: Writer, tokens: Tokens, row: int, answer: Answer) -> Answer:
    def loops(one: Answer) -> bool:
        text = tokens.text(one.tokens).encode()
        return len(one.tokens) >= writer.limit(row) or len(text) / len(zlib.compress(text)) > _MAX_COMPRESSION

    tried = [answer]
    for temperature in _TEMPERATURES:
        if not loops(tried[-1]) and tried[-1].log_prob >= _MIN_LOG_PROB:
            return tried[-1]
        tried += writer.read([row], writer.generate([row], temperature))
    best = max([one for one in tried if not loops(one)] or tried, key=lambda one: one.log_prob)
    if not loops(best):
        return best
    cut = without_loop(best.tokens)
    return writer.read([row], [cut if len(cut) < len(best.tokens) else []])[0]


def without_loop(answer: list[int]) -> list[int]:
    """Leave of what is said over and over at the end of an answer the first time."""
    for period in range(1, len(answer) // 3 + 1):
        unit = answer[-period:]
        start = len(answer)
        while answer[max(start - period, 0) : start] == unit:
            start -= period
        if len(answer) - start >= 3 * period:
            return answer[: start + period]
    return answer


def max_tokens(seconds: float) -> int:
    """Give how many tokens may be written about so much speech."""
    return _TOKENS_AT_LEAST + math.ceil(seconds * _TOKENS_PER_SECOND)


def to_segment(answer: Answer, tokens: Tokens, seconds: float, language: str | None = None) -> Segment:
    """Spell an answer about an utterance of so many seconds, in this language; words without times span it."""
    words = []
    for text, places in tokens.words(answer.tokens):
        confidence = math.exp(sum(answer.log_probs[place] for place in places) / len(places))
        start, end = (answer.starts[places[0]], answer.starts[places[-1] + 1]) if answer.starts else (0.0, seconds)
        words.append(Word(text, round(start, 3), round(end, 3), round(confidence, 4)))
    confidence = round(math.exp(answer.log_prob), 4)
    return Segment(tokens.text(answer.tokens), 0.0, round(seconds, 3), confidence, tuple(words), language=language)

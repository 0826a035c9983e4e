"""Greedy CTC: log-probabilities `[frames, vocabulary]` in, a `Segment` with word times and confidence out."""

from __future__ import annotations

import math
from itertools import groupby

from torch import Tensor

from speechxfer.data import Vocabulary
from speechxfer.transcript import Segment, Word


def greedy(log_probs: Tensor, vocabulary: Vocabulary, frame_seconds: float, offset: float = 0.0) -> Segment:
    """Take the best symbol of each frame, merge repeats, drop blanks.

    Parameters
    ----------
    log_probs
        float `[frames, vocabulary]`, the blank first, without padding.
    vocabulary
        What the symbols stand for.
    frame_seconds
        Time between two frames.
    offset
        Start of the segment in seconds.

    Returns
    -------
    Segment
        A word's confidence is the geometric mean of its frames' probabilities; its times are those of its own symbols, which
        CTC tends to place late and short.
    """
    best, numbers = log_probs.max(dim=-1)
    words: list[Word] = []
    letters: list[str] = []
    span: list[int] = []

    def finish() -> None:
        if letters:
            confidence = math.exp(best[span].mean().item())
            start, end = offset + span[0] * frame_seconds, offset + (span[-1] + 1) * frame_seconds
            words.append(Word("".join(letters), round(start, 3), round(end, 3), confidence))
        letters.clear()
        span.clear()

    for number, run in groupby(enumerate(numbers.tolist()), key=lambda pair: pair[1]):
        symbol = vocabulary.decode([number])
        if symbol == " ":
            finish()
        elif symbol:
            letters.append(symbol)
            span.extend(frame for frame, _ in run)
    finish()
    end = round(offset + len(log_probs) * frame_seconds, 3)
    confidence = math.exp(best.mean().item()) if len(best) else 0.0
    return Segment(" ".join(word.text for word in words), offset, end, confidence, tuple(words))

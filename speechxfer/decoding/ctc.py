"""CTC paths: log-probabilities `[frames, vocabulary]` in, a `Segment` with word times and confidence out.

Every decoder ends here: it chooses one symbol for each frame, and `from_path` reads the words off. Also the joining of
log-probabilities of windows that overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor

from speechxfer.data import Vocabulary
from speechxfer.transcript import Segment, Word

Decoder = Callable[[Tensor, float], Segment]
"""From the log-probabilities of one segment, `[frames, vocabulary]` on the CPU, and the seconds between two frames to what was
said, with times from the start of the segment."""


def greedy(log_probs: Tensor, vocabulary: Vocabulary, frame_seconds: float) -> Segment:
    """Take the best symbol of each frame, merge repeats, drop blanks (best path decoding, Graves et al. 2006).

    Parameters
    ----------
    log_probs
        float `[frames, vocabulary]`, the blank first, without padding.
    vocabulary
        What the symbols stand for.
    frame_seconds
        Time between two frames.

    Returns
    -------
    Segment
        A word's confidence is the geometric mean of its frames' probabilities; its times are those of its own symbols, which
        CTC tends to place late and short.
    """
    return from_path(log_probs.argmax(dim=-1), log_probs, vocabulary, frame_seconds)


def from_path(path: Tensor, log_probs: Tensor, vocabulary: Vocabulary, frame_seconds: float) -> Segment:
    """Read the words off a path: merge repeats, drop blanks.

    Parameters
    ----------
    path
        int64 `[frames]`: the number of each frame's symbol.
    log_probs
        float `[frames, vocabulary]`, the blank first, without padding.
    vocabulary
        What the symbols stand for.
    frame_seconds
        Time between two frames.

    Returns
    -------
    Segment
        A word's confidence is the geometric mean of its frames' probabilities; its times are those of its own symbols, which
        CTC tends to place late and short.
    """
    taken = log_probs.gather(1, path[:, None])[:, 0]
    words: list[Word] = []
    letters: list[str] = []
    span: list[int] = []

    def finish() -> None:
        if letters:
            confidence = round(math.exp(taken[span].mean().item()), 4)
            start, end = span[0] * frame_seconds, (span[-1] + 1) * frame_seconds
            words.append(Word("".join(letters), round(start, 3), round(end, 3), confidence))
        letters.clear()
        span.clear()

    for number, run in groupby(enumerate(path.tolist()), key=lambda pair: pair[1]):
        symbol = vocabulary.decode([number])
        if symbol == " ":
            finish()
        elif symbol:
            letters.append(symbol)
            span.extend(frame for frame, _ in run)
    finish()
    end = round(len(log_probs) * frame_seconds, 3)
    confidence = round(math.exp(taken.mean().item()), 4) if len(taken) else 0.0
    return Segment(" ".join(word.text for word in words), 0.0, end, confidence, tuple(words))


def join_overlapping(windows: Sequence[Tensor], overlap: int) -> Tensor:
    """Join the log-probabilities of windows of one stretch of speech.

    Each window gives way to the next where, in the middle half of their overlap, both are surest of the blank: a symbol that both
    saw is then neither lost nor doubled.

    Parameters
    ----------
    windows
        float `[frames, vocabulary]`, the blank first; the first `overlap` frames of each are the last of the one before.
    overlap
        In frames.

    Returns
    -------
    torch.Tensor
        float `[frames, vocabulary]`.
    """
    joined = windows[0]
    for window in windows[1:]:
        shared = min(overlap, len(joined), len(window))
        first, last = shared // 4, max(shared // 4 + 1, shared - shared // 4)
        blank = torch.minimum(joined[len(joined) - shared :, 0], window[:shared, 0])[first:last]
        change = first + int(blank.argmax())
        joined = torch.cat([joined[: len(joined) - shared + change], window[change:]])
    return joined

"""Log-probabilities and the words that were said in; when each was said, out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torchaudio.functional import forced_align

from speechxfer.data import Vocabulary


@dataclass(frozen=True)
class AlignedWord:
    """Where a word lies.

    Attributes
    ----------
    first, last
        Its first frame, and the one after its last.
    confidence
        Geometric mean of its frames' probabilities; 0 for a word that the vocabulary cannot spell, which gets what its neighbours
        leave.
    """

    first: int
    last: int
    confidence: float


def frames_needed(words: Sequence[str], vocabulary: Vocabulary) -> int:
    """Give the fewest frames in which words can be said: one for each symbol, and one between two that are the same.

    Parameters
    ----------
    words
        Normalised as for training.
    vocabulary
        The model's; what it cannot spell takes no frame.

    Returns
    -------
    int
        Frames at the head.
    """
    symbols = _spelled(words, vocabulary)[0]
    return len(symbols) + sum(one == other for one, other in pairwise(symbols))


def align_words(log_probs: Tensor, words: Sequence[str], vocabulary: Vocabulary) -> list[AlignedWord]:
    """Find the most probable places of words, by the Viterbi algorithm (torchaudio's `forced_align`).

    Parameters
    ----------
    log_probs
        float `[frames, vocabulary]`, the blank first, without padding.
    words
        All that was said, normalised as for training.
    vocabulary
        The model's; its symbols alone are looked for.

    Returns
    -------
    list of AlignedWord
        One per word, in order, none beginning before the one before it ends.

    Raises
    ------
    ValueError
        If there are fewer frames than `frames_needed`.
    """
    if len(log_probs) < frames_needed(words, vocabulary):
        raise ValueError(f"{len(log_probs)} frames cannot hold these words: {' '.join(words)[:60]}")
    symbols, owners = _spelled(words, vocabulary)
    frames: dict[int, list[int]] = {}
    scores = torch.zeros(0)
    if symbols:
        path, scores = forced_align(log_probs.float()[None], torch.tensor([symbols], dtype=torch.int32))
        scores = scores[0]
        position, before = -1, 0
        for frame, symbol in enumerate(path[0].tolist()):
            position += bool(symbol) and symbol != before
            if symbol and (owner := owners[position]) is not None:
                frames.setdefault(owner, []).append(frame)
            before = symbol
    placed: list[AlignedWord] = []
    for number in range(len(words)):
        own = frames.get(number)
        end = placed[-1].last if placed else 0
        if own:
            placed.append(AlignedWord(own[0], own[-1] + 1, round(math.exp(scores[own].mean().item()), 4)))
        else:
            following = min((own[0] for other, own in frames.items() if other > number), default=len(log_probs))
            placed.append(AlignedWord(end, max(end, following), 0.0))
    return placed


def _spelled(words: Sequence[str], vocabulary: Vocabulary) -> tuple[list[int], list[int | None]]:
    """Give the symbols' numbers, with spaces where there are such, and to which word each belongs."""
    symbols: list[int] = []
    owners: list[int | None] = []
    space = vocabulary.encode(" ")
    for number, word in enumerate(words):
        own = vocabulary.encode(word)
        if own and symbols:
            symbols += space
            owners += [None] * len(space)
        symbols += own
        owners += [number] * len(own)
    return symbols, owners

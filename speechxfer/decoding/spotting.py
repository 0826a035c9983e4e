"""Hotwords without a language model: log-probabilities in, the greedy text out, with terms put in where the sound supports them.

The method is the CTC word spotter of Andrusenko et al. 2024, "Fast context-biasing for CTC and transducer ASR models with
CTC-based word spotter" (arXiv 2406.07096), with two differences: a term is scored with the spaces around it, and it replaces
whole words of the greedy path, so that no fragments of them are left.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from speechxfer.data import Vocabulary
from speechxfer.decoding.ctc import from_path
from speechxfer.decoding.hotwords import Hotword, write_forms
from speechxfer.transcript import Segment

_BLANK = 0
_NEVER = -1e30
_SELF, _FROM_LETTER, _FROM_BLANK, _OWN_BLANK = range(4)  # where the best token of a letter was one frame before


@dataclass(frozen=True)
class _Tree:
    """Prefix tree over the letters of all terms, each followed by a boundary; node 0 is the boundary before them.

    A node is a symbol that was said; CTC adds to each a state for the blanks after it.
    """

    boundary: int
    symbols: NDArray[np.int64]  # [nodes]
    parents: NDArray[np.int64]  # [nodes]; of node 0 itself
    last_letters: NDArray[np.int64]  # [terms], nodes
    ends: NDArray[np.int64]  # [terms], nodes: the boundary after the last letter


@dataclass(frozen=True)
class _Candidate:
    """A term on frames `[start, end)`; its gain is what it has left of its bonus, its last state a letter or the blank after."""

    start: int
    end: int
    gain: float
    node: int
    resting: bool


class HotwordDecoder:
    """Greedy decoding that listens for terms.

    Parameters
    ----------
    vocabulary
        The model's.
    hotwords
        As `read_hotwords` gives them.
    letter_bonus
        What a term may lose against the greedy path for each of its letters, times its weight, in nats.
    term_cost
        What it may lose less, whatever its length. Short terms fit everywhere: with the usual values, those of up to four letters
        are put in only if their weight is above 1.

    Notes
    -----
    The CTC word spotter of A. Andrusenko et al., "Fast context-biasing for CTC and transducer ASR models with CTC-based word
    spotter", 2024; here a term is scored with the spaces around it, and takes the place of whole words.
    """

    def __init__(
        self, vocabulary: Vocabulary, hotwords: Sequence[Hotword], *, letter_bonus: float = 2.5, term_cost: float = 10.0
    ) -> None:
        self._vocabulary = vocabulary
        self._hotwords = list(hotwords)
        self._tree = _tree(vocabulary, [hotword.spoken for hotword in hotwords])
        letters = np.array([len(hotword.spoken.replace(" ", "")) * hotword.weight for hotword in hotwords])
        self._bonuses = np.maximum(0.0, letter_bonus * letters - term_cost)

    def __call__(self, log_probs: Tensor, frame_seconds: float) -> Segment:
        """Decode one segment.

        Parameters
        ----------
        log_probs
            float32 `[frames, vocabulary]` on the CPU, the blank first, without padding.
        frame_seconds
            Time between two frames.

        Returns
        -------
        Segment
            Times from the start of the segment; terms in their written forms.
        """
        path = log_probs.argmax(dim=-1)
        if len(log_probs) and self._hotwords:
            losses = (log_probs - log_probs.max(dim=-1, keepdim=True).values).numpy()
            inside = _inside_words(path.numpy(), self._tree.boundary)
            for candidate, symbols in _spot(losses, self._tree, self._bonuses, inside):
                path[candidate.start : candidate.end] = torch.from_numpy(symbols)
        return write_forms(from_path(path, log_probs, self._vocabulary, frame_seconds), self._hotwords)


def _tree(vocabulary: Vocabulary, terms: Sequence[str]) -> _Tree:
    # Without a space in the vocabulary, words are not told apart, and a blank is all that can stand between two terms.
    boundary = next(iter(vocabulary.encode(" ")), _BLANK)
    symbols, parents = [boundary], [0]
    children: dict[tuple[int, int], int] = {}
    last_letters, ends = [], []
    for term in terms:
        node = 0
        for symbol in [*vocabulary.encode(term), boundary]:
            last, node = node, children.setdefault((node, symbol), len(symbols))
            if node == len(symbols):
                symbols.append(symbol)
                parents.append(last)
        last_letters.append(last)
        ends.append(node)
    return _Tree(boundary, *(np.array(numbers) for numbers in (symbols, parents, last_letters, ends)))


def _spot(
    losses: NDArray[np.float32], tree: _Tree, bonuses: NDArray[np.float64], inside: NDArray[np.bool_]
) -> list[tuple[_Candidate, NDArray[np.int64]]]:
    """Give the terms to put in, with their symbols per frame.

    `losses` is `[frames, vocabulary]`: log-probabilities less the best of the frame, so that a path's sum is what it loses
    against the greedy path, and tokens that began at different frames can be compared.
    """
    count = len(tree.parents)
    reach = _reach(tree, bonuses)
    # The same symbol again needs a blank between.
    repeats = tree.symbols == tree.symbols[tree.parents]
    is_end = np.zeros(count, dtype=bool)
    is_end[tree.ends] = True
    letter, blank = np.full((2, count), _NEVER)
    letter[0] = 0.0  # what comes before the first frame is a boundary
    letter_start, blank_start = np.zeros((2, count), dtype=np.int64)
    sources = np.zeros((len(losses), count), dtype=np.int8)
    rests = np.zeros((len(losses), count), dtype=bool)
    found: dict[tuple[int, int], _Candidate] = {}

    def keep(nodes: NDArray[np.int64], end: int) -> None:
        resting = blank[nodes] > letter[nodes]
        gains = np.where(resting, blank[nodes], letter[nodes]) + bonuses
        for term in np.flatnonzero(gains > 0):
            node = int(nodes[term])
            start = int((blank_start if resting[term] else letter_start)[node])
            known = found.get((int(term), start))
            if known is None or gains[term] > known.gain:
                found[int(term), start] = _Candidate(start, end, float(gains[term]), node, bool(resting[term]))

    for frame, loss in enumerate(losses):
        alive = np.maximum(letter, blank) + reach > 0
        active = np.flatnonzero(alive | alive[tree.parents])
        above = tree.parents[active]
        choices = np.stack(
            [
                letter[active],
                np.where(repeats[active], _NEVER, letter[above]),
                blank[above],
                np.where(is_end[active], blank[active], _NEVER),
            ]
        )
        source = choices.argmax(axis=0)
        rest = letter[active] > blank[active]
        starts = np.choose(source, (letter_start[active], letter_start[above], blank_start[above], blank_start[active]))
        rested, rest_starts = np.maximum(letter, blank)[active], np.where(rest, letter_start[active], blank_start[active])
        letter, blank = np.full((2, count), _NEVER)
        letter[active], letter_start[active] = choices.max(axis=0) + loss[tree.symbols[active]], starts
        blank[active], blank_start[active] = rested + loss[_BLANK], rest_starts
        if not inside[frame]:
            letter[0], letter_start[0] = loss[tree.boundary], frame
        sources[frame, active], rests[frame, active] = source, rest
        if not inside[frame + 1]:
            keep(tree.ends, frame + 1)
    keep(tree.last_letters, len(losses))  # so is what comes after the last frame
    return [(chosen, _trace(chosen, tree, sources, rests)) for chosen in _best_together(list(found.values()))]


def _inside_words(path: NDArray[np.int64], boundary: int) -> NDArray[np.bool_]:
    """Say before which frames, the end included, a word of the greedy path goes on: there, no term begins or ends."""
    inside = np.zeros(len(path) + 1, dtype=bool)
    if boundary != _BLANK:
        letters = np.flatnonzero((path != _BLANK) & (path != boundary))
        for first, second in pairwise(letters.tolist()):
            inside[first + 1 : second + 1] = boundary not in path[first:second]
    return inside


def _reach(tree: _Tree, bonuses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the highest bonus of the terms below each node: a token that has lost more cannot win."""
    reach = np.zeros(len(tree.parents))
    np.maximum.at(reach, tree.ends, bonuses)
    for node in range(len(reach) - 1, 0, -1):
        reach[tree.parents[node]] = max(reach[tree.parents[node]], reach[node])
    return reach


def _best_together(candidates: list[_Candidate]) -> list[_Candidate]:
    """Choose the candidates that gain most together and overlap in nothing but a boundary."""
    ordered = sorted(candidates, key=lambda candidate: (candidate.end, candidate.start))
    ends = [candidate.end for candidate in ordered]
    best: list[tuple[float, tuple[_Candidate, ...]]] = [(0.0, ())]  # with the first 0, 1, 2 ... of them
    for number, candidate in enumerate(ordered):
        # The boundary after one term may be that before the next.
        gain, before = best[bisect_right(ends, candidate.start + 1, hi=number)]
        best.append(max(best[-1], (gain + candidate.gain, (*before, candidate)), key=lambda choice: choice[0]))
    return list(best[-1][1])


def _trace(candidate: _Candidate, tree: _Tree, sources: NDArray[np.int8], rests: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Walk back over a candidate's frames; gives its symbols."""
    symbols = np.full(candidate.end - candidate.start, _BLANK)
    node, resting = candidate.node, candidate.resting
    for frame in range(candidate.end - 1, candidate.start - 1, -1):
        if resting:
            resting = not rests[frame, node]
        else:
            symbols[frame - candidate.start] = tree.symbols[node]
            source = sources[frame, node]
            resting = source in (_FROM_BLANK, _OWN_BLANK)
            if source in (_FROM_LETTER, _FROM_BLANK):
                node = tree.parents[node]
    return symbols

"""Hotwords for a decoder: terms in; out, a bias on its next token wherever what it has written so far may become a term.

A term is worth something for each of its tokens. What was lent to the beginning of a term is taken back when another word comes
of it, so it takes beam search, in which the hypothesis without the term is still there (D. Zhao et al., "Shallow-fusion
end-to-end contextual biasing", Interspeech 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import LogitsProcessor

from speechxfer.decoding.hotwords import Hotword
from speechxfer.models import Tokens

NUM_BEAMS = 5
_STRENGTH = 1.5  # nats for each token of a term


@dataclass
class _Node:
    """What has been written of one or several terms."""

    depth: int = 0
    worth: float = 0.0
    is_term: bool = False
    next: dict[int, _Node] = field(default_factory=dict)


class TokenBias(LogitsProcessor):
    """Adds to the log-probabilities of tokens that begin or continue a term.

    Parameters
    ----------
    hotwords
        Terms; each is looked for as it stands, in small letters, and with a capital.
    tokens
        The model's own.
    prompt_length
        Tokens before the answer.
    """

    def __init__(self, hotwords: Sequence[Hotword], tokens: Tokens, prompt_length: int) -> None:
        self._prompt_length = prompt_length
        self._root = _Node()
        self._longest = 0
        for hotword in hotwords:
            for text in _spellings(hotword):
                self._add(tokens.encode(text), hotword.weight * _STRENGTH)
        self._word_starts = _word_starts(tokens)

    def _add(self, term: Sequence[int], strength: float) -> None:
        self._longest = max(self._longest, len(term))
        node = self._root
        for token in term:
            node = node.next.setdefault(token, _Node(node.depth + 1))
            node.worth = max(node.worth, strength * node.depth)
        node.is_term = True

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Give the scores `[sequences, vocabulary]` of what may follow `input_ids` `[sequences, tokens]`, with the bias."""
        opened = [self._open(written) for written in input_ids[:, self._prompt_length :].tolist()]
        lent = [max((node.worth for node in nodes), default=0.0) for nodes in opened]
        kept = [
            worth if any(node.is_term and node.worth == worth for node in nodes) else 0.0
            for nodes, worth in zip(opened, lent, strict=True)
        ]
        taken_back, left = scores.new_tensor(lent)[:, None], scores.new_tensor(kept)[:, None]
        word_is_over = scores.new_ones(scores.shape[1])
        word_is_over[: len(self._word_starts)] = self._word_starts.to(scores)
        biased = scores - taken_back + left * word_is_over
        firsts = [*self._root.next]
        worths = scores.new_tensor([node.worth for node in self._root.next.values()])
        biased[:, firsts] = scores[:, firsts] - taken_back + left + worths
        for row, nodes in enumerate(opened):
            for node in nodes:
                for token, following in node.next.items():
                    worth = scores[row, token] - lent[row] + following.worth
                    biased[row, token] = torch.maximum(biased[row, token], worth)
        return biased

    def _open(self, written: Sequence[int]) -> list[_Node]:
        """Give the nodes at which the end of what is written stands."""
        found = []
        for length in range(1, min(self._longest, len(written)) + 1):
            node: _Node | None = self._root
            for token in written[-length:]:
                node = node.next.get(token) if node else None
            if node:
                found.append(node)
        return found


def _spellings(hotword: Hotword) -> set[str]:
    spoken = hotword.spoken
    return {spoken, spoken.lower(), spoken[:1].upper() + spoken[1:], hotword.written}


def _word_starts(tokens: Tokens) -> Tensor:
    """Tell of each token whether the word before it is over: `[vocabulary]`."""
    pieces = tokens.tokenizer.convert_ids_to_tokens(range(len(tokens.tokenizer)))
    # The byte-level alphabet spells a space as this letter; behind punctuation and at the end no word goes on either.
    over = [piece.startswith(("\u0120", " ")) or not piece[:1].isalnum() for piece in pieces]
    return torch.tensor(over)

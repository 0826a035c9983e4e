"""A language model that likes hotwords: words in, KenLM's scores and a bonus for each hotword out. Needs Flashlight installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary
from torchaudio.models.decoder import CTCDecoderLM, CTCDecoderLMState

from speechxfer.decoding.arpa import UNKNOWN, read_unigrams


class BoostedLM(CTCDecoderLM):
    """KenLM, but for hotwords: each has a bonus, and a word of one that KenLM does not know is as likely as its rarest word.

    Parameters
    ----------
    path
        An ARPA file.
    words
        A file of all words of the decoder, one a line.
    hotwords
        How each is called in `words`, with the words it consists of and its bonus in powers of ten.
    """

    def __init__(self, path: Path, words: Path, hotwords: Mapping[str, tuple[Sequence[str], float]]) -> None:
        super().__init__()
        dictionary = Dictionary(str(words))
        unigrams = read_unigrams(path)
        self._kenlm = KenLM(str(path), dictionary)
        self._rarest = min(unigrams.values())
        self._hotwords: dict[int, tuple[list[int | None], float]] = {}
        for name, (parts, bonus) in hotwords.items():
            numbers = [dictionary.get_index(part) if part in unigrams else None for part in parts]
            self._hotwords[dictionary.get_index(name)] = numbers, bonus
        self._unknown = dictionary.get_index(UNKNOWN)

    def start(self, start_with_nothing: bool) -> CTCDecoderLMState:
        """Give the state before the first word."""
        return self._kenlm.start(start_with_nothing)

    def score(self, state: CTCDecoderLMState, usr_token_idx: int) -> tuple[CTCDecoderLMState, float]:
        """Give the state after a word, and the word's score."""
        if usr_token_idx not in self._hotwords:
            return self._kenlm.score(state, usr_token_idx)
        parts, total = self._hotwords[usr_token_idx]
        for part in parts:
            state, score = self._kenlm.score(state, self._unknown if part is None else part)
            total += self._rarest if part is None else score
        return state, total

    def finish(self, state: CTCDecoderLMState) -> tuple[CTCDecoderLMState, float]:
        """Give the state after the last word, and the score of ending there."""
        return self._kenlm.finish(state)

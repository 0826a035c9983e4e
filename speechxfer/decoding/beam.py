"""Beam search with an n-gram language model: log-probabilities in, a `Segment` out; needs the extra `lm`.

torchaudio's decoder over Flashlight searches; KenLM, which comes with it, reads the ARPA file. The words that can be heard are
the language model's unigrams and the hotwords.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechxfer.data import Vocabulary
from speechxfer.decoding.arpa import UNKNOWN, read_unigrams
from speechxfer.decoding.ctc import from_path
from speechxfer.decoding.hotwords import Hotword, write_forms
from speechxfer.errors import DataError, ModelError, Problem
from speechxfer.transcript import Segment

_BLANK = "<blank>"
_DELIMITER = "|"  # the space in files whose columns spaces part
_IMPOSSIBLE = -1e4


class BeamDecoder:
    """Beam search, with a language model or without (torchaudio's decoder, over Flashlight and KenLM).

    Parameters
    ----------
    vocabulary
        The model's.
    language_model
        An ARPA file of words as the model spells them; None takes any word.
    hotwords
        As `read_hotwords` gives them; those that the language model does not know are as likely as its rarest word, and each 1
        of a weight above 1 makes a term ten times as likely. They need a language model: without one, `HotwordDecoder` listens
        for them.
    beam_size
        Hypotheses kept at each frame.
    lm_weight
        What a power of ten in the language model's probability counts, in nats.
    word_score
        Added for each word, in nats: above 0, words become shorter and more.

    Raises
    ------
    DataError
        If the language model cannot be read, or has no word that the model can spell.
    ModelError
        If the extra `lm` is not installed, or the vocabulary has no space.
    ValueError
        If there are hotwords and no language model.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        language_model: str | Path | None = None,
        hotwords: Sequence[Hotword] = (),
        *,
        beam_size: int = 50,
        lm_weight: float = 1.0,
        word_score: float = 0.0,
    ) -> None:
        if hotwords and language_model is None:
            raise ValueError("hotwords in a beam need a language model; without one, use HotwordDecoder")
        if " " not in vocabulary.symbols:
            raise ModelError("beam search tells words apart by the space, which the model's vocabulary lacks; decode greedily")
        try:
            from torchaudio.models.decoder import ctc_decoder

            from speechxfer.decoding.boosted_lm import BoostedLM
        except (ImportError, RuntimeError):
            raise ModelError("beam search needs flashlight-text; install it with: pip install 'speechxfer[lm]'") from None
        self._vocabulary = vocabulary
        self._hotwords = list(hotwords)
        self._space = vocabulary.encode(" ")[0]
        common: dict[str, Any] = {
            "tokens": [_BLANK, *(_token(symbol) for symbol in vocabulary.symbols)],
            "blank_token": _BLANK,
            "sil_token": _DELIMITER,
            "beam_size": beam_size,
            "log_add": True,
        }
        if language_model is None:
            self._decoder = ctc_decoder(lexicon=None, **common)
            return
        spellings = _spellings(Path(language_model), vocabulary, self._hotwords)
        with tempfile.TemporaryDirectory() as folder:  # the decoder takes files only
            lexicon, words = Path(folder, "lexicon"), Path(folder, "words")
            lexicon.write_text("".join(f"{word} {spelling}\n" for word, spelling in spellings.items()), encoding="utf-8")
            words.write_text("".join(f"{word}\n" for word in [*spellings, UNKNOWN]), encoding="utf-8")
            lm: Any = str(language_model)
            with _without_stderr():
                if hotwords:
                    bonuses = {_token(hotword.spoken): hotword.weight - 1.0 for hotword in hotwords}
                    lm = BoostedLM(Path(lm), words, {term: (term.split(_DELIMITER), bonus) for term, bonus in bonuses.items()})
                self._decoder = ctc_decoder(
                    lexicon=str(lexicon), lm=lm, lm_dict=str(words), lm_weight=lm_weight, word_score=word_score, **common
                )

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
        frames, symbols = log_probs.shape
        # A word of the lexicon ends with a space, so one follows the last frame.
        padded = torch.full((frames + 1, symbols), _IMPOSSIBLE)
        padded[:frames] = log_probs
        padded[frames, self._space] = 0.0
        # torchaudio's own call gives where symbols begin only; Flashlight's path also has a space before the first frame.
        path = self._decoder.decoder.decode(padded.data_ptr(), frames + 1, symbols)[0].tokens[1 : frames + 1]
        segment = from_path(torch.tensor(path, dtype=torch.int64), log_probs, self._vocabulary, frame_seconds)
        return write_forms(segment, self._hotwords)


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Keep KenLM's progress from the terminal; it writes to the file descriptor, not to `sys.stderr`."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _token(symbol: str) -> str:
    return symbol.replace(" ", _DELIMITER)


def _spellings(path: Path, vocabulary: Vocabulary, hotwords: Sequence[Hotword]) -> dict[str, str]:
    """Give every word that can be heard with its symbols, separated by spaces; a hotword's spaces are delimiters."""
    words = [word for word in read_unigrams(path) if not vocabulary.unknown([word])]
    if not words:
        what = f"the model can spell none of its words with {''.join(vocabulary.symbols)!r}"
        raise DataError(
            [Problem(str(path), None, f"{what}; make the language model of texts that are normalised as the model's are")]
        )
    tokens = [_BLANK, *map(_token, vocabulary.symbols)]
    terms = [*words, *(hotword.spoken for hotword in hotwords)]
    return {_token(term): " ".join([*(tokens[number] for number in vocabulary.encode(term)), _DELIMITER]) for term in terms}

"""What a user wants listened for in; the decoder that does it, out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speechxfer.data import Vocabulary
from speechxfer.decoding.beam import BeamDecoder
from speechxfer.decoding.ctc import Decoder, greedy
from speechxfer.decoding.hotwords import read_hotwords
from speechxfer.decoding.spotting import HotwordDecoder
from speechxfer.errors import ModelError


def make_decoder(
    vocabulary: Vocabulary | None,
    hotwords: str | Path | Sequence[str] = (),
    language_model: str | Path | None = None,
    prompt: str = "",
    language: str | None = None,
) -> Decoder:
    """Choose how to decode: greedily, with an ear for hotwords, or by beam search.

    Parameters
    ----------
    vocabulary
        The model's; None if it writes no text.
    hotwords
        A file or lines, see `read_hotwords`.
    language_model
        An ARPA file; beam search, which then looks for the hotwords too.
    prompt, language
        Only a decoder heeds them.

    Returns
    -------
    Decoder
        Without hotwords and language model, the greedy one.

    Raises
    ------
    ModelError
        If the model writes no text to find terms in, or there is a prompt or a language; if beam search is asked for, and the
        extra `lm` is missing or the vocabulary has no space.
    DataError
        With all that is wrong with the hotwords or the language model.
    """
    if language:
        raise ModelError(f"language {language!r}: this model knows the one of its training texts, and takes no other")
    if prompt:
        raise ModelError("a prompt needs a model with a decoder (seq2seq); this one can be given hotwords")
    if vocabulary is None:
        raise ModelError("hotwords and language models need a model that writes text")
    terms = read_hotwords(hotwords, vocabulary) if hotwords else []
    if language_model:
        return BeamDecoder(vocabulary, language_model, terms)
    if terms:
        return HotwordDecoder(vocabulary, terms)
    return lambda log_probs, frame_seconds: greedy(log_probs, vocabulary, frame_seconds)

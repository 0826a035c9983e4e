"""Terms that a Whisper spells in pieces get a token of their own: a speech model and terms in, one that knows them out.

A new token begins as the mean of its pieces, so that before any training it is about as likely as these are on average.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from tokenizers import AddedToken

from speechxfer.models.save_load import SpeechModel


def add_terms(speech_model: SpeechModel, terms: Sequence[str]) -> SpeechModel:
    """Give each term a token; those that have one keep it.

    Parameters
    ----------
    speech_model
        With a decoder; its model is changed, its tied output with it.
    terms
        As they are to be written; each is a token, with the space before it, as whole words only.

    Returns
    -------
    SpeechModel
        With tokens that spell the terms. It is saved as a plain Whisper whose vocabulary is larger.
    """
    tokens = speech_model.tokens
    assert tokens
    pieces = {term: tokens.encode(term) for term in terms}
    new = [term for term in dict.fromkeys(terms) if len(pieces[term]) > 1]
    tokenizer: Any = copy.deepcopy(tokens.tokenizer)
    tokenizer.add_tokens([AddedToken(f" {term}", normalized=False) for term in new])
    model: Any = speech_model.model
    rows = model.get_input_embeddings().weight.detach()
    means = [rows[pieces[term]].mean(dim=0) for term in new]
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for term, mean in zip(new, means, strict=True):
            model.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids(f" {term}")] = mean
    return replace(speech_model, tokens=replace(tokens, tokenizer=tokenizer))

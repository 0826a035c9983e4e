"""Head surgery: a model with more symbols or labels than before, which gives its old answers until it has learned new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from speechxfer.models.heads import output_layer
from speechxfer.models.save_load import SpeechModel

# Of new rows, below the lowest old one: e^-10 adds less than 1e-4 to a frame's probability mass, and gradients undo it fast.
_BIAS_BELOW = 10.0


def extend_vocabulary(speech_model: SpeechModel, symbols: Sequence[str]) -> SpeechModel:
    """Add symbols to a CTC model.

    Parameters
    ----------
    speech_model
        Whose output layer is replaced in place; rows of its symbols and of the blank are kept.
    symbols
        New characters; those it has already are passed over.

    Returns
    -------
    SpeechModel
        The same model with a vocabulary in which old symbols have their old numbers.
    """
    assert speech_model.vocabulary is not None
    new = [symbol for symbol in dict.fromkeys(symbols) if symbol not in speech_model.vocabulary.symbols]
    vocabulary = replace(speech_model.vocabulary, symbols=(*speech_model.vocabulary.symbols, *new))
    _extend(speech_model.model, len(new), first_symbol=1)
    speech_model.model.config.vocab_size = len(vocabulary)
    return replace(speech_model, vocabulary=vocabulary)


def extend_labels(speech_model: SpeechModel, labels: Sequence[str]) -> SpeechModel:
    """Add labels to a classifier.

    Parameters
    ----------
    speech_model
        Whose output layer is replaced in place; rows of its labels are kept.
    labels
        New ones; those it has already are passed over.

    Returns
    -------
    SpeechModel
        The same model, in which old labels have their old numbers.
    """
    new = [label for label in dict.fromkeys(labels) if label not in speech_model.labels]
    everything = (*speech_model.labels, *new)
    _extend(speech_model.model, len(new), first_symbol=0)
    speech_model.model.config.id2label = dict(enumerate(everything))
    speech_model.model.config.label2id = {label: number for number, label in enumerate(everything)}
    return replace(speech_model, labels=everything)


@torch.no_grad()
def _extend(model: nn.Module, count: int, first_symbol: int) -> None:
    """Add rows to the output layer: the mean of the old rows, which favours no symbol, with a bias below all others."""
    name, old = output_layer(model)
    rows = old.weight[first_symbol:].mean(dim=0, keepdim=True).expand(count, -1)
    bias = (old.bias.min() - _BIAS_BELOW).expand(count)
    new = nn.Linear(old.in_features, old.out_features + count)
    new.weight.copy_(torch.cat([old.weight, rows]))
    new.bias.copy_(torch.cat([old.bias, bias]))
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, new)

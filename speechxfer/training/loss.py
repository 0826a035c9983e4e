"""Logits and targets in, one loss per utterance out, always in fp32. An infinite loss is reported, never zeroed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from speechxfer.models import TokenTarget

_NOT_LEARNED = -100  # what torch's cross-entropy skips


def ctc_losses(logits: Tensor, lengths: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """Give the CTC loss per label of each utterance.

    Parameters
    ----------
    logits
        `[batch, frames, vocabulary]`, the blank first.
    lengths
        True frames of each utterance, `[batch]`.
    targets
        Symbol numbers of each utterance.

    Returns
    -------
    torch.Tensor
        float32 `[batch]`: negative log-likelihood of the text divided by its number of symbols; infinite where the text does
        not fit into the frames.
    """
    label_lengths = torch.tensor([len(target) for target in targets], device=logits.device)
    flat = torch.tensor([number for target in targets for number in target], dtype=torch.long, device=logits.device)
    log_probs = logits.float().log_softmax(dim=-1).transpose(0, 1)
    losses = F.ctc_loss(log_probs, flat, lengths, label_lengths, blank=0, reduction="none")
    return losses / label_lengths.clamp_min(1)


def classification_losses(logits: Tensor, targets: Sequence[int], label_smoothing: float) -> Tensor:
    """Give the cross-entropy of each utterance.

    Parameters
    ----------
    logits
        `[batch, labels]`.
    targets
        Label number of each utterance.
    label_smoothing
        Share of the target spread evenly over all labels.

    Returns
    -------
    torch.Tensor
        float32 `[batch]`.
    """
    numbers = torch.tensor(targets, device=logits.device)
    return F.cross_entropy(logits.float(), numbers, reduction="none", label_smoothing=label_smoothing)


def teacher_forcing(targets: Sequence[TokenTarget]) -> tuple[Tensor, Tensor]:
    """Give what the decoder is given, and what it should answer to each token, for several utterances.

    Parameters
    ----------
    targets
        One per utterance.

    Returns
    -------
    decoder_input_ids
        int64 `[batch, tokens]`: prompt and answer without its end; padded with the start token, which no one sees.
    labels
        int64 `[batch, tokens]`: the token that follows each, -100 where the prompt or nothing does.
    """
    longest = max(len(prompt) + len(answer) for prompt, answer in targets) - 1
    given = torch.full((len(targets), longest), targets[0].prompt[0])
    labels = torch.full((len(targets), longest), _NOT_LEARNED)
    for row, (prompt, answer) in enumerate(targets):
        last = len(prompt) + len(answer) - 1
        given[row, :last] = torch.tensor([*prompt, *answer[:-1]])
        labels[row, len(prompt) - 1 : last] = torch.tensor(answer)
    return given, labels


def seq2seq_losses(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Give the mean cross-entropy per token of each utterance.

    Parameters
    ----------
    logits
        `[batch, tokens, vocabulary]`.
    labels
        int64 `[batch, tokens]`, see `teacher_forcing`.
    label_smoothing
        Share of the target spread evenly over all tokens.

    Returns
    -------
    torch.Tensor
        float32 `[batch]`.
    """
    losses = F.cross_entropy(
        logits.float().transpose(1, 2),
        labels,
        ignore_index=_NOT_LEARNED,
        reduction="none",
        label_smoothing=label_smoothing,
    )
    return losses.sum(dim=1) / (labels != _NOT_LEARNED).sum(dim=1)


def fits(num_frames: int, target: Sequence[int]) -> bool:
    """Tell whether CTC can place a text in so many frames: one per symbol, and one blank between equal neighbours."""
    repeats = sum(first == second for first, second in pairwise(target))
    return len(target) + repeats <= num_frames

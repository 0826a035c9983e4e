"""Features in, what was said or which label it is out: the one way to run a suffix for its answer.

Evaluation and transcription both decode here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speechxfer.data import Vocabulary, plan_batches
from speechxfer.decoding.ctc import Decoder, greedy
from speechxfer.models import Features, InferenceModel, autocast, collate
from speechxfer.transcript import Segment


@dataclass(frozen=True)
class Recognised:
    """What a CTC model heard in one utterance.

    Attributes
    ----------
    segment
        Text, words and times, from the start of the utterance.
    blank_share
        Share of frames whose best symbol is the blank: close to 1 everywhere means a collapsed model.
    """

    segment: Segment
    blank_share: float


def recognise(
    split: InferenceModel,
    features: Sequence[Features],
    vocabulary: Vocabulary,
    precision: str = "fp32",
    batch_frames: int = 6400,
    decoder: Decoder | None = None,
) -> list[Recognised]:
    """Decode utterances.

    Parameters
    ----------
    split
        A CTC model; its suffix is run in evaluation mode.
    features
        At the model's cut, one per utterance.
    vocabulary
        The model's own.
    precision
        `fp32` or `bf16`.
    batch_frames
        Upper bound of padded frames in one forward.
    decoder
        From log-probabilities to a segment; None is greedy.

    Returns
    -------
    list of Recognised
        In the order of `features`.
    """
    answers = []
    for log_probs in ctc_log_probs(split, features, precision, batch_frames):
        blank_share = (log_probs.argmax(dim=-1) == 0).float().mean().item()
        seconds = split.frame_seconds
        segment = decoder(log_probs, seconds) if decoder else greedy(log_probs, vocabulary, seconds)
        answers.append(Recognised(segment, blank_share))
    return answers


def ctc_log_probs(
    split: InferenceModel, features: Sequence[Features], precision: str = "fp32", batch_frames: int = 6400
) -> list[Tensor]:
    """Give the log-probability of each symbol in each frame.

    Parameters
    ----------
    split
        A CTC model; its suffix is run in evaluation mode.
    features
        At the model's cut, one per utterance.
    precision
        `fp32` or `bf16`.
    batch_frames
        Upper bound of padded frames in one forward.

    Returns
    -------
    list of torch.Tensor
        float32 `[frames, vocabulary]` on the CPU, without padding, in the order of `features`.
    """
    found: dict[int, Tensor] = {}
    for rows, logits, lengths in _run(split, features, precision, batch_frames):
        log_probs = logits.float().log_softmax(dim=-1).cpu()
        found |= {row: one[:length].clone() for row, one, length in zip(rows, log_probs, lengths, strict=True)}
    return [found[row] for row in range(len(features))]


def classify(split: InferenceModel, features: Sequence[Features], precision: str = "fp32", batch_frames: int = 6400) -> Tensor:
    """Give the probability of each label.

    Parameters
    ----------
    split
        A classification model; its suffix is run in evaluation mode.
    features
        At the model's cut, one per utterance.
    precision
        `fp32` or `bf16`.
    batch_frames
        Upper bound of padded frames in one forward.

    Returns
    -------
    torch.Tensor
        float32 `[utterances, labels]`, in the order of `features`.
    """
    probabilities: dict[int, Tensor] = {}
    for rows, logits, _ in _run(split, features, precision, batch_frames):
        probabilities |= dict(zip(rows, logits.float().softmax(dim=-1).cpu(), strict=True))
    return torch.stack([probabilities[row] for row in range(len(features))])


@torch.no_grad()
def _run(
    split: InferenceModel, features: Sequence[Features], precision: str, batch_frames: int
) -> Iterator[tuple[list[int], Tensor, list[int]]]:
    """Run the suffix on batches of similar length; gives (rows, logits, frames at the head per row)."""
    split.eval()
    device = split.device
    lengths = split.frame_lengths(torch.tensor([item.input_length for item in features])).tolist()
    for rows in plan_batches(lengths, batch_frames):
        batch = collate([features[row] for row in rows]).to(device)
        with autocast(device, precision):
            logits = split(batch)
        yield rows, logits, [lengths[row] for row in rows]

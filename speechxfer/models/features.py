"""Features of one utterance in, padded batches out: what flows from a prefix, by way of a store, to a suffix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """The prefix's output for one utterance, never padded.

    Attributes
    ----------
    frames
        `[frames, width]` at the cut; for the cut before the encoder the inputs, `[input positions, width]` or `[samples]`; behind
        the encoder of a model that pools over time the means of the layers it pools, `[layers, width]`, and if asked for the
        standard deviations over time after them, `[2 x layers, width]`.
    input_length
        Input positions (mel frames or samples) the utterance had, from which the native forward derives its masks.
    """

    frames: Tensor
    input_length: int

    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> Features:
        """Give them in another precision, and on another device if one is named."""
        return Features(self.frames.to(device=device, dtype=dtype), self.input_length)


@dataclass(frozen=True)
class FeatureBatch:
    """Features of several utterances, padded with zeros.

    Attributes
    ----------
    frames
        `[batch, frames, width]`, or `[batch, samples]` where the features are the waveform itself.
    lengths
        int64 `[batch]`: how many of the frames are an utterance's own.
    input_lengths
        int64 `[batch]`: input positions (mel frames or samples) that each utterance had.
    """

    frames: Tensor
    lengths: Tensor
    input_lengths: Tensor

    def rows(self, part: slice | Tensor) -> FeatureBatch:
        """Give some of the utterances, no longer padded than these need.

        Parameters
        ----------
        part
            Of the batch: a slice, or the rows' numbers, int64 `[rows]`.

        Returns
        -------
        FeatureBatch
            In the order of the rows.
        """
        lengths = self.lengths[part]
        return FeatureBatch(self.frames[part, : int(lengths.max())], lengths, self.input_lengths[part])

    def to(self, device: torch.device) -> FeatureBatch:
        """Move to a device."""
        return FeatureBatch(*(part.to(device, non_blocking=True) for part in (self.frames, self.lengths, self.input_lengths)))


def unpad(hidden: Tensor, lengths: Tensor, input_lengths: Tensor) -> list[Features]:
    """Part a batch into utterances.

    Parameters
    ----------
    hidden
        `[batch, frames, width]`, padded.
    lengths, input_lengths
        int64 `[batch]`, see `FeatureBatch`.

    Returns
    -------
    list of Features
        In their own memory, on the device of the batch.
    """
    return [
        Features(part[:length].clone(), input_length)
        for part, length, input_length in zip(hidden, lengths.tolist(), input_lengths.tolist(), strict=True)
    ]


def collate(features: Sequence[Features]) -> FeatureBatch:
    """Copy features into one batch; forwards write into their input and get no original.

    Parameters
    ----------
    features
        At least one.

    Returns
    -------
    FeatureBatch
        Frames in fp32, on the device where the first of them lies, in the order given; lengths on the CPU.
    """
    first, lengths = features[0].frames, [len(item.frames) for item in features]
    frames = first.new_zeros(len(features), max(lengths), *first.shape[1:], dtype=torch.float32)
    for row, item in enumerate(features):
        frames[row, : lengths[row]] = item.frames
    return FeatureBatch(
        frames,
        torch.tensor(lengths),
        torch.tensor([item.input_length for item in features]),
    )

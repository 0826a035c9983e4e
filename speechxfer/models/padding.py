"""Convolutional stems that see their padding, and how to run them exactly all the same.

A stem with group norm normalises over time, padding included, so a clip's features would depend on its neighbours. Whether a
checkpoint has such a stem is measured, not inferred from its name. If so, the stem runs on clips of equal length only; what lies
above it is masked and runs on the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

_PROBED_SAMPLES = 8_000
_AGREES = 1e-3  # of the features' spread; group norm misses it a hundredfold, rounding does not come near


@torch.no_grad()
def sees_padding(stem: nn.Module) -> bool:
    """Measure whether a stem, `[batch, samples]` to `[batch, width, frames]`, gives a clip other features when it is padded."""
    parameter = next(stem.parameters())
    noise = torch.randn(1, _PROBED_SAMPLES, generator=torch.Generator().manual_seed(0)).to(parameter)
    was_training = stem.training
    stem.eval()
    alone, padded = stem(noise), stem(nn.functional.pad(noise, (0, _PROBED_SAMPLES)))
    stem.train(was_training)
    difference = (alone - padded[..., : alone.shape[-1]]).abs().max()
    return bool(difference > _AGREES * alone.std())


def in_equal_lengths(stem: Callable[[Tensor], Tensor], samples: Tensor, lengths: Tensor) -> Tensor:
    """Run a stem on each group of equally long clips.

    Parameters
    ----------
    stem
        From `[batch, samples]` to `[batch, width, frames]`.
    samples
        `[batch, samples]`, padded.
    lengths
        True samples of each clip, `[batch]`.

    Returns
    -------
    torch.Tensor
        `[batch, width, frames]`, padded with zeros.
    """
    frames: dict[int, Tensor] = {}
    for length in lengths.unique().tolist():
        rows = (lengths == length).nonzero().flatten()
        frames |= dict(zip(rows.tolist(), stem(samples[rows, :length]).transpose(1, 2), strict=True))
    return pad_sequence([frames[row] for row in range(len(samples))], batch_first=True).transpose(1, 2)

"""What sees its padding, and how to run it exactly all the same: on clips of equal length only.

A stem with group norm normalises over time, padding included, so a clip's features would depend on its neighbours. Whether a
checkpoint has such a stem is measured, not inferred from its name. What lies above it is masked and runs on the whole batch, but
for families whose padding class says that it would not be exact either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

Row = TypeVar("Row")

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
    parts = [(rows, stem(samples[rows, : int(lengths[rows[0]])]).transpose(1, 2)) for rows in rows_of_equal_length(lengths)]
    return pad_sequence(in_order(parts), batch_first=True).transpose(1, 2)


def rows_of_equal_length(lengths: Tensor) -> list[Tensor]:
    """Give the rows `[group]` of each group of equal lengths, of lengths `[batch]`."""
    return [(lengths == length).nonzero().flatten() for length in lengths.unique()]


def in_order(parts: Iterable[tuple[Tensor, Iterable[Row]]]) -> list[Row]:
    """Put what was computed in groups, each with its rows, back into the order of the batch."""
    by_row = {row: made for rows, group in parts for row, made in zip(rows.tolist(), group, strict=True)}
    return [by_row[row] for row in sorted(by_row)]

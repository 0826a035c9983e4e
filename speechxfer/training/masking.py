"""SpecAugment at the cut: a padded batch `[batch, frames, width]` in, the same with stretches set to zero out."""

from __future__ import annotations

import numpy as np
import torch

from speechxfer.models import FeatureBatch
from speechxfer.recipe import AugmentSection


def mask_features(batch: FeatureBatch, section: AugmentSection, random: np.random.Generator) -> FeatureBatch:
    """Mask time and feature stretches of each utterance within its own length.

    Parameters
    ----------
    batch
        A copy that may be written to.
    section
        Numbers and sizes of the masks; all time masks together cover at most `time_mask_share` of an utterance.
    random
        Draws positions and sizes.

    Returns
    -------
    FeatureBatch
        The same memory, masked.
    """
    width = batch.frames.shape[-1]
    keep = np.ones(batch.frames.shape[:2], dtype=np.float32)
    keep_width = np.ones((len(batch.lengths), width), dtype=np.float32)
    for row, length in enumerate(batch.lengths.tolist()):
        if section.time_masks:
            longest = min(section.time_mask_frames, int(length * section.time_mask_share / section.time_masks))
            for size in random.integers(0, longest + 1, section.time_masks):
                start = random.integers(0, length - size + 1)
                keep[row, start : start + size] = 0
        for size in random.integers(0, min(section.feature_mask_width, width) + 1, section.feature_masks):
            start = random.integers(0, width - size + 1)
            keep_width[row, start : start + size] = 0
    if section.time_masks:
        batch.frames.mul_(torch.from_numpy(keep)[..., None])
    if section.feature_masks:
        batch.frames.mul_(torch.from_numpy(keep_width)[:, None])
    return batch

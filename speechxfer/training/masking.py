"""SpecAugment at the cut: a padded batch `[batch, frames, width]` in, the same with stretches set to zero out.

Below a waveform model the batch is `[batch, samples]`; it has no features to mask, only time.
"""

from __future__ import annotations

import numpy as np
import torch

from speechxfer.models import FeatureBatch
from speechxfer.recipe import AugmentSection


def mask_features(
    batch: FeatureBatch, section: AugmentSection, frame_seconds: float, random: np.random.Generator
) -> FeatureBatch:
    """Mask time and feature stretches of each utterance within its own length.

    Parameters
    ----------
    batch
        A copy that may be written to.
    section
        How many masks and how long at most; a single time mask never covers more than half of a clip, so that one-word clips
        survive it.
    frame_seconds
        Time between two frames of the batch.
    random
        Draws positions and sizes.

    Returns
    -------
    FeatureBatch
        The same memory, masked.
    """
    device, is_waveform = batch.frames.device, batch.frames.ndim == 2
    width, feature_masks = (1, 0) if is_waveform else (batch.frames.shape[-1], section.feature_masks)
    keep = np.ones(batch.frames.shape[:2], dtype=np.float32)
    keep_width = np.ones((len(batch.lengths), width), dtype=np.float32)
    for row, length in enumerate(batch.lengths.tolist()):
        if section.time_masks_per_second:
            longest = min(round(section.time_mask_seconds / frame_seconds), length // 2)
            count = max(1, round(section.time_masks_per_second * length * frame_seconds))
            for size in random.integers(0, longest + 1, count):
                start = random.integers(0, length - size + 1)
                keep[row, start : start + size] = 0
        for size in random.integers(0, min(section.feature_mask_width, width) + 1, feature_masks):
            start = random.integers(0, width - size + 1)
            keep_width[row, start : start + size] = 0
    if section.time_masks_per_second:
        batch.frames.mul_(torch.from_numpy(keep if is_waveform else keep[..., None]).to(device))
    if feature_masks:
        batch.frames.mul_(torch.from_numpy(keep_width)[:, None].to(device))
    return batch

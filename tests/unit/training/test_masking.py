"""Masks at the cut: inside each utterance's own length, no more than their share, repeatable."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.models import FeatureBatch
from speechxfer.recipe import AugmentSection
from speechxfer.training.masking import mask_features

WIDTH = 6


@pytest.fixture(scope="module")
def masked():
    """Return a function that masks ones; the padding is ones too, so that a mask in it would show."""

    def mask(lengths: list[int], seed: int = 0, **options) -> torch.Tensor:
        frames = torch.ones(len(lengths), max(lengths) + 2, WIDTH)
        batch = FeatureBatch(frames, torch.tensor(lengths), torch.tensor(lengths) * 320)
        result = mask_features(batch, AugmentSection(**options), np.random.default_rng(seed))
        assert result.lengths.tolist() == lengths
        return result.frames

    return mask


LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 5), st.integers(1, 40), st.floats(0, 1), st.integers(0, 99))
def test_time_masks_stay_inside_and_within_their_share(masked, lengths, masks, frames, share, seed):
    options = {"time_masks": masks, "time_mask_frames": frames, "time_mask_share": share}
    result = masked(lengths, seed, **options)
    assert set(result.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(result, result[..., :1].expand_as(result))  # whole frames
    for row, length in enumerate(lengths):
        assert result[row, length:].min() == 1
        hidden = int((result[row, :, 0] == 0).sum())
        assert hidden <= min(share * length, masks * frames)
    assert torch.equal(masked(lengths, seed, **options), result)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 4), st.integers(1, 40), st.integers(0, 99))
def test_feature_masks_hide_whole_features(masked, lengths, masks, width, seed):
    result = masked(lengths, seed, feature_masks=masks, feature_mask_width=width)
    for row, length in enumerate(lengths):
        assert torch.equal(result[row, :length], result[row, :1].expand(length, WIDTH))
        assert int((result[row, 0] == 0).sum()) <= masks * width


def test_masks_do_hide_something_and_differ_by_row_and_draw(masked):
    options = {"time_masks": 2, "time_mask_frames": 10, "time_mask_share": 0.5, "feature_masks": 1, "feature_mask_width": 3}
    results = [masked([50] * 4, seed, **options) for seed in range(20)]
    assert sum(float((result == 0).float().mean()) for result in results) / 20 > 0.1
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[0][0], results[0][1])
    # Every frame may be hidden, the first and the last too.
    hidden = torch.stack([(result[:, :50] == 0).all(dim=-1) for result in results]).any(dim=0).any(dim=0)
    assert hidden.float().mean() > 0.9


def test_the_share_is_reached(masked):
    most = max(
        int((masked([100], seed, time_masks=1, time_mask_frames=99, time_mask_share=0.2)[0, :, 0] == 0).sum())
        for seed in range(60)
    )
    assert most == 20


def test_without_masks_nothing_changes(masked):
    assert masked([5, 1]).min() == 1


@pytest.mark.parametrize("options", [{"time_masks": 3}, {"feature_masks": 3}, {"time_masks": 1, "time_mask_share": 1.0}])
def test_one_frame_does_not_crash(masked, options):
    assert masked([1, 1], **options).shape == (2, 3, WIDTH)

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
FRAME = 0.02  # seconds


@pytest.fixture(scope="module")
def masked():
    """Return a function that masks ones; the padding is ones too, so that a mask in it would show."""

    def mask(lengths: list[int], seed: int = 0, **options) -> torch.Tensor:
        frames = torch.ones(len(lengths), max(lengths) + 2, WIDTH)
        batch = FeatureBatch(frames, torch.tensor(lengths), torch.tensor(lengths) * 320)
        result = mask_features(batch, AugmentSection(**options), FRAME, np.random.default_rng(seed))
        assert result.lengths.tolist() == lengths
        return result.frames

    return mask


LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@settings(deadline=None)
@given(LENGTHS, st.floats(0.01, 5), st.floats(0.001, 1), st.integers(0, 99))
def test_time_masks_stay_inside_and_within_their_share(masked, lengths, masks, seconds, seed):
    options = {"time_masks_per_second": masks, "time_mask_seconds": seconds}
    result = masked(lengths, seed, **options)
    assert set(result.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(result, result[..., :1].expand_as(result))  # whole frames
    for row, length in enumerate(lengths):
        assert result[row, length:].min() == 1
        hidden = int((result[row, :, 0] == 0).sum())
        count = max(1, round(masks * length * FRAME))
        assert hidden <= count * min(round(seconds / FRAME), length // 2)
    assert torch.equal(masked(lengths, seed, **options), result)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 4), st.integers(1, 40), st.integers(0, 99))
def test_feature_masks_hide_whole_features(masked, lengths, masks, width, seed):
    result = masked(lengths, seed, feature_masks=masks, feature_mask_width=width)
    for row, length in enumerate(lengths):
        assert torch.equal(result[row, :length], result[row, :1].expand(length, WIDTH))
        assert int((result[row, 0] == 0).sum()) <= masks * width


def test_masks_do_hide_something_and_differ_by_row_and_draw(masked):
    options = {"time_masks_per_second": 2, "time_mask_seconds": 0.2, "feature_masks": 1, "feature_mask_width": 3}
    results = [masked([50] * 4, seed, **options) for seed in range(20)]
    assert sum(float((result == 0).float().mean()) for result in results) / 20 > 0.1
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[0][0], results[0][1])
    # Every frame may be hidden, the first and the last too.
    hidden = torch.stack([(result[:, :50] == 0).all(dim=-1) for result in results]).any(dim=0).any(dim=0)
    assert hidden.float().mean() > 0.9


@pytest.mark.parametrize(("length", "seconds", "longest"), [(100, 99.0, 50), (100, 0.4, 20), (5, 99.0, 2)])
def test_one_mask_covers_at_most_half_and_at_most_its_seconds(masked, length, seconds, longest):
    options = {"time_masks_per_second": 0.01, "time_mask_seconds": seconds}  # one mask, however short the clip
    assert max(int((masked([length], seed, **options)[0, :, 0] == 0).sum()) for seed in range(300)) == longest


@pytest.mark.parametrize("frame", [0.01, 0.02, 0.08])
def test_masks_are_as_many_and_as_long_whatever_the_frame(frame):
    # A hundred seconds with one mask a second: what is hidden is a share of time, not of frames.
    batch = FeatureBatch(torch.ones(1, round(100 / frame), 1), torch.tensor([round(100 / frame)]), torch.tensor([1_600_000]))
    section = AugmentSection(time_masks_per_second=1, time_mask_seconds=0.32)
    hidden = (mask_features(batch, section, frame, np.random.default_rng(0)).frames == 0).float().mean()
    assert float(hidden) == pytest.approx(1 - np.exp(-0.16), abs=0.04)


def test_a_waveform_is_masked_in_time_only():
    batch = FeatureBatch(torch.ones(2, 16_000), torch.tensor([16_000, 8_000]), torch.tensor([16_000, 8_000]))
    section = AugmentSection(time_masks_per_second=4, time_mask_seconds=0.1, feature_masks=3)
    result = mask_features(batch, section, 1 / 16_000, np.random.default_rng(0)).frames
    assert 0 < int((result[0] == 0).sum()) <= 4 * 1_600
    assert 0 < int((result[1, :8_000] == 0).sum()) <= 2 * 1_600 and result[1, 8_000:].min() == 1


def test_without_masks_nothing_changes(masked):
    assert masked([5, 1]).min() == 1


@pytest.mark.parametrize("options", [{"time_masks_per_second": 3}, {"feature_masks": 3}, {"time_masks_per_second": 100}])
def test_one_frame_does_not_crash(masked, options):
    assert masked([1, 1], **options).shape == (2, 3, WIDTH)

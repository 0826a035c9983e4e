"""Heads: the BLSTM is torch's own bidirectional LSTM per clip; pooling sees true frames only; all in fp32."""

import pytest
import torch
from torch import nn

from speechxfer.models.heads import BlstmCtcHead, LinearCtcHead, PooledClassificationHead

LENGTHS = torch.tensor([3, 7, 5])


@pytest.fixture
def hidden():
    torch.manual_seed(0)
    return torch.randn(3, 7, 6)


def bidirectional(head):
    """Build torch's two-layer bidirectional LSTM with the head's weights."""
    reference = nn.LSTM(6, 4, num_layers=2, bidirectional=True, batch_first=True)
    for layer, (ahead, back) in enumerate(zip(head.forwards, head.backwards, strict=True)):
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(reference, f"{kind}_l{layer}").data.copy_(getattr(ahead, f"{kind}_l0"))
            getattr(reference, f"{kind}_l{layer}_reverse").data.copy_(getattr(back, f"{kind}_l0"))
    return reference


def test_blstm_equals_torch_on_each_clip_alone(hidden):
    head = BlstmCtcHead(6, 4, 5, dropout=0.0)
    reference = bidirectional(head)
    together = head(hidden, LENGTHS)
    for row, length in enumerate(LENGTHS):
        alone = head.output(reference(hidden[row : row + 1, :length])[0])
        torch.testing.assert_close(together[row : row + 1, :length], alone)


def test_padding_holds_nothing_that_counts(hidden):
    garbage = hidden.clone()
    garbage[0, 3:] = 1e3
    garbage[2, 5:] = -1e3
    pooled = PooledClassificationHead(6, 5, 0.0)
    for head in (BlstmCtcHead(6, 4, 5, 0.0), LinearCtcHead(6, 5, 0.0), lambda layer, lengths: pooled([layer], lengths)):
        clean, dirty = head(hidden, LENGTHS), head(garbage, LENGTHS)
        for row, length in enumerate(LENGTHS):
            real = slice(length) if clean.ndim == 3 else slice(None)
            torch.testing.assert_close(clean[row][real], dirty[row][real])


def test_pooling_is_the_mean_of_true_frames(hidden):
    pooled = PooledClassificationHead.pool([hidden, 2 * hidden], LENGTHS)
    for row, length in enumerate(LENGTHS):
        mean = hidden[row, :length].mean(dim=0)
        torch.testing.assert_close(pooled[row], torch.stack([mean, 2 * mean]))


def test_layers_are_weighed_after_each_is_standardised(hidden):
    layers = [hidden, 1000 * hidden.flip(0) + 5]
    head = PooledClassificationHead(6, 5, 0.0, num_layers=2)
    pooled = head.pool(layers, LENGTHS)
    head.standardise(pooled)
    with torch.no_grad():
        head.layer_weights.copy_(torch.tensor([0.3, 0.7]).log())
    alone = [(part - part.mean(dim=0)) / part.std(dim=0, correction=0) for part in pooled.unbind(dim=1)]
    torch.testing.assert_close(head(layers, LENGTHS), head.output(0.3 * alone[0] + 0.7 * alone[1]), atol=1e-5, rtol=1e-4)


def test_standardised_features_have_mean_zero_and_spread_one():
    head = PooledClassificationHead(6, 6, 0.0)
    clips = torch.randn(50, 1, 6) * 100 + 7
    head.standardise(clips)
    nn.init.eye_(head.output.weight)
    nn.init.zeros_(head.output.bias)
    logits = head([clips], torch.ones(50, dtype=torch.long))
    torch.testing.assert_close(logits.mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(logits.std(dim=0, correction=0), torch.ones(6))


def test_a_constant_feature_does_not_divide_by_zero():
    head = PooledClassificationHead(2, 2, 0.0)
    head.standardise(torch.ones(5, 1, 2))
    assert torch.isfinite(head([torch.ones(1, 1, 2)], torch.tensor([1]))).all()


@pytest.mark.parametrize("make", [lambda: BlstmCtcHead(6, 4, 5, 0.0), lambda: LinearCtcHead(6, 5, 0.0)])
def test_heads_compute_in_fp32_under_autocast(hidden, make):
    head = make()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(head(hidden, LENGTHS), head(hidden.float(), LENGTHS))
        assert head(hidden, LENGTHS).dtype == torch.float32

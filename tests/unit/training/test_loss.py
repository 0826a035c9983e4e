"""Losses: equal to the sum over all alignments, infinite where a text does not fit, the same alone and padded."""

from itertools import groupby, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.models import TokenTarget
from speechxfer.training.loss import classification_losses, ctc_losses, fits, seq2seq_losses, teacher_forcing

TARGET = st.lists(st.integers(1, 2), max_size=4)


def brute_force(log_probs: torch.Tensor, target: list[int]) -> float:
    """Sum the probabilities of all paths that spell the target."""
    paths = product(range(log_probs.shape[1]), repeat=len(log_probs))
    spelt = [path for path in paths if [number for number, _ in groupby(path) if number] == target]
    scores = [sum(log_probs[frame, number] for frame, number in enumerate(path)) for path in spelt]
    return -torch.stack(scores).logsumexp(0).item() if scores else float("inf")


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), TARGET, st.integers(0, 1000))
def test_the_loss_is_the_sum_over_all_alignments_per_label(frames, target, seed):
    logits = torch.randn(frames, 3, generator=torch.Generator().manual_seed(seed))
    [loss] = ctc_losses(logits[None], torch.tensor([frames]), [target])
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(brute_force(logits.log_softmax(-1), target) / max(1, len(target)), rel=1e-4)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 8), st.lists(st.integers(1, 3), max_size=8))
def test_fits_agrees_with_a_finite_loss(frames, target):
    [loss] = ctc_losses(torch.zeros(1, frames, 4), torch.tensor([frames]), [target])
    assert fits(frames, target) == bool(torch.isfinite(loss))
    assert torch.isfinite(loss) or loss == torch.inf  # infinite, and neither zeroed nor undefined


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 12), TARGET), min_size=1, max_size=5))
def test_alone_equals_padded(rows):
    lengths, targets = [frames for frames, _ in rows], [target for _, target in rows]
    generator = torch.Generator().manual_seed(0)
    alone = [torch.randn(frames, 3, generator=generator) for frames in lengths]
    # What stands in the padding must not matter.
    padded = torch.full((len(rows), max(lengths) + 3, 3), 1e4)
    padded[..., 1:] = -1e4
    for row, logits in enumerate(alone):
        padded[row, : lengths[row]] = logits
    together = ctc_losses(padded, torch.tensor(lengths), targets)
    for row, logits in enumerate(alone):
        [single] = ctc_losses(logits[None], torch.tensor([lengths[row]]), [targets[row]])
        torch.testing.assert_close(together[row], single)


def test_one_infinite_loss_leaves_the_others():
    losses = ctc_losses(torch.zeros(3, 2, 4), torch.tensor([2, 2, 2]), [[1, 2], [1, 1], [3]])
    assert torch.isfinite(losses).tolist() == [True, False, True]


def test_texts_without_any_known_symbol():
    # A loss of blanks only; also when no text of the batch has a symbol.
    logits = torch.zeros(2, 3, 4)
    losses = ctc_losses(logits, torch.tensor([3, 2]), [[], []])
    torch.testing.assert_close(losses, torch.log(torch.tensor(4.0)) * torch.tensor([3.0, 2.0]))


def test_half_precision_logits_are_computed_in_fp32():
    logits = torch.randn(1, 50, 30, generator=torch.Generator().manual_seed(0)).bfloat16()
    [low], [full] = (ctc_losses(each, torch.tensor([50]), [[5, 6, 7]]) for each in (logits, logits.float()))
    assert low.dtype == torch.float32
    assert low == full


@pytest.mark.parametrize(
    ("frames", "target", "expected"),
    [
        (0, [], True),
        (0, [1], False),
        (2, [1, 2], True),
        (2, [1, 1], False),
        (3, [1, 1], True),
        (4, [1, 1, 1], False),
        (5, [1, 1, 1], True),
    ],
)
def test_fits(frames, target, expected):
    assert fits(frames, target) is expected


def test_classification_losses():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 5.0]])
    log_probs = logits.log_softmax(-1)
    torch.testing.assert_close(classification_losses(logits, [0, 1], 0.0), -log_probs[[0, 1], [0, 1]])
    smooth = -0.7 * log_probs[[0, 1], [0, 1]] - 0.3 * log_probs.mean(-1)
    torch.testing.assert_close(classification_losses(logits, [0, 1], 0.3), smooth)
    assert classification_losses(logits.bfloat16(), [0, 1], 0.0).dtype == torch.float32


def test_a_decoder_learns_its_answer_and_not_its_prompt():
    given, labels = teacher_forcing([TokenTarget([7, 8], [1, 2, 9]), TokenTarget([7, 8], [3, 9])])
    assert given.tolist() == [[7, 8, 1, 2], [7, 8, 3, 7]]
    assert labels.tolist() == [[-100, 1, 2, 9], [-100, 3, 9, -100]]


def test_seq2seq_loss_is_the_mean_over_the_answer_alone_or_in_a_batch():
    torch.manual_seed(0)
    _, labels = teacher_forcing([TokenTarget([7, 8], [1, 2, 9]), TokenTarget([7, 8], [3, 9])])
    logits = torch.randn(2, 4, 10)
    losses = seq2seq_losses(logits, labels, 0.0)
    log_probs = logits.log_softmax(dim=-1)
    assert losses[0].item() == pytest.approx(-(log_probs[0, 1, 1] + log_probs[0, 2, 2] + log_probs[0, 3, 9]).item() / 3)
    assert losses[1].item() == pytest.approx(-(log_probs[1, 1, 3] + log_probs[1, 2, 9]).item() / 2)
    smoothed = seq2seq_losses(logits, labels, 0.1)[1].item()
    spread = -(log_probs[1, 1].mean() + log_probs[1, 2].mean()).item() / 2
    assert smoothed == pytest.approx(0.9 * losses[1].item() + 0.1 * spread)

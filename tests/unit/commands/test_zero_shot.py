"""Zero-shot: CTC probabilities against summing over all paths by hand, and what must be told apart."""

import itertools

import numpy as np
import pytest
import torch

from speechxfer.commands import PhraseScorer
from speechxfer.data import Vocabulary
from speechxfer.errors import DataError

VOCABULARY = Vocabulary((" ", "a", "b"))


def random_log_probs(frames: int, seed: int = 0, symbols: int = 4) -> torch.Tensor:
    return torch.randn(frames, symbols, generator=torch.Generator().manual_seed(seed)).mul(2).log_softmax(dim=-1)


def by_hand(log_probs: torch.Tensor, target: list[int]) -> float:
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if [symbol for symbol, _ in itertools.groupby(path) if symbol] == target:
            total += float(np.exp(sum(log_probs[frame, symbol].item() for frame, symbol in enumerate(path))))
    return float(np.log(total))


def saying(text: str, frames_each: int = 2, sure: float = 8.0) -> torch.Tensor:
    numbers = [number for symbol in VOCABULARY.encode(text) for number in [symbol] * frames_each + [0]]
    logits = torch.zeros(len(numbers), 4)
    logits[range(len(numbers)), numbers] = sure
    return logits.log_softmax(dim=-1)


def test_likelihood_is_the_sum_over_all_paths():
    scorer = PhraseScorer(VOCABULARY, ["ab", "aa", "b"])
    clips = [random_log_probs(5), random_log_probs(4, seed=1)]
    found = scorer.log_likelihoods(clips)
    for clip, row in zip(clips, found, strict=True):
        background = clip.max(dim=-1).values.sum().item()
        expected = [by_hand(clip, target) - background for target in ([2, 3], [2, 2], [3])]
        assert row == pytest.approx(expected, abs=1e-5)


def test_a_clip_alone_equals_a_clip_in_a_batch():
    scorer = PhraseScorer(VOCABULARY, ["ab", "b a"])
    clips = [random_log_probs(frames, seed=frames) for frames in (3, 9, 30)]
    together = scorer.log_likelihoods(clips)
    assert together == pytest.approx(np.concatenate([scorer.log_likelihoods([clip]) for clip in clips]), abs=1e-9)


@pytest.mark.parametrize("said", ["a", "ab", "a b", "abba"])
def test_prefix_pairs_are_told_apart(said):
    scorer = PhraseScorer(VOCABULARY, ["a", "ab", "a b", "abba"])
    (heard,) = scorer.recognise([saying(said)])
    assert heard.phrase == said and heard.probability > 0.99 and heard.score > -0.1


def test_something_else_scores_far_below():
    scorer = PhraseScorer(VOCABULARY, ["ab", "aab"])
    heard, other = scorer.recognise([saying("ab"), saying("ba b")])
    assert heard.score > -0.1 > -1.0 > other.score


def test_running_speech_is_searched():
    scorer = PhraseScorer(VOCABULARY, ["abab", "bb"])
    speech = saying("b a abab a b")
    assert scorer.recognise([speech])[0].score < -1.0
    (found,) = scorer.find([speech])
    assert found.phrase == "abab" and found.score > -0.5


def test_a_clip_too_short_for_every_phrase_is_no_error():
    (heard,) = PhraseScorer(VOCABULARY, ["abab", "baba"]).recognise([random_log_probs(2)])
    assert heard.score == -np.inf and heard.probability == 0.5


def test_all_bad_phrases_are_named_at_once():
    with pytest.raises(DataError) as error:
        PhraseScorer(VOCABULARY, ["ab", " ", "axy", "AB"])
    assert len(error.value.problems) == 3
    assert "'axy': the model cannot write 'x', 'y'" in str(error.value) and "' ' is empty" in str(error.value)
    assert "'ab' is given twice" in str(error.value)

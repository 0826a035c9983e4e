"""The guard decides: intact, broken or undecided, with the words that would decide."""

import numpy as np
import pytest

from speechxfer.evaluation import RowErrors, halves, judge


def pair(loss, speakers=40, each=10, words=100, seed=0):
    """Give errors before and after, of speakers who lose `loss` on average, some more, some less."""
    random = np.random.default_rng(seed)
    names = [f"s{number}" for number in range(speakers) for _ in range(each)]
    lost = np.repeat(random.normal(loss, 0.01, speakers), each)
    before = random.binomial(words, 0.2, len(names))
    after = (before + random.binomial(words, np.abs(lost)) * np.sign(lost)).clip(0).astype(int)
    sizes = [words] * len(names)
    return (RowErrors(list(map(int, errors)), sizes, names, "speaker", "error", names, names) for errors in (before, after))


@pytest.mark.parametrize(("loss", "outcome"), [(0.0, "intact"), (-0.05, "intact"), (0.05, "broken")])
def test_a_clear_case_is_decided(loss, outcome):
    verdict = judge(*pair(loss), 0.01)
    assert verdict.outcome == outcome and verdict.sentence.startswith(f"{outcome}: ") and verdict.words_needed is None
    lower, upper = verdict.difference.interval
    assert upper < 0.01 if outcome == "intact" else lower > 0.01


def test_a_loss_at_the_limit_is_undecided_and_says_how_much_would_decide():
    few = judge(*pair(0.005, speakers=10, each=4), 0.01)
    assert few.outcome == "undecided" and few.difference.interval[0] < 0.01 < few.difference.interval[1]
    assert few.words == 4_000 < few.words_needed
    assert f"some {few.words_needed} words" not in few.sentence and f"some {few.words_needed} labels would decide" in few.sentence
    speakers = 10 * round(1.3 * few.words_needed / few.words)
    assert judge(*pair(0.005, speakers=speakers, each=4), 0.01).outcome == "intact"


def test_where_no_set_would_decide_no_size_is_named():
    errors = [*pair(0.005, speakers=10, each=4)]
    loss = judge(*errors, 0.01).difference.difference
    verdict = judge(*errors, loss + 1e-5)
    assert verdict.outcome == "undecided" and verdict.words_needed > 20 * verdict.words
    assert str(verdict.words_needed) not in verdict.sentence and "so near the limit" in verdict.sentence


def test_seven_speakers_decide_nothing():
    verdict = judge(*pair(0.3, speakers=7), 0.01)
    assert verdict.outcome == "undecided" and "it takes 8 speakers" in verdict.sentence
    assert verdict.words_needed >= verdict.words * 8 / 7


def test_halves_part_speakers_and_not_utterances():
    before, after = pair(0.0, speakers=31)
    first, second = halves(before)
    names = [{before.blocks[row] for row in rows} for rows in (first, second)]
    assert names[0].isdisjoint(names[1]) and (len(names[0]), len(names[1])) == (16, 15)
    assert sorted(first + second) == list(range(310))
    part = after.select(first)
    assert halves(after) == (first, second) and list(part.errors) == [after.errors[row] for row in first]

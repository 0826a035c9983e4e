"""The verdict: better, worse or no evidence; for whom; and never over a handful of speakers."""

import numpy as np
import pytest
import scipy.stats

from speechxfer.data import Manifest
from speechxfer.evaluation import RowErrors, compare, mapsswe, score_answers


def rows(errors, speakers, groups=None, words=10):
    return RowErrors(errors, [words] * len(errors), speakers, "speaker", "error", speakers, speakers, groups or {})


def speakers(count, each=4):
    return [f"s{number}" for number in range(count) for _ in range(each)]


def test_a_clear_gain_is_called_better_and_its_reverse_worse():
    names = speakers(12)
    random = np.random.default_rng(0)
    before, after = rows(random.integers(4, 7, 48), names), rows(random.integers(1, 4, 48), names)
    verdict = compare(before, after)
    assert verdict.overall.outcome == "better" and verdict.overall.over == "speaker" and verdict.overall.blocks == 12
    assert verdict.overall.difference == pytest.approx((sum(after.errors) - sum(before.errors)) / 480)
    assert verdict.overall.interval[0] < verdict.overall.difference < verdict.overall.interval[1] < 0
    assert verdict.overall.effect_size < -1
    assert verdict.sentence.startswith("better by ") and "over 12 speakers" in verdict.sentence
    back = compare(after, before)
    assert back.overall.outcome == "worse" and back.overall.p == verdict.overall.p
    assert back.overall.difference == -verdict.overall.difference


def test_the_same_answers_are_no_evidence():
    same = rows([1, 2, 3, 0] * 10, speakers(10))
    verdict = compare(same, same)
    assert (verdict.overall.outcome, verdict.overall.difference, verdict.overall.p) == ("no evidence", 0.0, 1.0)
    assert verdict.overall.effect_size is None
    assert verdict.sentence.startswith("no evidence of a difference")


@pytest.mark.parametrize(("count", "outcome"), [(7, "no evidence"), (8, "better")])
def test_few_speakers_prove_nothing_however_large_the_gain(count, outcome):
    names = speakers(count, each=100)
    verdict = compare(rows([9] * len(names), names), rows([0] * len(names), names))
    assert verdict.overall.outcome == outcome
    if outcome == "no evidence":
        assert verdict.sentence.startswith("no evidence over speakers: 7 speakers only, and it takes 8")


def test_groups_are_corrected_for_their_number_and_harm_is_named():
    names = speakers(40, each=2)
    hurt = [row for row, name in enumerate(names) if int(name[1:]) < 10]
    others = [row for row in range(80) if row not in hurt]
    groups = {"accent": {"north": hurt, "south": others}}
    before = rows([5] * 80, names, groups)
    after = rows([8 if row in hurt else 1 for row in range(80)], names, groups)
    verdict = compare(before, after)
    north, south = verdict.groups["accent"]["north"], verdict.groups["accent"]["south"]
    assert (verdict.overall.outcome, north.outcome, south.outcome) == ("better", "worse", "better")
    assert verdict.sentence.endswith("but worse for accent north")
    assert north.p == pytest.approx(2 / 2**10)  # all signs alike; the larger of two, so not doubled
    assert south.p == pytest.approx(2 * 1 / 10_001)


def test_only_the_same_utterances_are_compared():
    with pytest.raises(ValueError, match="the same utterances"):
        compare(rows([1, 2], ["a", "b"]), rows([1, 2], ["a", "c"]))


def test_mapsswe_counts_errors_between_words_that_both_have_right():
    reference = "a b c d e f g h i"
    first = "a x c d e f g h i"  # one error, then three words right: a segment of its own
    second = "a b c d e y z h i"  # two errors in a second segment
    test = mapsswe([reference], [first], [second])
    assert (test.segments, test.mean_difference) == (2, 0.5)  # -1 and +2
    # One word right between two errors parts nothing.
    assert mapsswe(["a b c d e"], ["x b y d e"], ["a b c d e"]).segments == 1
    assert mapsswe(["a b c d e"], ["x b c y e"], ["a b c d e"]).segments == 2
    # An insertion between two right words is an error there.
    assert mapsswe(["a b c d"], ["a b new c d"], ["a b c d"]).mean_difference == -1
    assert mapsswe(["a b"], ["a b"], ["a b"]).p == 1.0
    assert mapsswe(["", "a b"], ["noise", "a b"], ["", "a b"]).segments == 0


def test_mapsswe_is_the_z_test_of_its_segments():
    random = np.random.default_rng(0)
    references = ["a b c d e f"] * 200
    first, second = (["a b x d e f" if random.random() < share else "a b c d e f" for _ in references] for share in (0.5, 0.3))
    differences = [int("x" in b) - int("x" in a) for a, b in zip(first, second, strict=True) if "x" in a + b]
    z = np.mean(differences) / (np.std(differences, ddof=1) / np.sqrt(len(differences)))
    test = mapsswe(references, first, second)
    assert test.segments == len(differences)
    assert test.p == pytest.approx(2 * scipy.stats.norm.sf(abs(z))) and test.p < 0.01


def test_unknown_speakers_are_one_and_a_set_without_any_is_drawn_by_utterance():
    texts = ["a", "b", "c", "d"]
    columns = {"id": texts, "audio": texts, "text": texts, "speaker": ["x", "", "y", ""]}
    rows = score_answers(Manifest(columns, "m", range(4)), texts).rows
    assert (rows.block, [*rows.blocks]) == ("speaker", ["x", "unknown", "y", "unknown"])
    rows = score_answers(Manifest(columns | {"speaker": [""] * 4}, "m", range(4)), texts).rows
    assert (rows.block, len({*rows.blocks})) == ("utterance", 4)

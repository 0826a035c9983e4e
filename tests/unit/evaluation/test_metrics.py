"""Error counts equal jiwer's pooled counts; confusion and F1 equal scikit-learn's; empty references are counted."""

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from speechxfer.evaluation import ErrorCounts, TermCounts, character_errors, right_words, term_counts, total, word_errors
from speechxfer.evaluation.metrics import confusion, macro_f1

SENTENCE = st.lists(st.sampled_from(["a", "b", "ab", "și", "क्या", "don't"]), max_size=6).map(" ".join)
SETS = st.lists(st.tuples(SENTENCE.filter(bool), SENTENCE), min_size=1, max_size=8)


@settings(deadline=None)
@given(SETS)
def test_pooled_counts_equal_jiwer(pairs):
    references, hypotheses = (list(column) for column in zip(*pairs, strict=True))
    for ours, theirs, rate in [
        (word_errors, jiwer.process_words, jiwer.wer),
        (character_errors, jiwer.process_characters, jiwer.cer),
    ]:
        counts = ours(references, hypotheses)
        assert len(counts) == len(pairs)
        pooled, expected = total(counts), theirs(references, hypotheses)
        assert pooled == ErrorCounts(expected.hits, expected.substitutions, expected.deletions, expected.insertions)
        assert pooled.rate == pytest.approx(rate(references, hypotheses))
        # One row's counts do not depend on its neighbours.
        assert counts[-1] == ours(references[-1:], hypotheses[-1:])[0]


@settings(deadline=None)
@given(SETS, st.randoms(use_true_random=False))
def test_empty_references_count_their_insertions(pairs, random):
    rows = [*pairs, ("", "a b"), ("", "")]
    random.shuffle(rows)
    references, hypotheses = (list(column) for column in zip(*rows, strict=True))
    for count, length, pair in [(word_errors, 2, pairs), (character_errors, 3, pairs)]:
        counts = dict(zip(rows, count(references, hypotheses), strict=True))
        assert counts["", "a b"] == ErrorCounts(insertions=length)
        assert counts["", ""] == ErrorCounts()
        spoken = total(count(*map(list, zip(*pair, strict=True))))
        assert total(count(references, hypotheses)) == ErrorCounts(
            spoken.hits, spoken.substitutions, spoken.deletions, spoken.insertions + length
        )


def test_each_kind_of_error():
    assert word_errors(["a b c d"], ["a x c d e"]) == [ErrorCounts(hits=3, substitutions=1, insertions=1)]
    assert word_errors(["a b c"], [""]) == [ErrorCounts(deletions=3)]
    assert character_errors(["ab c"], ["ab"]) == [ErrorCounts(hits=2, deletions=2)]
    assert total(word_errors(["a b c", "d"], ["", ""])).rate == 1.0
    assert character_errors(["ș"], ["s"]) == [ErrorCounts(substitutions=1)]


def test_rates_come_from_summed_counts():
    counts = [ErrorCounts(hits=9, substitutions=1), ErrorCounts(deletions=1, insertions=2)]
    assert [count.rate for count in counts] == [0.1, 3.0]
    assert total(counts).rate == 4 / 11  # and not the mean of the rates
    assert total(counts).to_dict() == {"hits": 9, "substitutions": 1, "deletions": 1, "insertions": 2}
    assert total([]) == ErrorCounts()
    assert total([]).rate is ErrorCounts(insertions=3).rate is None
    assert word_errors([], []) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_confusion_and_macro_f1_equal_scikit_learn(pairs):
    references, hypotheses = (list(column) for column in zip(*pairs, strict=True))
    matrix = confusion(references, hypotheses, 5)
    np.testing.assert_array_equal(matrix, confusion_matrix(references, hypotheses, labels=range(5)))
    expected = f1_score(references, hypotheses, labels=sorted(set(references)), average="macro", zero_division=0)
    assert macro_f1(matrix) == pytest.approx(expected)


def test_terms_are_counted_where_they_were_said():
    references = ["order luminet now", "luminet and luminet", "nothing here", "corvanta"]
    answers = ["order luminet luminet now", "luminet and lumen it", "luminet corvanta", "corvantas"]
    found = term_counts(references, answers, ["luminet", "corvanta", "luminet"])
    # Heard twice where said once; one of two; two where none was said; none in a longer word.
    assert found == TermCounts(hits=2, false=3, missed=2)
    assert (found.recall, found.precision, found.f1) == (0.5, 0.4, 4 / 9)
    assert term_counts(references, references, ["luminet", "corvanta"]) == TermCounts(hits=4)
    assert term_counts(references, answers, ["pulzara"]).to_dict() == {
        **{"hits": 0, "false": 0, "missed": 0},
        **{"recall": None, "precision": None, "f1": None},
    }
    assert term_counts(["a luminet prime a", "luminet luminet"], ["a luminet prime", "prime"], ["luminet prime"]) == TermCounts(1)
    assert term_counts(["x x x"], ["x x"], ["x"]) == TermCounts(hits=2, missed=1)


def test_right_words_are_those_of_the_reference():
    assert right_words("please hold the line", "please old the line now") == [True, False, True, True, False]
    assert right_words("", "hello") == [False] and right_words("hello", "") == []

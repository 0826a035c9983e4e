"""Alignment on log-probabilities made by hand: every word where it was put."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.data import Vocabulary
from speechxfer.decoding import align_words, frames_needed

LETTERS = Vocabulary(tuple(" abc"))


def posteriors(spelling: str, sure: float = 0.9) -> torch.Tensor:
    """One frame per character; `-` is the blank."""
    probabilities = torch.full((len(spelling), len(LETTERS)), (1 - sure) / (len(LETTERS) - 1))
    for frame, character in enumerate(spelling):
        probabilities[frame, 0 if character == "-" else LETTERS.symbols.index(character) + 1] = sure
    return probabilities.log()


def places(spelling: str, *words: str) -> list[tuple[int, int]]:
    return [(word.first, word.last) for word in align_words(posteriors(spelling), words, LETTERS)]


def test_words_lie_where_their_letters_are():
    assert places("--ab--- cc-a--", "ab", "ca") == [(2, 4), (8, 12)]


def test_what_was_misheard_is_placed_too():
    # The second word was heard as "b".
    (_, second) = align_words(posteriors("aa--- -b--"), ["a", "c"], LETTERS)
    assert 6 <= second.first < second.last <= 10 and second.confidence < 0.1


def test_letters_that_double_need_a_blank():
    assert frames_needed(["aa", "b"], LETTERS) == 5
    assert places("a-a", "aa") == [(0, 3)]
    with pytest.raises(ValueError, match="2 frames cannot hold these words: aa"):
        align_words(posteriors("aa"), ["aa"], LETTERS)


def test_confidence_is_that_of_the_words_own_frames():
    (sure,) = align_words(posteriors("-aab-", 0.8), ["ab"], LETTERS)
    assert sure.confidence == pytest.approx(0.8)


def test_a_word_that_cannot_be_spelled_gets_what_is_left():
    first, number, last, end = align_words(posteriors("-a---- b-"), ["a", "42", "b", "!"], LETTERS)
    assert (number.first, number.last, number.confidence) == (first.last, last.first, 0.0)
    assert (end.first, end.last) == (last.last, 9)
    assert [(word.first, word.last) for word in align_words(posteriors("---"), ["4", "2"], LETTERS)] == [(0, 3), (3, 3)]


def test_nothing_said_is_nothing_placed():
    assert align_words(posteriors("---"), [], LETTERS) == []


@settings(deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=8), st.integers(0, 3))
def test_words_are_in_order_and_complete(words, pause):
    spelling = ("-" * pause).join(" ".join("-".join(word) for word in words))
    found = align_words(posteriors(spelling), words, LETTERS)
    times = [time for word in found for time in (word.first, word.last)]
    assert len(found) == len(words) and times == sorted(times) and all(word.first < word.last for word in found)

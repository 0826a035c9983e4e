"""What was shown as stable stays, whatever comes later."""

from hypothesis import given
from hypothesis import strategies as st

from speechxfer.calls.stable import StablePrefix
from speechxfer.transcript import Word


def words(text, start=0.0):
    return [Word(word, start + 0.5 * number, start + 0.5 * number + 0.4, 1.0) for number, word in enumerate(text.split())]


def texts(found):
    return " ".join(word.text for word in found)


def test_a_word_is_stable_when_three_agree_and_a_second_has_passed():
    prefix = StablePrefix()
    assert texts(prefix.update(words("good mor"), 1.0)) == "good mor"
    assert texts(prefix.update(words("good morning"), 1.3)) == "good morning"
    assert texts(prefix.update(words("good morning how"), 1.6)) == "morning how"
    assert texts(prefix.stable) == "good"
    prefix.update(words("good morning house"), 1.9)
    assert texts(prefix.update(words("could morning houses are"), 2.2)) == "houses are"
    assert texts(prefix.stable) == "good morning"


def test_words_before_the_start_are_someone_elses():
    assert texts(StablePrefix(start=0.6).update(words("one two three"), 5.0)) == "two three"


def test_what_is_stable_and_what_is_not_do_not_overlap():
    prefix = StablePrefix()
    for end in (2.0, 2.3, 2.6):
        prefix.update(words("one two"), end)
    assert [word.end for word in prefix.stable] == [0.4, 0.9]
    moved = [Word("two", 0.45, 0.8, 1.0), Word("three", 0.85, 1.2, 1.0)]
    assert prefix.rest(moved) == [Word("three", 0.9, 1.2, 1.0)]


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=12))
def test_stable_words_only_ever_grow(hypotheses):
    prefix, before = StablePrefix(), []
    for number, letters in enumerate(hypotheses):
        unstable = prefix.update(words(" ".join(letters)), 1.0 + 0.3 * number)
        assert prefix.stable[: len(before)] == before
        assert all((word.start + word.end) / 2 > prefix.until for word in unstable)
        before = [*prefix.stable]

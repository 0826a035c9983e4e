"""What the scripts decide: how numbers are written and said, and what the embedded model must never hear."""

import random
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def tiny_corpus(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return __import__("tiny_corpus")


@pytest.fixture
def head_surgery(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS / "benchmarks")
    return __import__("head_surgery")


def test_number_words_become_digits_and_nothing_else_does(head_surgery):
    assert head_surgery.with_digits("oh one twenty five o b second") == "0 1 20 5 o b second"
    assert head_surgery.with_digits("two hundred nineteen") == "2 hundred 19"


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "zero"), (13, "thirteen"), (40, "forty"), (99, "ninety nine"), (300, "three hundred"), (712, "seven hundred twelve")],
)
def test_numbers_are_said(tiny_corpus, number, said):
    assert tiny_corpus._below_1000(number) == said


def test_sentences_are_plain_words(tiny_corpus):
    given = ["He didn't, of course!", "a 2nd try", "word", "(x)", "one two three four five six seven eight nine ten", "an ox."]
    assert [*tiny_corpus._plain(given)] == ["he didn't of course", "an ox"]


def test_a_tenth_is_held_out_and_every_product_is(tiny_corpus):
    assert all(tiny_corpus.is_held_out(f"please order {term} now") for term in tiny_corpus.PRODUCT_TERMS)
    share = sum(tiny_corpus.is_held_out(f"sentence {number}") for number in range(5000)) / 5000
    assert 0.08 < share < 0.12


def test_voices_and_accents_are_not_shared(tiny_corpus):
    assert {*tiny_corpus.VARIANTS}.isdisjoint(tiny_corpus.HELD_OUT_VARIANTS)
    assert {*tiny_corpus.ACCENTS}.isdisjoint(tiny_corpus.HELD_OUT_ACCENTS)


def test_texts_of_the_pretraining_hold_nothing_held_out(tiny_corpus):
    if not tiny_corpus.WORDNET.is_dir():
        pytest.skip("WordNet is not installed")
    texts = tiny_corpus.texts(2000, random.Random(1))
    sentences = {*tiny_corpus.frequent_sentences()}
    assert not [text for text in texts if tiny_corpus.is_held_out(text) and text in sentences]
    unread = [text for text in tiny_corpus.texts(2000, random.Random(1), held_out=True) if text in sentences]
    assert len(unread) > 1000 and all(map(tiny_corpus.is_held_out, unread))
    assert texts == tiny_corpus.texts(2000, random.Random(1))
    assert all(1 <= len(text.split()) for text in texts)

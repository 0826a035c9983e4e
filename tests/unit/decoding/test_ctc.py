"""Greedy CTC: merge repeats, drop blanks, and keep times and confidences of the right frames."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.data import Vocabulary
from speechxfer.decoding import greedy

VOCABULARY = Vocabulary.from_texts(["helo wrd"])


@pytest.fixture
def frames():
    """Return a function: one character per frame (`_` is the blank) and its probability to log-probabilities."""

    def make(path: str, probabilities: list[float] | None = None, vocabulary: Vocabulary = VOCABULARY) -> torch.Tensor:
        given_probabilities = probabilities or [0.9] * len(path)
        rest = torch.tensor([(1 - p) / (len(vocabulary) - 1) for p in given_probabilities])
        matrix = rest[:, None].repeat(1, len(vocabulary))
        for frame, (symbol, probability) in enumerate(zip(path, given_probabilities, strict=True)):
            matrix[frame, 0 if symbol == "_" else vocabulary.encode(symbol)[0]] = probability
        return matrix.log()

    return make


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("hheel_lloo", "hello"),
        ("hhelllo", "helo"),
        ("h_e__l_l_o", "hello"),
        ("_hello_", "helo"),
        ("he  lo", "he lo"),
        ("  he _ lo ", "he lo"),
        ("_ _ _", ""),
        ("____", ""),
    ],
)
def test_text(frames, path, text):
    segment = greedy(frames(path), VOCABULARY, 0.02)
    assert segment.text == text
    assert [word.text for word in segment.words] == text.split()


def test_times_and_confidences(frames):
    probabilities = [0.9, 0.8, 0.6, 0.5, 0.9, 0.7, 0.4, 0.3, 0.95, 0.9]
    segment = greedy(frames("_he_e rr__", probabilities), VOCABULARY, 0.02)
    first, second = segment.words
    assert (first.text, first.start, first.end) == ("hee", 0.02, 0.1)
    assert (second.text, second.start, second.end) == ("r", 0.12, 0.16)
    # The blank between does not count, nor does the space.
    assert first.confidence == pytest.approx((0.8 * 0.6 * 0.9) ** (1 / 3), abs=1e-4)
    assert second.confidence == pytest.approx(math.sqrt(0.4 * 0.3), abs=1e-4)
    assert (segment.start, segment.end) == (0.0, 0.2)
    assert segment.confidence == pytest.approx(math.prod(probabilities) ** 0.1, abs=1e-4)


def test_no_frames(frames):
    segment = greedy(torch.zeros(0, len(VOCABULARY)), VOCABULARY, 0.02)
    assert (segment.text, segment.words, segment.start, segment.end, segment.confidence) == ("", (), 0.0, 0.0, 0.0)


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"], exclude_characters="|_") | st.just(" "), max_size=15), st.data()
)
def test_a_path_made_from_a_text_gives_the_text(text, data):
    vocabulary = Vocabulary.from_texts([text, "a"])
    numbers: list[int] = []
    for number in vocabulary.encode(text):
        blanks = data.draw(st.integers(1 if numbers and numbers[-1] == number else 0, 2))
        numbers += [0] * blanks + [number] * data.draw(st.integers(1, 3))
    log_probs = torch.full((len(numbers), len(vocabulary)), -20.0)
    log_probs[range(len(numbers)), numbers] = 0.0
    segment = greedy(log_probs, vocabulary, 0.02)
    assert segment.text == " ".join(word for word in text.split(" ") if word)
    assert all(0 <= word.confidence <= 1 and word.start < word.end for word in segment.words)
    assert all(first.end <= second.start for first, second in zip(segment.words, segment.words[1:], strict=False))

"""Redaction: whatever way a number is said, it is neither in the text nor in the audio; and what else is said, is."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechxfer.calls import Finding, Redactor, presidio_detector, silenced
from speechxfer.calls.redact import passes_luhn
from speechxfer.transcript import Segment, Word

REDACTOR = Redactor()
SPOKEN = "zero one two three four five six seven eight nine".split()


def segment(text, start=10.0):
    words = tuple(Word(word, start + number, start + number + 0.5, 0.9) for number, word in enumerate(text.split()))
    return Segment(text, start - 0.5, start + len(words), 0.9, words)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("my card is 4242 4242 4242 4242 thanks", "my card is [CARD] thanks"),
        ("it is 4242-4242-4242-4242.", "it is [CARD]"),
        ("four two four two " * 4 + "is my card", "[CARD] is my card"),
        ("it is 1234 5678 9012 3456", "it is [NUMBER]"),
        ("call me on 020 7946 0958 please", "call me on [NUMBER] please"),
        ("call +44 (0)20 7946 0958", "call [NUMBER]"),
        ("account four seven two nine one one eight yes", "account [NUMBER] yes"),
        ("it is double four um triple seven dash oh", "it is [NUMBER]"),
        ("forty two twenty one ninety nine", "[NUMBER]"),
        ("one for two ate okay", "[NUMBER] okay"),
        ("s m i t h is my name", "[SPELLED] is my name"),
        ("reference a b one two c", "reference [SPELLED]"),
        ("write to john.smith@example.com now", "write to [EMAIL] now"),
        ("it is john dot smith at example dot com okay", "it is [EMAIL] okay"),
        ("j o h n at gmail dot com", "[EMAIL]"),
        ("it is forty-two forty-two, forty-two forty-two.", "it is [NUMBER]"),
        ("My card is four-two four-two, four-two-four-two 42-42 42\u201142.", "My card is [CARD]"),
        ("I spell S-M-I-T-H with you", "I spell [SPELLED] with you"),
        ("a well-known one-off, either/or", "a well-known one-off, either/or"),
        ("seven", "[NUMBER]"),
        ("two two", "[NUMBER]"),
        ("i have two routers and one phone", "i have two routers and one phone"),
        ("good morning how can i help you", "good morning how can i help you"),
        ("i am at home", "i am at home"),
        ("", ""),
    ],
)
def test_what_is_taken_out(text, redacted):
    assert REDACTOR.text(text) == redacted
    heard, redactions = REDACTOR.segment(segment(text))
    assert heard.text == " ".join(redacted.split()) and bool(redactions) == ("[" in redacted)


@given(
    st.lists(st.sampled_from(["please", "thanks", "my", "card", "is", "yes", "um"]), max_size=5),
    st.lists(st.integers(0, 9), min_size=3, max_size=20),
    st.lists(st.sampled_from(["please", "thanks", "okay"]), max_size=5),
    st.sampled_from(["spoken", "joined", "fours", "spaced"]),
)
def test_no_number_survives(before, digits, after, style):
    written = "".join(map(str, digits))
    said = {
        "spoken": " ".join(SPOKEN[digit] for digit in digits),
        "joined": written,
        "fours": " ".join(written[first : first + 4] for first in range(0, len(written), 4)),
        "spaced": " ".join(written),
    }[style]
    text = " ".join([*before, said, *after])
    redacted = REDACTOR.text(text)
    assert not any(character.isdigit() for character in redacted) and not set(redacted.split()) & set(SPOKEN)
    assert [word for word in redacted.split() if word in {"please", "thanks", "my", "card", "is", "yes", "okay"}] == [
        word for word in (*before, *after) if word != "um"
    ]
    unfinished = REDACTOR.unfinished(" ".join([*before, said]))
    assert not any(character.isdigit() for character in unfinished) and not set(unfinished.split()) & set(SPOKEN)


@given(st.text())
def test_any_text_is_survived_and_redacting_again_changes_nothing(text):
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


def test_luhn():
    assert passes_luhn("4242424242424242") and passes_luhn("79927398713")
    assert not any(passes_luhn(f"7992739871{digit}") for digit in range(10) if digit != 3)


def test_the_audio_is_silent_from_the_word_before_to_the_word_after():
    heard, (redaction,) = REDACTOR.segment(segment("it is four two four two okay", start=1.0))
    assert heard.words[2] == Word("[NUMBER]", 3.0, 6.5, 0.9)
    assert (redaction.kind, redaction.start, redaction.end) == ("NUMBER", 2.5, 7.0)
    samples = np.ones((100, 2), dtype=np.float32)
    silent = silenced(samples, 10, [redaction])
    assert silent[:25].all() and not silent[25:70].any() and silent[72:].all() and samples.all()


def test_a_text_without_words_is_silenced_as_a_whole():
    heard, redactions = REDACTOR.segment(Segment("it is 4242 4242", 3.0, 5.0, 1.0))
    assert heard.text == "it is [NUMBER]"
    assert [(one.start, one.end) for one in redactions] == [(3.0, 5.0)]


def test_where_a_detector_fails_everything_goes():
    def broken(text):
        raise RuntimeError("no model")

    heard, redactions = Redactor(broken).segment(segment("good morning", start=1.0))
    assert heard.text == "[UNCHECKED]" and (redactions[0].start, redactions[0].end) == (0.5, 3.0)


def test_detectors_join_in_and_overlaps_are_one():
    redactor = Redactor(lambda text: [Finding(0, len("karen 1"), "PERSON")])
    assert redactor.text("karen 123 hello") == "[PERSON] hello"


def test_presidio_is_asked_where_it_is_installed(monkeypatch):
    class Engine:
        def analyze(self, text, language, score_threshold):
            assert (language, score_threshold) == ("en", 0.4)
            return [SimpleNamespace(start=text.index("karen"), end=text.index("karen") + 5, entity_type="PERSON")]

    monkeypatch.setitem(sys.modules, "presidio_analyzer", SimpleNamespace(AnalyzerEngine=Engine))
    assert Redactor(presidio_detector()).text("i am karen") == "i am [PERSON]"

"""Normalisers: what is kept, what goes, and once is enough."""

import sys
import unicodedata
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.data import has_words_apart, normalise, normalise_answer, normaliser_of
from speechxfer.errors import DataError
from speechxfer.recipe import DataSection, Normaliser


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!  How's\tit\n?", "hello world how's it"),
        ("Știință, țară: ĂÂÎ", "știință țară ăâî"),
        ("s\u0326i t\u0326a", "\u0219i \u021ba"),  # combining comma below becomes the one letter
        ("مُحَمَّدٌ، نعم؟", "مُحَمَّدٌ نعم"),
        ("हिन्दी में — क्या?", "हिन्दी में क्या"),
        ("Ünïcode-Straße", "ünïcode straße"),
        ("call 112, № ٣٤ ५ ²", "call 112 ٣٤ ५ ²"),
        ("don\u2019t `quote' \u02bcn l\u2018eau", "don't quote n l'eau"),
        ("'tis the dogs' rock 'n' roll", "tis the dogs rock n roll"),
        ("a''b", "a b"),
        ("की'ती", "की'ती"),  # a vowel sign is part of its word
        ("x_y #tag 50% a+b", "x y tag 50 a b"),
        ("ශ්\u200dරී soft\u00adly \ufeffword", "ශ්රී softly word"),  # joiners and soft hyphens do not end a word
        ("?!…", ""),
    ],
)
def test_basic(text, expected):
    assert normalise(text, "basic") == unicodedata.normalize("NFC", expected)


def test_english_spells_digits_one_by_one_and_is_basic_otherwise():
    assert normalise("Call 911, it's  B-52!", "english") == "call nine one one it's b five two"
    assert normalise("٣ of 10", "english") == "٣ of one zero"


def test_none_keeps_everything_but_spaces():
    assert normalise("  It's\t “A”, e\u0301!\n", "none") == "It's “A”, é!"


@settings(deadline=None, max_examples=500)
@given(
    st.text() | st.text(st.sampled_from("aΣéE\u0301\u0326' \u2019\u200d\u200c\u00ad-_ीªİ|5"), max_size=12),
    st.sampled_from(["basic", "none"]),
)
def test_twice_is_once(text, normaliser):
    once = normalise(text, normaliser)
    assert normalise(once, normaliser) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == " ".join(once.split())


@settings(deadline=None)
@given(st.text(st.characters(categories=["Ll", "Lo", "Mn", "Mc", "Nd"]), min_size=1))
def test_letters_marks_and_digits_stay(text):
    # Lower case first: some letters have more than one lower-case step.
    kept = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    assert normalise(text, "basic") == kept


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("ro", "Ştiinţa costă 21 de lei", "știința costă douăzeci și unu de lei"),
        ("tr", "ILIK İzmir, 3 Işık", "ılık izmir üç ışık"),
        ("ar", "مُحَمَّدٌ ـــ نعم", "محمد نعم"),
        ("de", "112 Straßen", "einhundertzwölf straßen"),
        (
            "en",
            "Room 0, code 007, 1999 or 12345678901234",
            "room zero code zero zero seven one thousand nine hundred and ninety nine or "
            "one two three four five six seven eight nine zero one two three four",
        ),
        ("fr", "J'ai 80 francs", "j'ai quatre vingts francs"),
        ("ru", "٣ дома", "три дома"),
    ],
)
def test_languages_have_their_letters_and_numbers(language, text, expected):
    assert normalise(text, f"basic:{language}") == expected


@pytest.mark.parametrize("name", [name for name in get_args(Normaliser) if ":" in name])
@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=12) | st.integers(0, 10**13).map(str))
def test_a_language_is_normalised_once_and_for_all(name, text):
    once = normalise(text, name)
    assert normalise(once, name) == once
    assert not any(character.isdecimal() for character in once)


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "num2words", None)
    assert normalise("ştiu", "basic:ro") == "știu"
    with pytest.raises(DataError, match=r"pip install 'speechxfer\[text\]'"):
        normalise("4", "basic:ro")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "whisper-english",
            "I won't pay twenty-one dollars for the colour, Dr. Smith!",
            "i will not pay $21 for the color doctor smith",
        ),
        ("whisper-english", "[laughs] um, he's been (sighs) there", "he has been there"),
        ("whisper-basic", "I won't pay, naïve [laughs] (sighs)", "i won t pay naïve"),
        ("whisper-basic", "cafe\u0301", "caf\u00e9"),
    ],
)
def test_normalisers_of_whisper(name, text, expected):
    assert normalise(text, name) == expected


def test_rules_come_before_the_normaliser_one_after_the_other():
    section = DataSection(train="m.csv", rules=[[r"\bDr\.", "Doctor"], [r"(\d)x(\d)", r"\1 by \2"], ["by", "times"], ["é", "e"]])
    assert normalise("Dr. X: 3x4, cafe\u0301 Dr", normaliser_of(section)) == "doctor x 3 times 4 cafe dr"
    assert normalise("3x4", normaliser_of(section.model_copy(update={"normaliser": "basic:en"}))) == "three times four"
    assert normaliser_of(DataSection(train="m.csv", normaliser="none")) == "none"
    with pytest.raises(DataError, match="cannot read"):
        normalise("a", '[["(", "x"]] basic')


def test_phonemes_of_each_word():
    assert normalise("Turn the LIGHTS on; it's 7!", "phonemes:en-us") == "tɜːn ðə laɪts ɔn ɪts sɛvən"
    assert normalise("la lumière", "phonemes:fr-fr") == "la lymjɛʁ"
    assert normalise_answer("tɜːn ðə", "phonemes:en-us") == "tɜːn ðə"
    assert normalise_answer("Turn!", "basic") == "turn"
    with pytest.raises(DataError, match=r"does not speak 'en-xx'; expected a language such as .*en-us"):
        normalise("a", "phonemes:en-xx")


def test_a_missing_phonemizer_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "phonemizer.backend", None)
    with pytest.raises(DataError, match=r"pip install 'speechxfer\[phonemes\]'"):
        normalise("a", "phonemes:de")


@pytest.mark.parametrize(
    ("texts", "apart"),
    [
        (["turn it on", "țară"], True),
        (["打开灯", "ok"], False),
        (["こんにちは"], False),
        (["เปิดไฟ"], False),
        (["안녕 하세요"], True),
        (["हिन्दी में"], True),
        (["please say 开 now"], True),
        ([], True),
    ],
)
def test_writing_without_spaces_is_known_by_its_letters(texts, apart):
    assert has_words_apart(texts) is apart

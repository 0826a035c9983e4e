"""Prompts, targets and words of Whisper's tokens."""

from dataclasses import replace

import pytest

from speechxfer.data import Utterance
from speechxfer.errors import ModelError
from speechxfer.models import load_model

START, TRANSCRIBE, NO_TIMES, FIRST_TIME, END = 257, 258, 259, 260, 256


@pytest.fixture(scope="module")
def tokens(small_writer):
    return load_model(small_writer).tokens


@pytest.fixture(scope="module")
def polyglot(small_polyglot):
    return load_model(small_polyglot).tokens


def test_a_target_follows_its_prompt_and_ends(tokens):
    prompt, answer = tokens.target("ab")
    assert prompt == [START, NO_TIMES]
    assert answer == [*tokens.encode("ab"), END]
    assert tokens.text(answer) == "ab"


def test_a_timed_target_begins_at_zero_and_ends_with_its_length(tokens):
    prompt, answer = tokens.target("ab", 2.5)
    assert prompt == [START]
    assert (answer[0], answer[-2], answer[-1]) == (FIRST_TIME, FIRST_TIME + 125, END)
    assert tokens.text(answer) == "ab"
    assert tokens.target("", 2.5) == ([START], [END])  # nothing begins where nobody speaks


def test_a_multilingual_prompt_names_language_and_task(polyglot):
    spoken = replace(polyglot, language="de")
    assert spoken.prompt() == [257, 259, 261, 262]
    assert spoken.prompt("ro", timed=True) == [257, 260, 261]


@pytest.mark.parametrize("language", [None, "xx"])
def test_an_unknown_language_is_refused_with_those_there_are(polyglot, language):
    with pytest.raises(ModelError, match="expected one of de, en, ro"):
        replace(polyglot, language=language).prompt()


def test_it_speaks_only_what_the_model_knows(polyglot, tokens):
    assert polyglot.speaking("ro").prompt() == polyglot.prompt("ro")
    assert polyglot.speaking("ro").speaking(None).language == "ro"
    assert tokens.speaking("en") is tokens and tokens.speaking(None) is tokens
    with pytest.raises(ModelError, match="this model knows de, en, ro"):
        polyglot.speaking("xx")
    with pytest.raises(ModelError, match="'ro': this model knows en"):
        tokens.speaking("ro")


@pytest.mark.parametrize(("named", "language"), [("de", "de"), ("de-AT", "de"), ("RO", "ro"), ("", None)])
def test_a_manifest_names_the_language_of_a_row(polyglot, tokens, named, language):
    utterance = Utterance("a", "a.wav", fields={"language": named})
    assert polyglot.language_of(utterance) == language
    assert tokens.language_of(utterance) is None  # it writes all in the one that it knows


def test_a_language_that_the_model_does_not_know_is_refused(polyglot):
    with pytest.raises(ModelError, match="'fr': this model knows de, en, ro"):
        polyglot.language_of(Utterance("a", "a.wav", fields={"language": "fr"}))
    assert polyglot.language_of(Utterance("a", "a.wav")) is None


def test_a_prompt_stands_before_all_and_its_end_counts(tokens, polyglot):
    previous = polyglot.encode("ab")
    first = polyglot.tokenizer.convert_tokens_to_ids("<|startofprev|>")
    assert replace(polyglot, language="de").prompt(previous="ab") == [first, *previous, 257, 259, 261, 262]
    long = tokens.prompt(previous="x" * 40 + "end")
    assert len(long) == tokens.max_length // 2 + 2 and tokens.text(long[1:-2]).endswith("end")


def test_words_are_split_at_spaces_and_keep_their_tokens(tokens):
    answer = [FIRST_TIME, *tokens.encode("na\u00efve  b."), FIRST_TIME + 10]
    words = tokens.words(answer)
    assert [word for word, _ in words] == ["na\u00efve", "b."]
    assert [tokens.tokenizer.decode([answer[place] for place in places]).strip() for _, places in words] == ["na\u00efve", "b."]
    assert [place for _, places in words for place in places] == [1, 2, 3, 4, 5, 6, 7, 9, 10, 11] or len(words[0][1]) == 7

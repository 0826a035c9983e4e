"""Vocabularies: numbers and texts are each other's inverse, here and in plain transformers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechxfer.data import Vocabulary, normalise
from speechxfer.errors import ModelError

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="|"), max_size=10), max_size=5)


@settings(deadline=None)
@given(TEXTS)
def test_decode_inverts_encode(folder, texts):
    vocabulary = Vocabulary.from_texts(texts)
    assert list(vocabulary.symbols) == sorted(set("".join(texts)))
    for text in texts:
        numbers = vocabulary.encode(text)
        assert vocabulary.decode(numbers) == text
        assert all(0 < number < len(vocabulary) for number in numbers)
    assert not vocabulary.unknown(texts)

    vocabulary.save(folder)
    assert Vocabulary.load(folder) == vocabulary


def test_numbers_follow_code_points_and_0_is_the_blank():
    vocabulary = Vocabulary.from_texts(["b a", "ș"])
    assert vocabulary.symbols == (" ", "a", "b", "ș")
    assert len(vocabulary) == 5
    assert vocabulary.encode("ab ș") == [2, 3, 1, 4]
    assert vocabulary.decode([0, 2, 0, 2, 1]) == "aa "


def test_the_order_of_texts_does_not_matter():
    assert Vocabulary.from_texts(["xyz", "abc"]) == Vocabulary.from_texts(["cba", "zyx"])


def test_unknown_symbols_are_counted_and_left_out():
    vocabulary = Vocabulary.from_texts(["abc "])
    assert vocabulary.unknown(["bad", "dad ș"]) == {"d": 3, "ș": 1}
    assert vocabulary.decode(vocabulary.encode("bad dad")) == "ba a"


@pytest.mark.parametrize("text", ["hello world", "don't 'n go", "țară și oră", "हिन्दी में", "مُحَمَّدٌ نعم", "a b"])
def test_plain_transformers_reads_the_same_text(tmp_path, text):
    from transformers import Wav2Vec2CTCTokenizer

    vocabulary = Vocabulary.from_texts([text])
    vocabulary.save(tmp_path)
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path)
    numbers = vocabulary.encode(text)
    assert tokenizer.decode(numbers, group_tokens=False) == text
    # As a model gives it: each symbol for two frames, a blank after each.
    assert tokenizer.decode([frame for number in numbers for frame in (number, number, 0)]) == text
    assert tokenizer.pad_token_id == 0
    assert len(tokenizer.get_vocab()) == len(vocabulary)


@pytest.mark.parametrize(
    "content", ["", "[]", "3", '["<pad>"]', "{}", '{"a": 0}', '{"<pad>": 0, "a": 2}', '{"<pad>": 0, "a": "1"}']
)
def test_a_bad_file_is_a_model_error(tmp_path, content):
    (tmp_path / "vocab.json").write_text(content)
    with pytest.raises(ModelError, match=r"vocab\.json"):
        Vocabulary.load(tmp_path)


def test_a_missing_file_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match=r"vocab\.json"):
        Vocabulary.load(tmp_path)


def test_a_space_is_spelled_as_transformers_spells_it(tmp_path):
    Vocabulary.from_texts([normalise("A b", "basic")]).save(tmp_path)
    assert json.loads((tmp_path / "vocab.json").read_text()) == {"<pad>": 0, "|": 1, "a": 2, "b": 3}


WORDS = ["turn the lights on", "the the then there", "turn it off then", "light the lights"]


def test_pieces_of_words_are_learned_and_spell_every_text():
    vocabulary = Vocabulary.from_texts(WORDS, 24)
    assert len(vocabulary) == 24
    assert vocabulary.symbols[:13] == Vocabulary.from_texts(WORDS).symbols
    assert "the" in vocabulary.symbols and not any(" " in symbol for symbol in vocabulary.symbols[1:])
    for text in [*WORDS, "he is right", " the  light"]:
        numbers = vocabulary.encode(text)
        assert vocabulary.decode(numbers) == text and len(numbers) < len(text)
    assert vocabulary.encode("the then") == [*vocabulary.encode("the"), *vocabulary.encode(" "), *vocabulary.encode("then")]
    assert vocabulary.decode(vocabulary.encode("theşx <pad>")) == "the "  # p, a and d are not in the texts
    assert vocabulary.unknown(["the <"]) == {"<": 1}
    assert Vocabulary.from_texts(WORDS[::-1], 24) == vocabulary
    assert len(Vocabulary.from_texts(WORDS, 10)) == 14 and len(Vocabulary.from_texts(WORDS, 500)) < 60


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("abcșक' <>", max_size=12), max_size=5))
def test_pieces_are_saved_and_found_again(folder, texts):
    vocabulary = Vocabulary.from_texts([*texts, "aa aa"], 40)
    vocabulary.save(folder)
    again = Vocabulary.load(folder)
    assert again == vocabulary
    Vocabulary.from_texts(texts).save(folder)
    assert Vocabulary.load(folder) == Vocabulary.from_texts(texts)
    for text in texts:
        assert again.decode(again.encode(text)) == text and not again.unknown([text])


@pytest.mark.parametrize("text", ["turn the lights on", "then", "the theft", "it is it"])
def test_plain_transformers_reads_and_writes_pieces_alike(tmp_path, text):
    from transformers import AutoTokenizer

    vocabulary = Vocabulary.from_texts([*WORDS, "theft"], 30)
    vocabulary.save(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}')
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    numbers = vocabulary.encode(text)
    assert tokenizer(text).input_ids == numbers
    assert tokenizer.decode([frame for number in numbers for frame in (number, number, 0)]) == text
    assert tokenizer.pad_token_id == 0 and len(tokenizer) == len(vocabulary)


@pytest.mark.parametrize(
    "change", [{"merges": [["t", "?"]]}, {"merges": [["t"]]}, {"merges": 3}, {"vocab": {"<pad>": 0, "t": 2}}, {"vocab": []}]
)
def test_bad_pieces_are_a_model_error(tmp_path, change):
    Vocabulary.from_texts(WORDS, 24).save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["model"].update(change)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"tokenizer\.json: cannot read"):
        Vocabulary.load(tmp_path)

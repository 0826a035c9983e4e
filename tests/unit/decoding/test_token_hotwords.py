"""Terms for a decoder: lent for token by token, taken back when another word comes of it, kept when the word is over."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechxfer.decoding import Hotword, read_hotwords, write
from speechxfer.decoding.token_hotwords import TokenBias
from speechxfer.errors import ModelError
from speechxfer.models import Features, load_model
from tests.unit.decoding.test_seq2seq import prepare

PROMPT, SIZE = [257, 259], 1770


@pytest.fixture(scope="module")
def tokens(small_writer):
    return load_model(small_writer).tokens


def bias(tokens, *terms):
    return TokenBias([Hotword(term, term) for term in terms], tokens, len(PROMPT))


def added(processor, tokens, written):
    """Give what is added to each token's score behind what was written."""
    return processor(torch.tensor([PROMPT + tokens.encode(written)]), torch.zeros(1, SIZE))[0]


def token(tokens, letter):
    return tokens.encode(f"{letter}")[-1]


def test_a_term_is_lent_for_token_by_token(tokens):
    processor = bias(tokens, "cab")
    space = tokens.encode("c")[0]
    first = added(processor, tokens, "x")
    assert first[space] > 0 and (first > 0).sum() == 1 and (first < 0).sum() == 0
    # " c" of " x c": the space and the c are lent for.
    second = added(processor, tokens, "x c")
    assert second[token(tokens, "a")] == pytest.approx(float(first[space]))
    assert second[token(tokens, "b")] == pytest.approx(-2 * float(first[space]))


def test_what_was_lent_is_kept_once_the_word_is_over_and_lost_when_it_goes_on(tokens):
    processor = bias(tokens, "cab")
    unit = float(added(processor, tokens, "x")[tokens.encode("c")[0]])
    behind = added(processor, tokens, "cab")
    assert behind[tokens.end] == 0 and behind[token(tokens, ",")] == 0
    assert behind[token(tokens, "s")] == pytest.approx(-4 * unit)
    space = tokens.encode("c")[0]
    assert behind[space] == pytest.approx(unit), "the same term may come again"


@given(text=st.text("abc ", max_size=12))
def test_what_is_added_in_all_is_what_the_terms_in_it_are_worth(tokens, text):
    processor = bias(tokens, "ab", "abc", "ca b")
    unit = float(added(processor, tokens, "x")[tokens.encode("c")[0]])
    answer = tokens.encode(" ".join(text.split())) if text.strip() else []
    total = 0.0
    for place, following in enumerate([*answer, tokens.end]):
        total += float(processor(torch.tensor([PROMPT + answer[:place]]), torch.zeros(1, SIZE))[0, following])
    words, worth = text.split(), 0
    while words:
        if words[:2] == ["ca", "b"]:
            worth, words = worth + 5, words[2:]
        else:
            worth, words = worth + {"ab": 3, "abc": 4}.get(words[0], 0), words[1:]
    assert total == pytest.approx(worth * unit, abs=1e-3)


def test_a_decoder_listens(small_writer, clips):
    split, features, tokens = prepare(small_writer, clips)
    before = write(split, features, tokens, num_beams=5)
    heard = write(split, features, tokens, hotwords=read_hotwords(["qu => Q\t9"], None))
    assert before != heard


def test_terms_may_be_spelled_in_any_way(tokens):
    (one,) = read_hotwords(["IPv6 => IP version 6"], None)
    assert (one.spoken, one.written) == ("IPv6", "IP version 6")
    lent = bias(tokens, "router")
    unit = float(added(lent, tokens, "x")[tokens.encode("c")[0]])
    assert added(lent, tokens, "x Rout")[token(tokens, "e")] == pytest.approx(unit), "with a capital too"


def test_an_exported_model_cannot(monkeypatch, small_writer):
    from speechxfer.decoding import seq2seq

    class Exported(torch.nn.Module):
        frame_seconds = 0.02

        def frame_lengths(self, lengths):
            return lengths

    monkeypatch.setattr(seq2seq, "Ct2Inference", Exported)
    with pytest.raises(ModelError, match="a prompt"):
        write(Exported(), [Features(torch.zeros(4, 2), 4)], load_model(small_writer).tokens, hotwords=[Hotword("a", "a")])

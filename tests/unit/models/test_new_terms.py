"""Terms with tokens of their own: spelled as one, begun as the mean of their pieces, and still a plain Whisper."""

import pytest
import torch
from transformers import WhisperForConditionalGeneration, WhisperTokenizer

from speechxfer import finetune, load_model
from speechxfer.models import add_terms
from speechxfer.recipe import Recipe


@pytest.fixture(scope="module")
def known(small_writer):
    return load_model(small_writer)


@pytest.fixture
def grown(small_writer):
    return add_terms(load_model(small_writer), ["router", "sim card", "router"])


def test_a_term_is_one_token_and_whole_words_only(grown, known):
    tokens, before = grown.tokens, known.tokens
    (router,) = tokens.encode("router")
    assert router >= len(before.tokenizer)
    assert tokens.encode("a router x") == [*before.encode("a"), router, *before.encode("x")]
    assert tokens.encode("routers") == before.encode("routers")
    text = "my router has a sim card"
    assert tokens.text(tokens.encode(text)) == text
    assert [word for word, _ in tokens.words(tokens.encode(text))] == ["my", "router", "has", "a", "sim card"]
    assert tokens.text([router, tokens.first_time, tokens.end]) == "router", "times and the end are no text"


def test_a_new_token_begins_as_the_mean_of_its_pieces_and_nothing_else_moves(grown, known):
    rows, before = (one.model.get_input_embeddings().weight for one in (grown, known))
    assert torch.equal(rows[: len(before)], before)
    (card,) = grown.tokens.encode("sim card")
    torch.testing.assert_close(rows[card], before[known.tokens.encode("sim card")].mean(dim=0))
    assert grown.model.get_output_embeddings().weight is rows and grown.model.config.vocab_size == len(rows)
    given = torch.tensor([[257, 259, *known.tokens.encode("ab")]])
    mel = torch.randn(1, 80, 3000, generator=torch.Generator().manual_seed(0))
    logits, old = (one.model(input_features=mel, decoder_input_ids=given).logits for one in (grown, known))
    torch.testing.assert_close(logits[..., : old.shape[-1]], old)


def test_a_run_teaches_them_and_transformers_loads_them(small_writer, tones, tmp_path):
    recipe = Recipe.model_validate(
        {
            "task": "seq2seq",
            "model": {"path": str(small_writer), "train": "decoder"},
            "whisper": {"new_terms": ["one", "Two"]},
            "data": {"train": str(tones)},
            "training": {"epochs": 1, "precision": "fp32"},
        }
    )
    finetune(recipe, tmp_path / "run")
    saved = load_model(tmp_path / "run")
    assert len(saved.tokens.encode("one two")) == 2
    assert saved.tokens.text(saved.tokens.encode("one two")) == "one two"
    model = WhisperForConditionalGeneration.from_pretrained(tmp_path / "run/model")
    tokenizer = WhisperTokenizer.from_pretrained(tmp_path / "run/model")
    assert model.config.vocab_size == len(tokenizer) == len(saved.tokens.tokenizer)
    (one,) = tokenizer.encode(" one", add_special_tokens=False)
    began = load_model(small_writer)
    mean = began.model.get_input_embeddings().weight[began.tokens.encode("one")].mean(dim=0)
    assert not torch.allclose(model.get_input_embeddings().weight[one], mean, atol=1e-6), "it learns"

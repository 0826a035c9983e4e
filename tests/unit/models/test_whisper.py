"""The adaptive encoder is the stock encoder wherever both run."""

import pytest
import torch
from transformers import WhisperModel

from speechxfer.models.whisper import AdaptiveWhisperEncoder


@pytest.fixture
def encoders(small_whisper):
    stock = WhisperModel.from_pretrained(small_whisper, dtype=torch.float32).encoder.eval()
    adaptive = AdaptiveWhisperEncoder(stock.config).eval()
    adaptive.load_state_dict(stock.state_dict(), strict=True)
    return stock, adaptive


def test_equals_the_stock_encoder_on_its_full_window(encoders):
    stock, adaptive = encoders
    mel = torch.randn(1, 80, 3000)
    with torch.no_grad():
        torch.testing.assert_close(adaptive(mel).last_hidden_state, stock(mel).last_hidden_state)


def test_refuses_more_than_it_has_positions_for(encoders):
    with pytest.raises(ValueError, match=r"1501 frames, but the model has 1500 positions"):
        encoders[1](torch.randn(1, 80, 3002))


def test_padding_and_neighbours_do_not_matter(encoders):
    adaptive = encoders[1]
    short, long = torch.randn(80, 50), torch.randn(80, 120)
    padded = torch.stack([torch.nn.functional.pad(short, (0, 70)), long])
    mask = (torch.arange(120) < torch.tensor([[50], [120]])).long()
    with torch.no_grad():
        alone = adaptive(short[None]).last_hidden_state[0]
        together = adaptive(padded, attention_mask=mask).last_hidden_state
        unmasked = adaptive(padded).last_hidden_state
    torch.testing.assert_close(together[0, :25], alone, atol=1e-5, rtol=1e-4)
    assert (unmasked[0, :25] - alone).abs().max() > 1e-2  # the mask is what makes it so

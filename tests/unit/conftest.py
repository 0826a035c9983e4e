"""A small random Whisper-shaped model, and generated clips."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel


@pytest.fixture(scope="session")
def small_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pretrained-style directory: three encoder layers of width 32, random weights."""
    directory = tmp_path_factory.mktemp("small-whisper")
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=32,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        vocab_size=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        init_std=0.2,  # large enough for attention to be far from uniform, so that a wrong mask shows
    )
    WhisperModel(config).save_pretrained(directory)
    WhisperFeatureExtractor().save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def clips() -> list[np.ndarray]:
    """Return noise clips of clearly different length, one shorter than a frame."""
    random = np.random.default_rng(0)
    return [random.normal(0, 0.1, size).astype(np.float32) for size in (100, 3_000, 16_000, 40_321)]

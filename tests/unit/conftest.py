"""A small random Whisper-shaped model, generated clips, and a set of spoken-like tones."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

RATE = 16_000
TONES = {"a": 300.0, "b": 1200.0, " ": 0.0}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep torch from waking a second thread for matrices this small, which takes longer than the sum itself."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


def save_wav2vec2(directory: Path, norm: str) -> Path:
    """Save three random layers of width 32: `group` and post-norm as in "base", or `layer` and pre-norm as in "large"."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        conv_bias=norm == "layer",
        layerdrop=0.5,
        initializer_range=0.2,
    )
    Wav2Vec2Model(config).save_pretrained(directory)
    Wav2Vec2FeatureExtractor(return_attention_mask=norm == "layer").save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def small_models(small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return pretrained-style directories of each family and norm style."""
    wav2vec2 = {norm: save_wav2vec2(tmp_path_factory.mktemp(f"small-wav2vec2-{norm}"), norm) for norm in ("group", "layer")}
    return {"whisper": small_whisper} | {f"wav2vec2-{norm}": directory for norm, directory in wav2vec2.items()}


@pytest.fixture(scope="session")
def clips() -> list[np.ndarray]:
    """Return noise clips of clearly different length, one shorter than a frame."""
    random = np.random.default_rng(0)
    return [random.normal(0, 0.1, size).astype(np.float32) for size in (100, 3_000, 16_000, 40_321)]


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a manifest of 60 clips by six speakers; the text spells the tones, the label is the first of them."""
    directory = tmp_path_factory.mktemp("tones")
    random = np.random.default_rng(0)
    rows = []
    for number in range(60):
        text = "".join(random.choice(["a", "b"], random.integers(1, 4)))
        parts = []
        for letter in text:
            time = np.arange(int(random.uniform(0.15, 0.25) * RATE)) / RATE
            parts += [0.3 * np.sin(2 * np.pi * TONES[letter] * time), np.zeros(RATE // 20)]
        soundfile.write(directory / f"{number}.wav", np.concatenate(parts) + random.normal(0, 0.01, sum(map(len, parts))), RATE)
        speaker = number % 6
        split = {4: "dev", 5: "test"}.get(speaker, "train")
        rows.append((f"{number}.wav", text, text[0], f"s{speaker}", split))
    with (directory / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("audio", "text", "label", "speaker", "split"), *rows])
    return directory / "manifest.csv"

"""A directory in; generated tones with a manifest, a small random model and a recipe for them in it, out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile

_RATE = 16_000
_SOUNDS = {"low": 220.0, "middle": 440.0, "high": 880.0, "highest": 1760.0}
_RECIPE = """\
task: classification
model: {{path: {model}, train: all}}
data: {{train: {manifest}}}
training: {{epochs: 12, batch_seconds: 32, encoder_learning_rate: 1e-3, head_learning_rate: 3e-3}}
"""


def make_demo(directory: Path) -> tuple[Path, Path]:
    """Make everything the demo needs; gives the recipe and one audio file of the test split."""
    audio = directory / "audio"
    audio.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = []
    for number in range(160):
        label = list(_SOUNDS)[number % len(_SOUNDS)]
        time = np.arange(int(random.uniform(0.4, 0.9) * _RATE)) / _RATE
        tone = np.sin(2 * np.pi * _SOUNDS[label] * random.uniform(0.95, 1.05) * time) * random.uniform(0.1, 0.5)
        file = audio / f"{label}-{number}.flac"
        soundfile.write(file, tone + random.normal(0, 0.02, len(time)), _RATE)
        split = "test" if number >= 120 else "dev" if number >= 100 else "train"
        rows.append((file.relative_to(directory), label, split))
    with (directory / "manifest.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("audio", "label", "split"), *rows])
    _save_random_model(directory / "random-model")
    recipe = directory / "recipe.yaml"
    recipe.write_text(_RECIPE.format(model=directory / "random-model", manifest=directory / "manifest.csv"))
    return recipe, directory / rows[-1][0]


def _save_random_model(directory: Path) -> None:
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=64,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=128,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=128,
        vocab_size=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    WhisperModel(config).save_pretrained(directory)
    WhisperFeatureExtractor().save_pretrained(directory)

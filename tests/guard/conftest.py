"""The place that the README and the documentation speak of, small enough for their commands to run in seconds."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

from tests.unit.conftest import save_complete_whisper

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Make the places that are named: recipes, two models, two manifests and a call."""
    place = tmp_path_factory.mktemp("first-hour")
    (place / "configs").symlink_to(ROOT / "configs")
    torch.manual_seed(0)
    small = {
        f"{half}_{what}": size for half in ("encoder", "decoder") for what, size in (("attention_heads", 2), ("ffn_dim", 32))
    }
    config = WhisperConfig(d_model=16, encoder_layers=4, decoder_layers=1, vocab_size=8, pad_token_id=0, bos_token_id=1, **small)
    WhisperModel(config).save_pretrained(place / "models/whisper-base")
    WhisperFeatureExtractor().save_pretrained(place / "models/whisper-base")
    save_complete_whisper(place / "models/whisper-tiny-en", positions=28, brief=True)
    random = np.random.default_rng(0)
    rows = [("audio", "text", "label", "speaker", "gender", "age", "split")]
    (place / "my").mkdir()
    for number in range(24):
        soundfile.write(place / f"my/{number}.wav", random.normal(0, 0.1, RATE), RATE)
        split = ("train", "train", "dev", "test")[number % 4]
        text = ("stop", "transfer me to billing")[number % 2]
        rows.append((f"{number}.wav", text, number % 2, number % 4, "fm"[number % 2], number, split))
        command = place / "my/commands" / ("stop", "billing")[number % 2]
        command.mkdir(parents=True, exist_ok=True)
        soundfile.write(command / f"{number}.wav", random.normal(0, 0.1, RATE), RATE)
    for manifest in (place / "my/manifest.csv", place / "other/manifest.csv"):
        manifest.parent.mkdir(exist_ok=True)
        with manifest.open("w", newline="") as file:
            csv.writer(file).writerows([(f"../my/{row[0]}" if row is not rows[0] else row[0], *row[1:]) for row in rows])
    soundfile.write(place / "call.wav", random.normal(0, 0.1, (3 * 8_000, 2)), 8_000)
    for folder, name in (("calls", "1.wav"), ("archive/may", "2.mp3")):
        (place / folder).mkdir(parents=True)
        soundfile.write(place / folder / name, random.normal(0, 0.1, 3 * 8_000), 8_000)
    (place / "calls/manifest.csv").write_text("audio\n1.wav\n")
    (place / "said.txt").write_text("stop\n")
    (place / "texts.txt").write_text("stop\n")
    return place

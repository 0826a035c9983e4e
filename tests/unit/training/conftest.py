"""A set of spoken-like tones: two commands, or texts of two letters, a tone for each."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 16_000
TONES = {"a": 300.0, "b": 1200.0, " ": 0.0}


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

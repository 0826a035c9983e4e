"""The `Trainer` of transformers as the benchmarks of fine-tuning compare with it: its data, its clock, its defaults."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments, Wav2Vec2FeatureExtractor

from speechxfer.data import Manifest, load_audio

RATE = 16_000
BATCH_SIZE = 8  # the Trainer's default


class Clips(Dataset[dict[str, Any]]):
    """Samples, normalised alone, and targets, in memory."""

    def __init__(self, manifest: Manifest, targets: Sequence[Any]) -> None:
        extractor = Wav2Vec2FeatureExtractor()
        self.items = []
        for utterance, target in zip(manifest, targets, strict=True):
            values = extractor(load_audio(utterance, RATE), sampling_rate=RATE)["input_values"][0]
            self.items.append({"input_values": np.asarray(values, dtype=np.float32), "labels": target, "length": len(values)})

    def __len__(self) -> int:
        """Give the number of clips."""
        return len(self.items)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Give one clip."""
        return self.items[row]


def pad(items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """Make a batch as the example scripts do."""
    longest = max(len(item["input_values"]) for item in items)
    values = np.zeros((len(items), longest), dtype=np.float32)
    for row, item in enumerate(items):
        values[row, : len(item["input_values"])] = item["input_values"]
    if isinstance(items[0]["labels"], int):
        return {"input_values": torch.from_numpy(values), "labels": torch.tensor([item["labels"] for item in items])}
    labels = torch.full((len(items), max(len(item["labels"]) for item in items)), -100)
    for row, item in enumerate(items):
        labels[row, : len(item["labels"])] = torch.tensor(item["labels"])
    return {"input_values": torch.from_numpy(values), "labels": labels}


class EpochTimes(TrainerCallback):
    """Notes when each epoch begins and ends."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._begin = time.perf_counter()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """Stop it."""
        self.seconds.append(time.perf_counter() - self._begin)


def train_peer(model: Any, clips: Dataset[Any], collator: Any, times: EpochTimes, folder: Path, **options: Any) -> None:
    """Let the Trainer train a model, without saving or reporting anything, in its defaults but for these options."""
    arguments: dict[str, Any] = {
        "per_device_train_batch_size": BATCH_SIZE,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }
    Trainer(
        model,
        TrainingArguments(output_dir=str(folder / "trainer"), **(arguments | options)),
        data_collator=collator,
        processing_class=Wav2Vec2FeatureExtractor(),  # says in which column lengths are to be looked for
        train_dataset=clips,
        callbacks=[times],
    ).train()

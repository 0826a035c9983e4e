"""A `Trainer` script with a pretrained encoder that stays frozen, and the two lines that keep it from running in every epoch.

The demo's spoken commands and the model that comes with the package; an epoch over stored features takes a moment.
"""

import csv
import json
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch.utils.data import Dataset
from transformers import (
    DataCollator,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

import speechxfer

assets = Path(str(files("speechxfer"))) / "assets"
demo = assets / "demo" / "commands.csv"
extractor = Wav2Vec2FeatureExtractor.from_pretrained(assets / "tiny", return_attention_mask=True)
samples, rate = soundfile.read(demo.with_suffix(".ogg"), dtype="float32")
table = [*csv.DictReader(demo.open(encoding="utf-8"))]
labels = sorted({row["label"] for row in table})


class Commands(Dataset[dict[str, Any]]):
    """The commands of one split."""

    def __init__(self, split: str) -> None:
        self.rows = [row for row in table if row["split"] == split]

    def __len__(self) -> int:
        """Give the number of commands."""
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Give one command as the model takes it."""
        row = self.rows[number]
        clip = samples[round(float(row["start"]) * rate) : round(float(row["end"]) * rate)]
        return {"input_values": extractor(clip, sampling_rate=rate)["input_values"][0], "label": labels.index(row["label"])}


torch.manual_seed(0)
model = Wav2Vec2ForSequenceClassification.from_pretrained(
    assets / "tiny",
    id2label=dict(enumerate(labels)),
    label2id={label: n for n, label in enumerate(labels)},
    dtype=torch.float32,
)
model.base_model.requires_grad_(False)
sets = {"train": Commands("train"), "dev": Commands("dev")}
collator: DataCollator = DataCollatorWithPadding(extractor)  # type: ignore[arg-type]

# The first of the two lines. Without it everything below works as it stands, and every epoch runs the encoder.
model, sets, collator = speechxfer.split_for_trainer(model, sets, collator)

with tempfile.TemporaryDirectory() as directory:
    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir=directory, num_train_epochs=20, learning_rate=3e-3, report_to=[], save_strategy="no", disable_tqdm=True
        ),
        train_dataset=sets["train"],
        eval_dataset=sets["dev"],
        data_collator=collator,
        processing_class=extractor,
        compute_metrics=lambda found: {"accuracy": float(np.mean(np.argmax(found.predictions, -1) == found.label_ids))},
        # The second line: what training was worth on speakers that it never heard.
        callbacks=[speechxfer.ProofCallback(f"{demo}[split=test]", extractor)],
    )
    trainer.train()
    trainer.save_model()
    print("right on dev:", trainer.evaluate()["eval_accuracy"])
    print(json.loads((Path(directory) / "report.json").read_text(encoding="utf-8"))["proof"]["test"]["sentence"])
    Wav2Vec2ForSequenceClassification.from_pretrained(directory)  # saved as ever

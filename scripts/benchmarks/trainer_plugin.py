"""A `Trainer` script with a frozen encoder, with `split_for_trainer` and without: time per epoch, losses, metric.

    python scripts/benchmarks/trainer_plugin.py --shared ../shared [--quick]

Put together as the CTC example of transformers is: a `datasets.Dataset` of inputs and labels, a collator that pads both apart,
WER by jiwer, the Trainer's defaults. The shape of wav2vec2-base with layer norm in its stem and random weights, head only, real
speech (an4). Dropout, layerdrop and masks are 0 in both scripts, so that losses can be compared, which also spares the plain one
their time. The plain script runs twice: as the example has it, and in its best setting here (bf16 where the CPU multiplies it,
rows as arrays, batches of like length). Quick: 6 utterances, 2 epochs, a third of the width and a quarter of the layers.
The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import jiwer
import numpy as np
import torch
from peer_trainer import EpochTimes
from transformers import (
    DataCollator,
    Trainer,
    TrainingArguments,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

from speechxfer import read_manifest, split_for_trainer
from speechxfer.data import Manifest, Vocabulary, load_audio, normalise
from speechxfer.models import choose_device, choose_precision

RATE = 16_000
SMALL = {"hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 1024, "conv_dim": (160,) * 7}
BARS = {"epoch_ratio": 10.0, "loss_difference": 1e-4}


@dataclass
class Padding:
    """Pads audio and labels apart."""

    extractor: Wav2Vec2FeatureExtractor
    tokenizer: Wav2Vec2CTCTokenizer

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Make a batch."""
        audio = [{"input_values": row["input_values"]} for row in rows]
        batch = self.extractor.pad(audio, padding=True, return_tensors="pt")
        labels = self.tokenizer.pad(
            {"input_ids": [[*map(int, row["labels"])] for row in rows]}, padding=True, return_tensors="pt"
        )
        batch["labels"] = labels["input_ids"].masked_fill(labels["attention_mask"].ne(1), -100)
        return dict(batch)


class Script:
    """All that the scripts share."""

    def __init__(self, manifest: Manifest, folder: Path, shape: dict[str, Any], epochs: int) -> None:
        self.shape, self.epochs = shape, epochs
        texts = [normalise(text, "basic") for text in manifest.columns["text"]]
        self.vocabulary = Vocabulary.from_texts(texts)
        self.vocabulary.save(folder)
        self.folder = folder
        self.extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        self.tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder)
        audio = [self.extractor(load_audio(one, RATE), sampling_rate=RATE)["input_values"][0] for one in manifest]
        lengths = [len(one) for one in audio]
        labels = [self.tokenizer(text).input_ids for text in texts]
        self.rows = datasets.Dataset.from_dict({"input_values": audio, "labels": labels, "length": lengths})

    def model(self) -> Wav2Vec2ForCTC:
        """Give the same model each time."""
        torch.manual_seed(0)
        calm: dict[str, Any] = dict.fromkeys(("hidden", "activation", "attention", "feat_proj", "final"), 0.0)
        config = Wav2Vec2Config(
            feat_extract_norm="layer",
            conv_bias=True,
            layerdrop=0.0,
            apply_spec_augment=False,
            vocab_size=len(self.vocabulary),
            pad_token_id=0,
            ctc_loss_reduction="mean",
            ctc_zero_infinity=True,
            **{f"{name}_dropout": value for name, value in calm.items()},
            **self.shape,
        )
        model = Wav2Vec2ForCTC(config)
        model.freeze_base_model()
        return model

    def metrics(self, prediction: Any) -> dict[str, float]:
        """Give WER."""
        labels = np.where(prediction.label_ids == -100, 0, prediction.label_ids)
        answers = self.tokenizer.batch_decode(prediction.predictions.argmax(axis=-1))
        return {"wer": jiwer.wer(self.tokenizer.batch_decode(labels, group_tokens=False), answers)}

    def run(self, *, two_lines: bool = False, as_arrays: bool = False, **arguments: Any) -> dict[str, Any]:
        """Train; give the seconds of preparation and of each epoch, losses and WER."""
        model, rows = self.model(), self.rows
        collator: DataCollator = Padding(self.extractor, self.tokenizer)
        if as_arrays:
            rows = rows.with_format("numpy")
        begin = time.perf_counter()
        if two_lines:
            model, rows, collator = split_for_trainer(model, rows, collator)
        prepared = time.perf_counter() - begin
        clock = EpochTimes()
        options: dict[str, Any] = {"num_train_epochs": self.epochs, "logging_steps": 1, "learning_rate": 1e-3} | arguments
        quiet: dict[str, Any] = {"report_to": [], "save_strategy": "no", "disable_tqdm": True, "log_level": "error"}
        # Without it the Trainer takes bf16 for a matter of GPUs, also on a CPU that has it.
        quiet["use_cpu"] = choose_device("auto").type == "cpu"
        trainer = Trainer(
            model,
            TrainingArguments(output_dir=str(self.folder / "out"), **options, **quiet),
            train_dataset=rows,
            eval_dataset=rows.select(range(4)),
            data_collator=collator,
            compute_metrics=self.metrics,
            processing_class=self.extractor,
            callbacks=[clock],
        )
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        found = trainer.evaluate()
        return {"prepared": prepared, "epochs": clock.seconds, "losses": losses, "eval_loss": found["eval_loss"]} | {
            "wer": found["eval_wer"]
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--utterances", type=int, default=64)
    parser.add_argument("--quick", action="store_true", help="6 utterances, a smaller model")
    arguments = parser.parse_args()
    count, shape, epochs = (6, SMALL, 2) if arguments.quick else (arguments.utterances, {}, 3)
    everything = read_manifest(f"{arguments.shared / 'data/an4/manifest.csv'}[split=train]")
    manifest = everything.select(range(0, len(everything), len(everything) // count)[:count])
    best: dict[str, Any] = {"as_arrays": True, "train_sampling_strategy": "group_by_length"}
    best["bf16"] = choose_precision("auto", choose_device("auto")) == "bf16"
    with tempfile.TemporaryDirectory() as name:
        script = Script(manifest, Path(name), shape, epochs)
        plain, kept, at_best = script.run(), script.run(two_lines=True), script.run(**best)
    figures = judge_runs(plain, kept, at_best, sum(script.rows["length"]) / RATE)
    bars = {
        "epoch_ratio": [figures["epoch_ratio"], BARS["epoch_ratio"], figures["epoch_ratio"] >= BARS["epoch_ratio"]],
        "loss_difference": [
            figures["loss_difference"],
            BARS["loss_difference"],
            figures["loss_difference"] <= BARS["loss_difference"],
        ],
    }
    print(json.dumps({"benchmark": "trainer_plugin", "figures": figures, "bars": bars}))
    sys.exit(not all(met for _, _, met in bars.values()))


def judge_runs(plain: dict[str, Any], kept: dict[str, Any], at_best: dict[str, Any], seconds: float) -> dict[str, float]:
    """Set the runs beside each other; an epoch is the mean of those after the first."""
    for name, run in (("plain", plain), ("two lines", kept), ("plain, best", at_best)):
        epochs = ", ".join(f"{one:.3f}" for one in run["epochs"])
        print(
            f"{name}: {run['prepared']:.2f} s before, epochs {epochs} s, eval loss {run['eval_loss']:.5f}, WER {run['wer']:.3f}"
        )
    later = {name: float(np.mean(run["epochs"][1:])) for name, run in (("plain", plain), ("kept", kept), ("best", at_best))}
    pairs = [*zip(plain["losses"], kept["losses"], strict=True), (plain["eval_loss"], kept["eval_loss"])]
    return {
        "epoch_ratio": round(later["plain"] / later["kept"], 1),
        "epoch_ratio_best": round(later["best"] / later["kept"], 1),
        "total_ratio": round(sum(plain["epochs"]) / (kept["prepared"] + sum(kept["epochs"])), 2),
        "loss_difference": max(abs(first - second) / max(1.0, abs(first)) for first, second in pairs),
        "wer_difference": abs(plain["wer"] - kept["wer"]),
        "audio_seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()

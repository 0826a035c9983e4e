"""Fine-tuning a head on a frozen Whisper encoder: the feature store and the adaptive context, apart, against the `Trainer`.

    python scripts/benchmarks/finetune_speed_whisper.py --shared ../shared [--quick]

`whisper-base-encoder` with its real weights. Classification (fsdd, 20 epochs) against `WhisperForAudioClassification` under a
Trainer as its example script uses it, the encoder frozen, in its defaults and in the faster of fp32 and bf16: that class computes
thirty seconds whatever there is. What the context alone brings is the Trainer's epoch against ours without the store; what the
store brings, ours without against ours with it. CTC (speechocean762, 10 epochs) has no such class: ours without the store against
ours. Two later epochs of ours are timed, one of the Trainer; a total is the first plus so many times the later ones.
The last line printed is one JSON object.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from finetune_speed import Row, Times, subset, time_ours
from peer_trainer import BATCH_SIZE, RATE, EpochTimes, train_peer
from torch import Tensor
from torch.utils.data import Dataset
from transformers import WhisperFeatureExtractor, WhisperForAudioClassification

from speechxfer import read_manifest
from speechxfer.data import Manifest, load_audio
from speechxfer.models import choose_device, choose_precision

ROWS = (
    Row("whisper_head_classification", "classification", "head", "fsdd", 20),
    Row("whisper_head_ctc", "ctc", "head", "speechocean762", 10),
)


class Spectrograms(Dataset[dict[str, Any]]):
    """Log-mel inputs of thirty seconds, and labels, in memory."""

    def __init__(self, manifest: Manifest, labels: Sequence[str], model: Path) -> None:
        extractor = WhisperFeatureExtractor.from_pretrained(model)
        self.items = [
            {
                "input_features": extractor(load_audio(utterance, RATE), sampling_rate=RATE)["input_features"][0],
                "labels": labels.index(label),
            }
            for utterance, label in zip(manifest, manifest.columns["label"], strict=True)
        ]

    def __len__(self) -> int:
        """Give the number of clips."""
        return len(self.items)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Give one clip."""
        return self.items[row]


def stack(items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """Make a batch; all inputs are of one length."""
    inputs = torch.stack([torch.as_tensor(item["input_features"]) for item in items])
    return {"input_features": inputs, "labels": torch.tensor([item["labels"] for item in items])}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--utterances", type=int, default=32)
    parser.add_argument("--quick", action="store_true", help="8 utterances")
    arguments = parser.parse_args()
    count = 8 if arguments.quick else arguments.utterances
    model = arguments.shared / "models" / "whisper-base-encoder"
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for row in ROWS:
            manifest = subset(arguments.shared / "data", row.data, count, Path(name))
            figures |= measure(row, model, manifest, Path(name))
    print(json.dumps({"benchmark": "finetune_speed_whisper", "figures": figures, "bars": {}}))


def measure(row: Row, model: Path, manifest: Path, folder: Path) -> dict[str, Any]:
    """Time one row; gives its figures."""
    train = read_manifest(f"{manifest}[split=train]")
    batch_seconds = BATCH_SIZE * sum(len(load_audio(utterance, RATE)) for utterance in train) / RATE / len(train)
    device = choose_device("cpu")
    ours, losses = time_ours(row, model, manifest, folder / row.name, batch_seconds, device, store=True)
    uncached, same = time_ours(row, model, manifest, folder / f"{row.name}-uncached", batch_seconds, device, store=False)
    print(f"{row.name}: ours {ours}, without the store {uncached}; losses {losses}, {same}", flush=True)
    figures = {
        f"{row.name}_store_epoch_ratio": round(uncached.later / ours.later, 1),
        f"{row.name}_store_total_ratio": round(uncached.total(row.epochs) / ours.total(row.epochs), 2),
    }
    if row.task == "ctc":
        return figures
    labels = sorted(set(train.columns["label"]))
    clips = Spectrograms(train, labels, model)
    default = time_trainer(model, clips, len(labels), folder, bf16=False)
    best = default
    if choose_precision("auto", device) == "bf16":
        best = min(default, time_trainer(model, clips, len(labels), folder, bf16=True), key=lambda times: times.later)
    print(f"{row.name}: Trainer {default}, at best {best}", flush=True)
    return figures | {
        f"{row.name}_total_ratio": round(default.total(row.epochs) / ours.total(row.epochs), 1),
        f"{row.name}_total_ratio_best": round(best.total(row.epochs) / ours.total(row.epochs), 1),
        f"{row.name}_context_ratio_best": round(best.later / uncached.later, 1),
    }


def time_trainer(model: Path, clips: Spectrograms, labels: int, folder: Path, *, bf16: bool) -> Times:
    """Let the Trainer fine-tune the head for two epochs."""
    torch.manual_seed(0)
    peer = WhisperForAudioClassification.from_pretrained(model, num_labels=labels, dtype=torch.float32)
    peer.freeze_encoder()
    times = EpochTimes()
    train_peer(peer, clips, stack, times, folder, num_train_epochs=2, use_cpu=True, bf16=bf16)
    return Times(times.seconds)


if __name__ == "__main__":
    main()

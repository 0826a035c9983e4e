"""Fine-tuning with the feature store against the `Trainer` of transformers: same model, data and batch size.

    python scripts/benchmarks/finetune_speed.py --shared ../shared [--quick] [--rows NAME ...] [--device cuda --shape large]

The shape of wav2vec2-base, or of -large, with random weights. Rows: head-only classification (fsdd, 20 epochs, pooled), head-only
CTC, the upper two layers, and everything above the convolutions (speechocean762, 10 epochs), each on a subset of 128 utterances.
Some epochs are timed; a total is the first plus so many times the later ones. The Trainer runs as its example scripts use it
(`freeze_feature_encoder`, or the base model frozen), in its defaults and in its best setting here: precision, length grouping and
batch size, whichever is fastest.

A ceiling says what no cache can beat: E epochs of the Trainer's best against one pass of the frozen part and E epochs of what
trains, both timed alone on the same batches. The share of it that is reached is what this code is to be judged by. On a GPU also:
which share of its speed in bf16 matrix products the trained part reaches alone.
The last line printed is one JSON object; the exit code is 1 if a bar is missed. Bars are those of a CPU and the shape of -base.
"""

import argparse
import csv
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    Trainer,
    TrainerCallback,
    TrainingArguments,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Model,
)

from speechxfer import finetune, read_manifest, read_recipe
from speechxfer.data import Manifest, Vocabulary, load_audio, normalise, plan_batches
from speechxfer.features import FeatureSource, Item
from speechxfer.models import SplitModel, choose_device, choose_precision, collate, new_head, set_trainable

RATE = 16_000
BATCH_SIZE = 8  # the Trainer's default
LATER_EPOCHS = 2
SHAPES = {
    "base": {},
    "large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
    },
}


@dataclass(frozen=True)
class Row:
    """One comparison."""

    name: str
    task: str
    train: str
    data: str
    epochs: int


ROWS = (
    Row("head_classification", "classification", "head", "fsdd", 20),
    Row("head_ctc", "ctc", "head", "speechocean762", 10),
    Row("top2_ctc", "ctc", "top:2", "speechocean762", 10),
    Row("encoder", "ctc", "encoder", "speechocean762", 10),
)


@dataclass(frozen=True)
class Times:
    """Seconds of the first epoch, and of one of those after it."""

    first: float
    later: float

    def total(self, epochs: int) -> float:
        """Give the seconds of so many epochs."""
        return self.first + (epochs - 1) * self.later


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--utterances", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", choices=[*SHAPES], default="base")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], default=[row.name for row in ROWS])
    parser.add_argument("--quick", action="store_true", help="8 utterances, and two rows")
    arguments = parser.parse_args()
    count = 8 if arguments.quick else arguments.utterances
    device = choose_device(arguments.device)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = folder / "base"
        torch.manual_seed(0)
        Wav2Vec2Model(Wav2Vec2Config(**SHAPES[arguments.shape])).save_pretrained(base)
        Wav2Vec2FeatureExtractor(return_attention_mask=arguments.shape == "large").save_pretrained(base)
        for row in ROWS[:2] if arguments.quick else [row for row in ROWS if row.name in arguments.rows]:
            figures |= measure(row, base, subset(arguments.shared / "data", row.data, count, folder), folder, device)
    figures["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    bars = judge(figures) if arguments.device == "cpu" and arguments.shape == "base" else {}
    print(json.dumps({"benchmark": "finetune_speed", "figures": figures, "bars": bars}))
    sys.exit(not all(met for _, _, met in bars.values()))


def judge(figures: dict[str, Any]) -> dict[str, list[Any]]:
    """Set the figures beside their bars."""
    wanted = {
        "head_classification_total_ratio": 40.0,
        "head_ctc_total_ratio": 8.0,
        "top2_ctc_epoch_ratio": 4.0,
        "losses_equal": 1,
    }
    wanted |= {name: 0.9 for name in figures if name.endswith("ceiling_share")}
    return {name: [figures[name], bar, figures[name] >= bar] for name, bar in wanted.items() if name in figures}


def subset(data: Path, name: str, count: int, folder: Path) -> Path:
    """Write a manifest of every n-th training clip, and a few for dev and test."""
    read = read_manifest(f"{data / name / 'manifest.csv'}[split=train]")
    path = folder / f"{name}.csv"
    step = max(1, len(read) // (count + 8))
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("audio", "text", "label", "split"))
        for number in range(count + 8):
            utterance = read[number * step]
            split = "train" if number < count else "dev" if number % 2 else "test"
            table.writerow((utterance.audio, utterance.text or "", utterance.label or "", split))
    return path


def measure(row: Row, base: Path, manifest: Path, folder: Path, device: torch.device) -> dict[str, Any]:
    """Time one row; gives its figures."""
    train = read_manifest(f"{manifest}[split=train]")
    texts = [normalise(text, "basic") for text in train.columns["text"]]
    vocabulary = Vocabulary.from_texts(texts)
    labels = sorted(set(train.columns["label"]))
    targets: list[Any] = [vocabulary.encode(text) for text in texts]
    if row.task == "classification":
        targets = [labels.index(label) for label in train.columns["label"]]
    clips = Clips(train, targets)
    seconds = [len(item["input_values"]) / RATE for item in clips.items]
    batch_seconds = BATCH_SIZE * float(np.mean(seconds))

    ours, losses = time_ours(row, base, manifest, folder / row.name, batch_seconds, device, store=True)
    _, uncached = time_ours(row, base, manifest, folder / f"{row.name}-uncached", batch_seconds, device, store=False)
    default = time_trainer(row, base, clips, len(labels), len(vocabulary), {}, folder, device)
    best_options = fastest_options(row, base, clips, len(labels), len(vocabulary), folder, device)
    best = time_trainer(row, base, clips, len(labels), len(vocabulary), best_options, folder, device)
    frozen, suffix, peak_share = time_alone(row, base, train, targets, labels, vocabulary, seconds, batch_seconds, device)
    ceiling = row.epochs * best.later / (frozen + row.epochs * suffix)
    ratio, best_ratio = (peer.total(row.epochs) / ours.total(row.epochs) for peer in (default, best))
    print(
        f"{row.name}: ours {ours.first:.2f} + {ours.later:.3f} s an epoch; Trainer {default.later:.2f}, at best {best.later:.2f} "
        f"({best_options}); frozen part alone {frozen:.2f}, what trains {suffix:.3f}; ceiling {ceiling:.1f}",
        flush=True,
    )
    equal = int(np.allclose(losses, uncached, rtol=1e-3))
    if not equal:
        print(f"losses with the store {losses}, without {uncached}")
    share = best_ratio / ceiling
    kept = {"losses_equal": equal, f"{row.name}_ceiling": round(ceiling, 1)}
    if peak_share is not None:
        kept |= {f"{row.name}_peak_share": round(peak_share, 3), f"{row.name}_seconds": [ours.first, ours.later, best.later]}
    if row.name == "encoder":
        return kept | {"encoder_ceiling_share": round(share, 3)}
    of = "epoch" if row.train.startswith("top") else "total"
    value = default.later / ours.later if of == "epoch" else ratio
    if of == "epoch":
        share = (best.later / ours.later) / (best.later / suffix)
    return kept | {f"{row.name}_{of}_ratio": round(value, 2), f"{row.name}_{of}_ratio_ceiling_share": round(share, 3)}


def time_ours(
    row: Row, base: Path, manifest: Path, out: Path, batch_seconds: float, device: torch.device, *, store: bool
) -> tuple[Times, list[float]]:
    """Fine-tune as a user does; gives times, and the loss of each epoch."""
    given = [f"task={row.task}", f"model.path={base}", f"model.train={row.train}", f"store.enabled={str(store).lower()}"]
    given += [f"data.{name}={manifest}[split={name}]" for name in ("train", "dev", "test")]
    given += [f"training.epochs={1 + LATER_EPOCHS}", f"training.batch_seconds={batch_seconds}"]
    given += ["report.audio=false", f"training.device={device}"]
    recipe = out.with_suffix(".yaml")
    recipe.write_text("{}", encoding="utf-8")
    finetune(read_recipe(recipe, given), out)
    events = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    epochs = [event for event in events if event["event"] == "epoch"]
    spent = [event["train_seconds"] for event in epochs]
    return Times(spent[0], float(np.mean(spent[1:]))), [event["loss"] for event in epochs]


def time_trainer(
    row: Row,
    base: Path,
    clips: Clips,
    labels: int,
    symbols: int,
    options: dict[str, Any],
    folder: Path,
    device: torch.device,
    epochs: int = 2,
) -> Times:
    """Let the Trainer do the same."""
    torch.manual_seed(0)
    shape = {"vocab_size": symbols, "pad_token_id": 0, "ctc_loss_reduction": "mean"}
    if row.task == "classification":
        model: Any = Wav2Vec2ForSequenceClassification.from_pretrained(base, num_labels=labels)
    else:
        model = Wav2Vec2ForCTC.from_pretrained(base, **shape)
    model.freeze_feature_encoder()
    if row.train == "head":
        model.freeze_base_model()
    elif row.train.startswith("top"):
        model.freeze_base_model()
        for layer in model.wav2vec2.encoder.layers[-int(row.train.partition(":")[2]) :]:
            layer.requires_grad_(True)
    times = EpochTimes()
    train_peer(model, clips, pad, times, folder, num_train_epochs=epochs, use_cpu=device.type == "cpu", **options)
    return Times(times.seconds[0], float(np.mean(times.seconds[1:] or times.seconds)))


def train_peer(model: Any, clips: Dataset[Any], collator: Any, times: EpochTimes, folder: Path, **options: Any) -> None:
    """Let the Trainer train a model, without saving or reporting anything, in its defaults but for these options."""
    arguments = {"per_device_train_batch_size": BATCH_SIZE, "save_strategy": "no", "report_to": [], "disable_tqdm": True}
    Trainer(
        model,
        TrainingArguments(output_dir=str(folder / "trainer"), **(arguments | options)),
        data_collator=collator,
        processing_class=Wav2Vec2FeatureExtractor(),  # says in which column lengths are to be looked for
        train_dataset=clips,
        callbacks=[times],
    ).train()


def fastest_options(
    row: Row, base: Path, clips: Clips, labels: int, symbols: int, folder: Path, device: torch.device
) -> dict[str, Any]:
    """Find what suits the Trainer best: each setting is tried for an epoch."""
    tried = []
    precisions = (False, True) if choose_precision("auto", device) == "bf16" else (False,)
    for bf16 in precisions:
        for size in (4, 8, 16):
            options = {"bf16": bf16, "per_device_train_batch_size": size, "train_sampling_strategy": "group_by_length"}
            tried.append((time_trainer(row, base, clips, labels, symbols, options, folder, device, epochs=1).first, options))
    return min(tried, key=lambda pair: pair[0])[1]


def time_alone(
    row: Row,
    base: Path,
    train: Manifest,
    targets: Sequence[Any],
    labels: Sequence[str],
    vocabulary: Vocabulary,
    seconds: Sequence[float],
    batch_seconds: float,
    device: torch.device,
) -> tuple[float, float, float | None]:
    """Time one pass of the frozen part and one epoch of what trains on features that exist; on a GPU, its share of the peak."""
    precision = choose_precision("auto", device)
    model = new_head(base, row.task, vocabulary=vocabulary if row.task == "ctc" else None, labels=labels)
    set_trainable(model.model, model.family, row.train)
    split = SplitModel(model.model.to(device), model.family)
    source = FeatureSource(split, model.frontend, None, precision)
    items = [Item(utterance, length) for utterance, length in zip(train, seconds, strict=True)]
    begin = time.perf_counter()
    features = source.features(items)  # which are on the CPU, so that none is still being computed
    frozen = time.perf_counter() - begin
    trained = [parameter for parameter in split.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    split.train()
    batches = [(collate([features[row] for row in rows]).to(device), rows) for rows in plan_batches(seconds, batch_seconds)]

    def epoch() -> None:
        for batch, rows in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                logits = split(batch)
            if row.task == "classification":
                wanted = torch.tensor([targets[row] for row in rows], device=device)
                loss = nn.functional.cross_entropy(logits.float(), wanted)
            else:
                lengths = torch.tensor([len(targets[row]) for row in rows])
                flat = torch.tensor([number for row in rows for number in targets[row]], device=device)
                log_probs = logits.float().log_softmax(-1).transpose(0, 1)
                loss = nn.functional.ctc_loss(log_probs, flat, split.frame_lengths(batch.input_lengths), lengths)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
        wait_for(device)

    spent = min(seconds_of(epoch) for _ in range(3))
    if device.type == "cpu":
        return frozen, spent, None
    with FlopCounterMode(display=False) as counter:
        epoch()
    return frozen, spent, counter.get_total_flops() / spent / flops_per_second(device)


def wait_for(device: torch.device) -> None:
    """Let a GPU finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object]) -> float:
    """Time a piece of work."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def flops_per_second(device: torch.device) -> float:
    """Give what the device reaches in a large product of bf16 matrices."""
    size = 8192
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))

    def products() -> None:
        for _ in range(10):
            torch.mm(left, right)
        wait_for(device)

    return 10 * 2 * size**3 / min(seconds_of(products) for _ in range(3))


if __name__ == "__main__":
    main()

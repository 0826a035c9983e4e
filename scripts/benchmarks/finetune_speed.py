"""Fine-tuning with the feature store against the `Trainer` of transformers: same model, data and batch size.

    python scripts/benchmarks/finetune_speed.py [--quick | --full] [--rows NAME ...] [--device cuda] [--shape large]

The shape of wav2vec2-base, or of -large, with random weights. Rows: head-only classification (fsdd, 20 epochs, pooled), head-only
CTC, the upper two layers, and everything above the convolutions (speechocean762, 10 epochs), each on a subset of 128 utterances.
Some epochs are timed; a total is the first plus so many times the later ones, which `--full` checks by running them all. The
Trainer runs as its example scripts use it (`freeze_feature_encoder`, or the base model frozen), in its defaults and in its best
setting here: precision, length grouping and batch size, whichever is fastest. SpeechBrain beside head-only CTC, if installed.

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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peer_trainer import BATCH_SIZE, RATE, Clips, EpochTimes, pad, train_peer
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Model,
)

from speechxfer import finetune, read_manifest, read_recipe
from speechxfer.data import Manifest, Vocabulary, normalise, plan_batches
from speechxfer.features import FeatureSource, Item
from speechxfer.models import SplitModel, choose_device, choose_precision, collate, new_head, set_trainable

LATER_EPOCHS = 2
SHAPES: dict[str, dict[str, Any]] = {
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
    """Seconds of each epoch that was run."""

    epochs: Sequence[float]

    @property
    def first(self) -> float:
        """Seconds of the first."""
        return self.epochs[0]

    @property
    def later(self) -> float:
        """Seconds of one after it, or of the only one."""
        return float(np.mean(self.epochs[1 : 1 + LATER_EPOCHS] or self.epochs))

    def total(self, epochs: int) -> float:
        """Compute the seconds of so many epochs."""
        return self.first + (epochs - 1) * self.later


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--utterances", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", choices=[*SHAPES], default="base")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], default=[row.name for row in ROWS])
    parser.add_argument("--full", action="store_true", help="run all epochs of both sides, to check the computed totals")
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
            manifest = subset(arguments.shared / "data", row.data, count, folder)
            figures |= measure(row, base, manifest, folder, device, full=arguments.full)
    figures["store_mb"] = max(value for name, value in figures.items() if name.endswith("store_mb"))
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
    """Write a manifest of every n-th training clip, one for dev and one for test."""
    read = read_manifest(f"{data / name / 'manifest.csv'}[split=train]")
    path = folder / f"{name}.csv"
    step = max(1, len(read) // (count + 2))
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("audio", "text", "label", "split"))
        for number, split in enumerate(("train",) * count + ("dev", "test")):
            utterance = read[number * step]
            table.writerow((utterance.audio, utterance.text or "", utterance.label or "", split))
    return path


def measure(row: Row, base: Path, manifest: Path, folder: Path, device: torch.device, *, full: bool) -> dict[str, Any]:
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

    epochs = {"epochs": row.epochs} if full else {}
    ours, losses = time_ours(row, base, manifest, folder / row.name, batch_seconds, device, store=True, **epochs)
    _, uncached = time_ours(row, base, manifest, folder / f"{row.name}-uncached", batch_seconds, device, store=False, **epochs)
    default = time_trainer(row, base, clips, len(labels), len(vocabulary), {}, folder, device, **epochs)
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
    kept: dict[str, Any] = {"losses_equal": equal, f"{row.name}_ceiling": round(ceiling, 1)}
    kept[f"{row.name}_store_mb"] = max(stage["store_mb"] for stage in events(folder / row.name, "stage_end"))
    if row.name == "head_ctc" and find_spec("speechbrain"):
        from peer_speechbrain import time_head

        brain = Times(time_head(base, clips.items, len(vocabulary), folder, 2))
        print(f"{row.name}: SpeechBrain {brain.first:.2f}, then {brain.later:.2f} s an epoch", flush=True)
        kept["head_ctc_total_ratio_speechbrain"] = round(brain.total(row.epochs) / ours.total(row.epochs), 2)
    if full:
        kept[f"{row.name}_computed_to_measured"] = [round(one.total(row.epochs) / sum(one.epochs), 3) for one in (ours, default)]
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
    row: Row,
    base: Path,
    manifest: Path,
    out: Path,
    batch_seconds: float,
    device: torch.device,
    *,
    store: bool,
    epochs: int = 1 + LATER_EPOCHS,
) -> tuple[Times, list[float]]:
    """Fine-tune as a user does; gives times, and the loss of each epoch.

    The first epoch's time holds all that the stage does before it, and the scoring of the one utterance of dev after it.
    """
    given = [f"task={row.task}", f"model.path={base}", f"model.train={row.train}", f"store.enabled={str(store).lower()}"]
    given += [f"data.{name}={manifest}[split={name}]" for name in ("train", "dev", "test")]
    given += [f"training.epochs={epochs}", f"training.batch_seconds={batch_seconds}"]
    given += ["report.audio=false", f"training.device={device}"]
    recipe = out.with_suffix(".yaml")
    recipe.write_text("{}", encoding="utf-8")
    finetune(read_recipe(recipe, given), out)
    done = events(out, "epoch")
    first = done[0]["elapsed_seconds"] - events(out, "stage")[0]["elapsed_seconds"]
    return Times([first, *(event["train_seconds"] for event in done[1:])]), [event["loss"] for event in done]


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    """Give one kind of event from a run's log."""
    logged = map(json.loads, (run / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [event for event in logged if event["event"] == kind]


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
    shape: dict[str, Any] = {"vocab_size": symbols, "pad_token_id": 0, "ctc_loss_reduction": "mean"}
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
    return Times(times.seconds)


def fastest_options(
    row: Row, base: Path, clips: Clips, labels: int, symbols: int, folder: Path, device: torch.device
) -> dict[str, Any]:
    """Find what suits the Trainer best: each setting is tried for an epoch."""
    tried = []
    precisions = (False, True) if choose_precision("auto", device) == "bf16" else (False,)
    for bf16 in precisions:
        for size in (4, 8) if row.train == "encoder" else (4, 8, 16):  # 16 take more than 24 GB there
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
    split = SplitModel(model.model.to(device), model.family)  # type: ignore[arg-type]
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

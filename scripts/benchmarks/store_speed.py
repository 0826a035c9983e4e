"""What users of the feature store feel: what filling it costs beside computing, its size, and the time to the Trainer's score.

    python scripts/benchmarks/store_speed.py --shared ../shared [--quick]

Overhead and size: a subset of speechocean762's training clips through `whisper-base-encoder`, computed and thrown away, and
computed into a store on disk, in turn, three times each; the fastest of each kind counts.
Time to a score: a new CTC head on the frozen embedded `tiny`, with masks over time, on the subset: five epochs of transformers'
Trainer at our learning rate (bf16 where the machine has it), its dev CER after each; then ours until it is there. Time spent on
scoring counts on neither side. The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from finetune_speed import seconds_of
from peer_trainer import BATCH_SIZE, RATE, Clips, EpochTimes, pad, train_peer
from transformers import Wav2Vec2ForCTC

import speechxfer
from speechxfer import finetune, load_model, read_manifest, read_recipe
from speechxfer.data import Manifest, Vocabulary, check_sets, normalise
from speechxfer.decoding import greedy
from speechxfer.evaluation import as_items, character_errors, total
from speechxfer.features import DiskStore, FeatureSource
from speechxfer.models import choose_device, choose_precision, for_inference, new_head

PEER_EPOCHS = 5
OUR_EPOCHS = 10
LEARNING_RATE = 1e-3
MASKED = 0.05  # of all frames, which is what transformers' configuration gives


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--quick", action="store_true", help="16 utterances instead of 128")
    arguments = parser.parse_args()
    count = 16 if arguments.quick else 128
    manifest = arguments.shared / "data" / "speechocean762" / "manifest.csv"
    train = spread(read_manifest(f"{manifest}[split=train]"), count)
    dev = spread(read_manifest(f"{manifest}[split=dev]"), count // 2)
    with tempfile.TemporaryDirectory() as folder:
        figures = overhead(train, arguments.shared / "models" / "whisper-base-encoder", Path(folder))
        figures |= time_to_score(train, dev, Path(folder))
    bars = {"overhead_percent": [figures["overhead_percent"], 5.0, figures["overhead_percent"] <= 5.0]}
    print(json.dumps({"benchmark": "store_speed", "figures": figures, "bars": bars}))
    sys.exit(not all(met for _, _, met in bars.values()))


def spread(manifest: Manifest, count: int) -> Manifest:
    """Give so many rows, from all over a manifest."""
    step = max(1, len(manifest) // count)
    sets, _ = check_sets({"set": manifest.select(range(0, len(manifest), step)[:count])}, "ctc")
    return sets["set"]


def overhead(train: Manifest, path: Path, folder: Path) -> dict[str, Any]:
    """Compute features with and without a store that they go into."""
    model = new_head(path, "ctc", vocabulary=Vocabulary(("a",)))
    split, precision = for_inference(model, "cpu")
    items = as_items(train)
    numbers = itertools.count()

    def compute() -> None:
        FeatureSource(split, model.frontend, None, precision).features(items)

    def fill() -> None:
        with closing(DiskStore(folder / f"store{next(numbers)}", "float16")) as store:
            source = FeatureSource(split, model.frontend, store, precision)
            source.plan(items)
            for _ in source.fill():
                pass

    compute()  # warms up
    computed, filled = zip(*((seconds_of(compute), seconds_of(fill)) for _ in range(3)), strict=True)
    size = sum(file.stat().st_size for file in (folder / "store0").rglob("*") if file.is_file())
    audio = sum(item.seconds for item in items) * RATE * 2
    print(f"computed {computed}, into a store {filled}: {precision}; {size} bytes for {audio:.0f} of 16-bit audio", flush=True)
    return {
        "overhead_percent": round(100 * (min(filled) / min(computed) - 1), 1),
        "store_mb": round(size / 2**20, 1),
        "store_bytes_per_audio_byte": round(size / audio, 2),
    }


def time_to_score(train: Manifest, dev: Manifest, folder: Path) -> dict[str, Any]:
    """Give the time that either side trains until dev is where the Trainer has it at its end."""
    peer_seconds, peer_cers = peer_runs(train, dev, folder)
    ours = our_epochs(train, dev, folder)
    print(f"Trainer {peer_seconds} s, CER {peer_cers}; ours {ours}", flush=True)
    spent = list(itertools.accumulate(seconds for seconds, _ in ours))
    there = [seconds for seconds, (_, cer) in zip(spent, ours, strict=True) if cer <= peer_cers[-1]]
    return {
        "peer_cer": round(peer_cers[-1], 4),
        "peer_seconds": round(sum(peer_seconds), 1),
        "our_seconds": round(there[0], 2) if there else None,
        "time_to_score_ratio": round(sum(peer_seconds) / there[0], 1) if there else 0.0,
    }


def peer_runs(train: Manifest, dev: Manifest, folder: Path) -> tuple[list[float], list[float]]:
    """Let the Trainer train the head for some epochs; gives their seconds, and the dev CER after each."""
    tiny = load_model("tiny")
    assert tiny.vocabulary is not None
    vocabulary = tiny.vocabulary
    clips, heard = (
        Clips(part, [vocabulary.encode(normalise(text, tiny.normaliser)) for text in part.columns["text"]])
        for part in (train, dev)
    )
    references = [normalise(text, tiny.normaliser) for text in dev.columns["text"]]
    cers: list[float] = []

    class Scores(EpochTimes):
        """Scores dev after each epoch, whose time has been taken."""

        def on_epoch_end(self, *given: Any, **more: Any) -> None:
            """Take the time, then score."""
            super().on_epoch_end(*given, **more)
            model.eval()
            with torch.no_grad():
                answers = [
                    greedy(model(torch.from_numpy(clip["input_values"])[None]).logits[0].log_softmax(-1), vocabulary, 0.02).text
                    for clip in heard.items
                ]
            model.train()
            cers.append(total(character_errors(references, answers)).rate or 0.0)

    model = Wav2Vec2ForCTC.from_pretrained(
        Path(speechxfer.__file__).parent / "assets" / "tiny",
        dtype=torch.float32,
        ctc_loss_reduction="mean",
        apply_spec_augment=True,
        mask_time_prob=MASKED,
    )
    model.lm_head.reset_parameters()
    model.freeze_base_model()
    scores = Scores()
    options = {"learning_rate": LEARNING_RATE, "num_train_epochs": PEER_EPOCHS, "train_sampling_strategy": "group_by_length"}
    has_bf16 = choose_precision("auto", choose_device("cpu")) == "bf16"
    train_peer(model, clips, pad, scores, folder, use_cpu=True, bf16=has_bf16, **options)
    return scores.seconds, cers


def our_epochs(train: Manifest, dev: Manifest, folder: Path) -> list[tuple[float, float]]:
    """Fine-tune the same head as a user does; gives seconds and dev CER of each epoch."""
    for name, part in (("train", train), ("dev", dev)):
        part.write(folder / f"{name}.csv")
    recipe = folder / "recipe.yaml"
    recipe.write_text("{}", encoding="utf-8")
    mean_seconds = sum(item.seconds for item in as_items(train)) / len(train)
    given = ["task=ctc", "model.path=tiny", "model.train=head", f"data.train={folder}/train.csv"]
    given += [f"data.dev={folder}/dev.csv", f"training.epochs={OUR_EPOCHS}", f"training.head_learning_rate={LEARNING_RATE}"]
    given += [f"training.batch_seconds={BATCH_SIZE * mean_seconds}", "augment.time_masks_per_second=0.25"]
    given += ["augment.time_mask_seconds=0.2", "report.audio=false", "training.device=cpu"]
    finetune(read_recipe(recipe, given), folder / "ours")
    events = [json.loads(line) for line in (folder / "ours" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(event["train_seconds"], event["dev_cer"]) for event in events if event["event"] == "epoch"]


if __name__ == "__main__":
    main()

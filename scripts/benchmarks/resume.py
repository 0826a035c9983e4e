"""Kill runs on real speech at random moments (SIGKILL), resume them, and compare the weights with those of an unkilled run.

    python scripts/benchmarks/resume.py --shared ../shared [--part training extraction] [--kills 20] [--quick]

Each kill has a run of its own: it is killed at a moment drawn evenly over the time that the whole run takes, from the first
import to the last file written, resumed once, and must end with the very same weights. `extraction` does the same with
`speechxfer cache build`, which extracts features in batches: the store must end with the very same features. The last line
printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from speechxfer.features import RecordFile

RECIPE = """
task: ctc
model: {path: MODEL, head: blstm, head_hidden_size: 64, head_dropout: 0.2}
data: {train: "MANIFEST[split=train,age=6,gender=f]", dev: "MANIFEST[speaker=so0006]", test: "MANIFEST[speaker=so0003]"}
augment: {views: 2, speed: [0.9, 1.1], time_masks_per_second: 0.5, feature_masks: 1}
training:
  precision: fp32
  batch_seconds: 24
  accumulation: 2
  average_decay: 0.9
  checkpoint_minutes: 0.02
  stages: [{train: head, epochs: 2}, {train: "top:1", epochs: 2}, {train: "lora:4", epochs: 2}]
"""


class Training:
    """A run, which ends with weights."""

    def command(self, recipe: Path, out: Path) -> list[str]:
        """Give the command of a user; with --resume it also begins a run that is not there yet."""
        return [sys.executable, "-m", "speechxfer", "finetune", str(recipe), "--out", str(out), "--resume", "--quiet"]

    def result(self, out: Path) -> dict[str, Tensor]:
        """Give what it ends with."""
        return load_file(out / "model/model.safetensors")

    def where(self, out: Path) -> str:
        """Say how far it had come."""
        if (out / "report.json").exists():
            return "already done"
        log = out / "log.jsonl"
        events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
        last = events[-1] if events else {"event": "before its log"}
        return " ".join(str(last[name]) for name in ("event", "stage", "epoch") if name in last)


class Extraction:
    """A store being filled, which ends with features."""

    def command(self, recipe: Path, out: Path) -> list[str]:
        """Give the command of a user, on a recipe that names this store."""
        own = recipe.with_name(f"{out.name}.yaml")
        own.write_text(f"{recipe.read_text(encoding='utf-8')}store: {{directory: {out}}}\n", encoding="utf-8")
        return [sys.executable, "-m", "speechxfer", "cache", "build", str(own), "--quiet"]

    def result(self, out: Path) -> dict[str, Tensor]:
        """Give what it ends with."""
        store = RecordFile(out, "float16")
        features = {key.hex(): store.get(key).frames for key in store}
        store.close()
        return features

    def where(self, out: Path) -> str:
        """Say how far it had come."""
        return f"{len(self.result(out))} features kept" if out.exists() else "before its store"


def kill_after(seconds: float, command: list[str]) -> bool:
    """Run for so long; tell whether it had to be killed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def main() -> int:
    """Run, kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--part", nargs="+", choices=("training", "extraction"), default=("training", "extraction"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="one kill")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    kills = 1 if arguments.quick else arguments.kills
    shared = arguments.shared.resolve()
    places = {"MODEL": shared / "models/whisper-tiny-en", "MANIFEST": shared / "data/speechocean762/manifest.csv"}
    figures: dict[str, int] = {}
    bars: dict[str, list[object]] = {}
    for part in arguments.part:
        with tempfile.TemporaryDirectory() as folder:
            recipe = Path(folder, "recipe.yaml")
            text = RECIPE
            for name, place in places.items():
                text = text.replace(name, str(place))
            recipe.write_text(text, encoding="utf-8")
            work = Training() if part == "training" else Extraction()
            killed, exact = kill_often(work, recipe, kills, random.Random(arguments.seed))
        figures |= {f"{part}_kills": killed, f"{part}_exact": exact}
        bars[f"{part}_exact"] = [exact, killed, exact == killed > 0]
    print(json.dumps({"benchmark": "resume", "figures": figures, "bars": bars}))
    return 0 if all(met for *_, met in bars.values()) else 1


def kill_often(work: Training | Extraction, recipe: Path, kills: int, chance: random.Random) -> tuple[int, int]:
    """Give how many were killed before they were done, and how many of these ended as the unkilled one."""
    whole = recipe.with_name("whole")
    start = time.perf_counter()
    subprocess.run(work.command(recipe, whole), check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    expected, killed, exact = work.result(whole), 0, 0
    print(f"the whole takes {seconds:.1f} s", flush=True)
    number = 0
    while killed < kills:
        number += 1
        out, moment = recipe.with_name(str(number)), chance.uniform(0, seconds)
        command = work.command(recipe, out)
        where = work.where(out) if kill_after(moment, command) else "already done"
        if where != "already done":
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = work.result(out)
        same = found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
        killed += where != "already done"
        exact += same and where != "already done"
        print(f"killed after {moment:5.1f} s ({where}): {'equal' if same else 'DIFFERENT'}", flush=True)
        shutil.rmtree(out)
    return killed, exact


if __name__ == "__main__":
    sys.exit(main())

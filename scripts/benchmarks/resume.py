"""Kill runs on real speech at random moments (SIGKILL), resume them, and compare the weights with those of an unkilled run.

    python scripts/benchmarks/resume.py --shared ../shared [--kills 20] [--quick]

Each kill has a run of its own: it is killed at a moment drawn evenly over the time that the whole run takes, from the first
import to the last file written, resumed once, and must end with the very same weights. The last line printed is one JSON
object; the exit code is 1 if a bar is missed.
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


def command(recipe: Path, out: Path) -> list[str]:
    """Give the command of a user; with --resume it also begins a run that is not there yet."""
    return [sys.executable, "-m", "speechxfer", "finetune", str(recipe), "--out", str(out), "--resume", "--quiet"]


def kill_after(seconds: float, recipe: Path, out: Path) -> str:
    """Kill a run; say where it was."""
    process = subprocess.Popen(command(recipe, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        if (out / "report.json").exists():
            return "already done"
        log = out / "log.jsonl"
        events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
        last = events[-1] if events else {"event": "before its log"}
        return " ".join(str(last[name]) for name in ("event", "stage", "epoch") if name in last)
    return "already done"


def main() -> int:
    """Run, kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="one kill")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    kills = 1 if arguments.quick else arguments.kills
    shared = arguments.shared.resolve()
    places = {"MODEL": shared / "models/whisper-tiny-en", "MANIFEST": shared / "data/speechocean762/manifest.csv"}
    chance, exact, resumed = random.Random(arguments.seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        recipe, whole = Path(folder, "recipe.yaml"), Path(folder, "whole")
        text = RECIPE
        for name, place in places.items():
            text = text.replace(name, str(place))
        recipe.write_text(text, encoding="utf-8")
        start = time.perf_counter()
        subprocess.run(command(recipe, whole), check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        expected = load_file(whole / "model/model.safetensors")
        print(f"the whole run takes {seconds:.1f} s", flush=True)
        for number in range(kills):
            out, moment = Path(folder, str(number)), chance.uniform(0, seconds)
            where = kill_after(moment, recipe, out)
            if where != "already done":
                subprocess.run(command(recipe, out), check=True, stdout=subprocess.DEVNULL)
            found = load_file(out / "model/model.safetensors")
            same = found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
            resumed += where != "already done"
            exact += same and where != "already done"
            print(f"killed after {moment:5.1f} s ({where}): {'equal' if same else 'DIFFERENT'}", flush=True)
            shutil.rmtree(out)
    bars = {"exact": [exact, resumed, exact == resumed > 0]}
    print(json.dumps({"benchmark": "resume", "figures": {"kills": resumed, "exact": exact}, "bars": bars}))
    return 0 if bars["exact"][2] else 1


if __name__ == "__main__":
    sys.exit(main())

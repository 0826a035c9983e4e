"""What `augment.telephone` is worth: a recipe with and without it, tested through G.711 at 8 kHz and as recorded.

    python scripts/benchmarks/telephone.py --model ../shared/models/whisper-base-encoder --shared ../shared --out runs/telephone \
        [--recipe FILE] [--probability P] [--quick] [section.key=value ...]

The same command again goes on after a stop, and trains the arm without it once for several probabilities. Both arms have the same
recipe, seed, views and dev set (through G.711). The test set's way is not that of the augmentation: 8 kHz and mu-law by
libsndfile, without band or lost packets. The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import csv
import json
import os
import sys
from pathlib import Path

import soundfile

from speechxfer import evaluate, finetune, read_manifest, read_recipe
from speechxfer.data import load_audio
from speechxfer.evaluation import compare

ROOT = Path(__file__).resolve().parents[2]
TELEPHONE_RATE = 8_000
QUICK = ["training.stages=[{train: head, epochs: 4}]", "augment.views=2"]


def through_g711(manifest: str, directory: Path) -> Path:
    """Write a set as mu-law files at 8 kHz, and its manifest, unless it is there."""
    if (directory / "manifest.csv").is_file():
        return directory / "manifest.csv"
    directory.mkdir(parents=True, exist_ok=True)
    read = read_manifest(manifest)
    rows = []
    for utterance in read:
        soundfile.write(directory / f"{utterance.id}.wav", load_audio(utterance, TELEPHONE_RATE), TELEPHONE_RATE, subtype="ULAW")
        rows.append((utterance.id, f"{utterance.id}.wav", utterance.text, utterance.fields.get("speaker", "")))
    with (directory / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "audio", "text", "speaker"), *rows])
    return directory / "manifest.csv"


def main() -> int:
    """Train both arms and compare them on both test sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=ROOT / "configs/dialect.yaml")
    parser.add_argument("--probability", type=float, default=0.5, help="of the telephone, for each view of an utterance")
    parser.add_argument("--quick", action="store_true", help="the head alone, four epochs")
    parser.add_argument("overrides", nargs="*", help="section.key=value of both arms")
    arguments = parser.parse_args()
    recorded = f"{arguments.shared / 'data/speechocean762/manifest.csv'}"
    sets = {name: through_g711(f"{recorded}[split={name}]", arguments.out / name) for name in ("dev", "test")}
    given = [f"model.path={arguments.model}", f"data.train={recorded}[split=train]", "report.audio=false"]
    # The test sets are scored below, once training has seen no more of them than a dev set.
    given += [f"data.{name}={sets['dev']}" for name in ("dev", "test")] + (QUICK if arguments.quick else [])
    with_it = f"with-{arguments.probability:g}"
    arms = {"without": [], with_it: [f"augment.telephone.probability={arguments.probability}"]}
    for arm, own in arms.items():
        recipe, run = read_recipe(arguments.recipe, [*given, *own, *arguments.overrides]), arguments.out / arm
        if not (run / "report.json").is_file():
            finetune(recipe, run, resume=True)
        elif (run / "recipe.yaml").read_text(encoding="utf-8") != recipe.to_yaml():
            sys.exit(f"{run} holds an arm of another recipe; give another --out")
    figures: dict[str, float] = {}
    verdicts = {}
    for name, manifest in {"g711": str(sets["test"]), "recorded": f"{recorded}[split=test]"}.items():
        scores = {arm: evaluate(arguments.out / arm, manifest) for arm in arms}
        figures |= {f"{name}_{arm}_wer": round(scores[arm].scores["wer"], 4) for arm in arms}
        verdicts[name] = compare(scores["without"].rows, scores[with_it].rows, ("without augment.telephone", "with it"))
        print(f"{name}: {verdicts[name].sentence}", flush=True)
    found = verdicts["g711"].overall
    figures["g711_wer_difference"] = round(found.difference, 4)
    bars = {"better_through_g711": [found.outcome, "better", found.outcome == "better"]}
    print(json.dumps({"benchmark": "telephone", "probability": arguments.probability, "figures": figures, "bars": bars}))
    return 0 if found.outcome == "better" else 1


if __name__ == "__main__":
    sys.exit(main())

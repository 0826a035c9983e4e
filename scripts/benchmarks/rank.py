"""Whether `speechxfer rank` orders models as fine-tuning each of them does, and what it costs beside that.

    python scripts/benchmarks/rank.py --shared ../shared --out runs/rank [--quick]

Candidates: the encoders of whisper-base and whisper-tiny.en, the lower two layers of each, the embedded `tiny`, and the shapes
of the first two with random weights. Tasks: digits (fsdd, labels), read speech with an accent (speechocean762, texts), and two
that did not choose how `rank` orders: Arabic commands (labels) and spelled names (an4, texts). Each candidate is ranked on the
training set by its defaults, and fine-tuned on it (its upper two layers, a few epochs, the same recipe for all); the error on
the test set, which `rank` never sees, gives the true order. Kendall's tau between both, over all and over the pretrained ones
alone, and how many of the pairs that the test set tells apart are in order; the regret: how much worse the first of the ranking
is than the best; the cost: seconds of all fine-tunes by those of ranking. Fine-tunes that are done stay in `--out` and are not
repeated.
The last line printed is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import itertools
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from scipy.stats import kendalltau

from speechxfer import finetune, read_recipe
from speechxfer.adaptation import rank
from speechxfer.data import parse_manifest
from speechxfer.evaluation import compare
from speechxfer.models import encoder_of, new_head
from speechxfer.report import read_answers

LAYERS_KEPT = 2


@dataclass(frozen=True)
class Task:
    """What is fine-tuned."""

    name: str
    kind: str
    data: str
    epochs: int


TASKS = (
    Task("commands", "classification", "fsdd", 8),
    Task("dialect", "ctc", "speechocean762", 8),
    Task("arabic", "classification", "extra_arabic_commands", 8),
    Task("spelling", "ctc", "an4", 8),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--out", type=Path, default=Path("runs/rank"))
    parser.add_argument("--tasks", nargs="+", choices=[task.name for task in TASKS], default=[task.name for task in TASKS])
    parser.add_argument("--quick", action="store_true", help="digits alone, two epochs")
    arguments = parser.parse_args()
    candidates = make_candidates(arguments.shared / "models", arguments.out / "candidates")
    figures: dict[str, Any] = {}
    for task in TASKS[:1] if arguments.quick else [task for task in TASKS if task.name in arguments.tasks]:
        manifest = arguments.shared / "data" / task.data / "manifest.csv"
        epochs = 2 if arguments.quick else task.epochs
        place = arguments.out / (f"{task.name}-quick" if arguments.quick else task.name)
        figures |= measure(task, manifest, candidates, epochs, place)
    ends = ("kendall_tau", "kendall_tau_pretrained", "cost_ratio", "regret_points")
    worst = {end: [value for name, value in figures.items() if name.endswith(f"_{end}")] for end in ends}
    figures |= {end: max(values) if end == "regret_points" else min(values) for end, values in worst.items()}
    bars = {name: [figures[name], bar, figures[name] >= bar] for name, bar in (("kendall_tau", 0.8), ("cost_ratio", 10.0))}
    print(json.dumps({"benchmark": "rank", "figures": figures, "bars": bars}))
    sys.exit(not all(met for _, _, met in bars.values()))


def make_candidates(models: Path, folder: Path) -> dict[str, Path]:
    """Save shortened and random twins of the shared encoders; gives directories by name."""
    found = {"tiny": Path("tiny")}
    for name in ("whisper-base-encoder", "whisper-tiny-en"):
        found[name] = models / name
        for kind in ("lower", "random"):
            torch.manual_seed(0)
            made = new_head(models / name, "classification", labels=("any",), random_encoder=kind == "random")
            if kind == "lower":
                encoder: Any = encoder_of(made.model)
                encoder.layers = encoder.layers[:LAYERS_KEPT]
                made.model.config.encoder |= {"encoder_layers": LAYERS_KEPT, "num_hidden_layers": LAYERS_KEPT}
            found[f"{name}-{kind}"] = folder / f"{name}-{kind}"
            made.save(found[f"{name}-{kind}"])
    return found


def measure(task: Task, manifest: Path, candidates: dict[str, Path], epochs: int, place: Path) -> dict[str, Any]:
    """Rank, fine-tune, and compare the orders."""
    begin = time.perf_counter()
    ranking = rank(parse_manifest(f"{manifest}[split=train]"), [str(path) for path in candidates.values()], task.kind)  # type: ignore[arg-type]
    ranking_seconds = time.perf_counter() - begin
    scores = {one.model: one.score for one in ranking.candidates}
    print(f"{task.name}: ranked in {ranking_seconds:.0f} s; {ranking.verdict}", flush=True)
    errors, seconds = {}, {}
    for name, path in candidates.items():
        errors[name], seconds[name] = tuned(task, manifest, path, epochs, place / name)
        own = next(one for one in ranking.candidates if one.model == str(path))
        best, head = own.layers[own.best_layer], f", WER of a new head {own.head.wer:.3f}" if own.head else ""
        ranked = f"score {own.score:.3f}, best layer's probe {best.probe:.3f}, LogME {best.logme:.3f}{head}"
        print(f"{task.name} {name}: {ranked}; fine-tuned in {seconds[name]:.0f} s to an error of {errors[name]:.4f}", flush=True)
    pretrained = [name for name in candidates if not name.endswith("random")]
    taus = [
        kendalltau([scores[str(candidates[name])] for name in names], [-errors[name] for name in names]).statistic
        for names in (list(candidates), pretrained)
    ]
    decided = [
        (scores[str(candidates[one])] - scores[str(candidates[other])]) * (errors[other] - errors[one]) > 0
        for one, other in itertools.combinations(candidates, 2)
        if is_told_apart(place / one, place / other)
    ]
    print(f"{task.name}: fine-tuning tells {len(decided)} pairs apart, {sum(decided)} of which are ranked alike", flush=True)
    chosen = next(name for name, path in candidates.items() if str(path) == ranking.candidates[0].model)
    return {
        f"{task.name}_kendall_tau": round(float(taus[0]), 3),
        f"{task.name}_kendall_tau_pretrained": round(float(taus[1]), 3),
        f"{task.name}_regret_points": round(100 * (errors[chosen] - min(errors.values())), 2),
        f"{task.name}_cost_ratio": round(sum(seconds.values()) / ranking_seconds, 1),
        f"{task.name}_ranking_seconds": round(ranking_seconds, 1),
    }


def is_told_apart(one: Path, other: Path) -> bool:
    """Tell whether there is evidence on test that one fine-tuned model is better than another."""
    (_, first), (_, second) = (read_answers(run / "answers.csv") for run in (one, other))
    return compare(first, second, ("one", "the other")).overall.outcome in ("better", "worse")


def tuned(task: Task, manifest: Path, model: Path, epochs: int, run: Path) -> tuple[float, float]:
    """Fine-tune the upper two layers, unless it is done; gives the error on test, and the seconds it took."""
    done = run / "seconds.json"
    if not done.exists():
        run.parent.mkdir(parents=True, exist_ok=True)
        recipe = run.with_suffix(".yaml")
        recipe.write_text("{}", encoding="utf-8")
        given = [f"task={task.kind}", f"model.path={model}", f"model.train=top:{LAYERS_KEPT}", "report.audio=false"]
        given += [f"data.{name}={manifest}[split={name}]" for name in ("train", "dev", "test")]
        given += [f"training.epochs={epochs}", "training.head_learning_rate=1e-3", "training.encoder_learning_rate=1e-4"]
        given += ["training.batch_seconds=48"]
        begin = time.perf_counter()
        finetune(read_recipe(recipe, given), run, resume=run.exists())
        done.write_text(json.dumps(time.perf_counter() - begin), encoding="utf-8")
    test = json.loads((run / "report.json").read_text(encoding="utf-8"))["sets"]["test"]
    return test["cer"] if task.kind == "ctc" else 1 - test["accuracy"], json.loads(done.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

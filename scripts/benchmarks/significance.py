"""How often the verdict calls a difference where there is none, and how often it sees one.

    python scripts/benchmarks/significance.py --model runs/dialect --stock MODELS/whisper-tiny-en --shared ../shared [--quick]

Two models, neither of them trained on an4, answer all of its utterances (normaliser `english` for both). In each repeat some
speakers are drawn, and with each of them the two models change names or not: no difference is left but chance, and the shipped
verdict should call one in 5 % of repeats. For the power, one side's wrong words are then dropped with a chance of 10 %. Answers
are kept under --work, by the models' names, and not asked for again. The last line printed is one JSON object; the exit code is 1
if a bar is missed.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from speechxfer import evaluate, load_model, read_manifest
from speechxfer.data import Manifest
from speechxfer.errors import DataError
from speechxfer.evaluation import RowErrors, bootstrap_interval, compare
from speechxfer.report import read_answers, write_answers

SPEAKERS = (10, 30, 60)
ALLOWED = {10: (0.0, 0.07), 30: (0.03, 0.07), 60: (0.03, 0.07)}
PLANTED = 0.10
BOOTSTRAP_SECONDS = 5.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("SPEECHXFER_SHARED", "../shared"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--stock", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/significance"), help="where answers are kept")
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="one utterance of each speaker, 200 repeats")
    arguments = parser.parse_args()
    rows, repeats, work = read_manifest(arguments.shared / "data/an4/manifest.csv"), arguments.repeats, arguments.work
    if arguments.quick:
        rows, repeats, work = rows.select(one_of_each(rows.columns["speaker"])), 200, work / "quick"
    work.mkdir(parents=True, exist_ok=True)
    stock, model = arguments.stock, arguments.model
    first, second = (answers(one, rows, work / f"{one.name}.csv") for one in (stock, model))
    print(compare(first, second, (f"by {stock.name}", f"by {model.name}")).sentence)
    figures: dict[str, float] = {"bootstrap_seconds": round(bootstrap_seconds(), 3)}
    bars: dict[str, list[float | bool | list[float]]] = {
        "bootstrap_seconds": [figures["bootstrap_seconds"], BOOTSTRAP_SECONDS, figures["bootstrap_seconds"] < BOOTSTRAP_SECONDS]
    }
    print("| speakers | called by chance | called with 10 % planted |\n|---|---|---|")
    for speakers in SPEAKERS:
        called, seen = rates(first, second, speakers, repeats)
        lowest, highest = ALLOWED[speakers]
        print(f"| {speakers} | {called:.4f} | {seen:.4f} |", flush=True)
        figures |= {f"false_positive_rate_{speakers}": called, f"power_{speakers}": seen}
        bars[f"false_positive_rate_{speakers}"] = [called, [lowest, highest], lowest <= called <= highest]
    figures["false_positive_rate"] = figures[f"false_positive_rate_{SPEAKERS[-1]}"]
    print(json.dumps({"benchmark": "significance", "figures": figures, "bars": bars}))
    return 0 if all(met for *_, met in bars.values()) else 1


def one_of_each(speakers: list[str]) -> list[int]:
    """Give the first row of each speaker."""
    return [speakers.index(speaker) for speaker in dict.fromkeys(speakers)]


def answers(model: Path, rows: Manifest, kept: Path) -> RowErrors:
    """Read what the model answered, or ask it."""
    try:
        return read_answers(kept)[1]
    except DataError:
        found = evaluate(replace(load_model(model), normaliser="english"), rows)
        write_answers(kept, found.manifest.columns["id"], found.rows)
        return found.rows


def rates(first: RowErrors, second: RowErrors, speakers: int, repeats: int) -> tuple[float, float]:
    """Give how often the verdict calls a difference: where names were given by chance, and with better answers planted."""
    random = np.random.default_rng(0)
    names = sorted(set(first.blocks))
    rows_of = {name: [row for row, block in enumerate(first.blocks) if block == name] for name in names}
    pairs = np.stack([first.errors, second.errors])
    called = seen = 0
    for _ in range(repeats):
        drawn = random.choice(names, size=speakers, replace=False)
        order = np.concatenate([rows_of[name] for name in drawn])
        swapped = np.repeat(random.integers(2, size=speakers), [len(rows_of[name]) for name in drawn])
        before, after = pairs[swapped, order], pairs[1 - swapped, order]
        thinned = random.binomial(after, 1 - PLANTED)
        called += outcome(first, order, before, after) != "no evidence"
        seen += outcome(first, order, before, thinned) == "better"
    return called / repeats, seen / repeats


def outcome(scored: RowErrors, order: np.ndarray, before: np.ndarray, after: np.ndarray) -> str:
    """Ask the verdict; as errors of rows, since the aligned texts that MAPSSWE reads do not decide it."""
    chosen = scored.select(order.tolist())
    first, second = [replace(chosen, measure="error", errors=errors.tolist()) for errors in (before, after)]
    return compare(first, second).overall.outcome


def bootstrap_seconds() -> float:
    """Time 10,000 repeats over 10,000 utterances that are blocks of their own."""
    random = np.random.default_rng(0)
    words = random.integers(3, 20, 10_000)
    start = time.perf_counter()
    bootstrap_interval(random.binomial(words, 0.2), words, [str(row) for row in range(10_000)])
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())

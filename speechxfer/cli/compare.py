"""`speechxfer compare RUNS...`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from speechxfer.cli.options import Json


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Directories of finished runs of one task.")],
    as_json: Json = False,
) -> None:
    """Rank runs by their dev error, and say what the first one is better or worse by on the test utterances it shares."""
    from rich.console import Console

    from speechxfer.cli.tables import show_ranking
    from speechxfer.evaluation import compare as judge
    from speechxfer.report import read_answers

    reports = {run: _report(run) for run in runs}
    tasks = {report["task"] for report in reports.values()}
    if len(tasks) > 1:
        raise typer.BadParameter(f"runs of several tasks: {', '.join(sorted(tasks))}")
    ranked = sorted(runs, key=lambda run: _error(reports[run], "dev"))
    best = ranked[0]
    ids, answers = read_answers(best / "answers.csv")
    table: list[dict[str, Any]] = []
    for run in ranked:
        sets = reports[run]["sets"]
        row = {"run": str(run), "sets": sets, "seconds": reports[run]["training"]["seconds"], "verdict": None}
        if run != best:
            other_ids, others = read_answers(run / "answers.csv")
            same = other_ids == ids and list(others.references) == list(answers.references)
            names = (f"by {run}", f"by {best}")
            row["verdict"] = judge(others, answers, names).to_dict() if same else None
        table.append(row)
    if as_json:
        print(json.dumps({"ranked_by": "dev", "runs": table}, ensure_ascii=False))
    else:
        show_ranking(table, Console(markup=False))


def _report(run: Path) -> dict[str, Any]:
    try:
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{run} is not the directory of a finished run: {error}") from None
    if not {"task", "sets", "training"} <= report.keys() or "dev" not in report["sets"]:
        raise typer.BadParameter(f"{run}/report.json is not the report of a fine-tuning run")
    return dict(report)


def _error(report: dict[str, Any], name: str) -> float:
    scores = report["sets"][name]
    return float(scores["cer"]) if "cer" in scores else 1 - float(scores["accuracy"])

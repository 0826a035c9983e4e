"""`speechxfer finetune RECIPE [section.key=value ...] --out DIR`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Json, Quiet


def finetune(
    recipe: Annotated[Path, typer.Argument(help="YAML file, such as configs/commands.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value ...", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Directory of the run.")] = Path("runs/latest"),
    device: Annotated[str | None, typer.Option(help="Sugar for training.device.")] = None,
    precision: Annotated[str | None, typer.Option(help="Sugar for training.precision.")] = None,
    batch_seconds: Annotated[float | None, typer.Option(help="Sugar for training.batch_seconds.")] = None,
    control: Annotated[str | None, typer.Option(help="Sugar for proof.control: none or scratch.")] = None,
    learning_curve: Annotated[str | None, typer.Option(help="Train on these per cents of the data too: 10,30,100.")] = None,
    no_store: Annotated[bool, typer.Option("--no-store", help="Sugar for store.enabled=false.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT that was stopped or killed.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fine-tune a pretrained model on your data; the model is saved in OUT/model."""
    from rich.console import Console

    from speechxfer import finetune as run_finetune
    from speechxfer import read_recipe
    from speechxfer.cli.progress import RunProgress
    from speechxfer.cli.tables import show_learning_curve, show_proof, show_sets
    from speechxfer.training import is_first_process

    sugar = {"training.device": device, "training.precision": precision, "training.batch_seconds": batch_seconds}
    sugar |= {"proof.control": control, "store.enabled": "false" if no_store else None}
    sugar |= {"proof.learning_curve": learning_curve and f"[{learning_curve}]"}
    given = [f"{key}={value}" for key, value in sugar.items() if value is not None]
    checked = read_recipe(recipe, [*(overrides or []), *given])
    with RunProgress(quiet or not is_first_process()) as progress:
        report = run_finetune(checked, out, progress, resume=resume)
    if not is_first_process():
        return
    if as_json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        parts = {"": report, "before: ": report.get("before", {}), "control: ": report.get("control", {})}
        sets = {f"{part}{name}": scores for part, own in parts.items() for name, scores in own.get("sets", {}).items()}
        show_sets(sets, Console(markup=False))
        show_proof(report, Console(markup=False))
        if curve := report.get("learning_curve"):
            show_learning_curve(curve, Console(markup=False))
        print(f"model: {report['model']}   report: {out / 'report.html'}")
    left_out = [note for note in report["notes"] if note.startswith("left out:")]
    if left_out:
        print("\n".join([f"{len(left_out)} bad row{'s' if len(left_out) > 1 else ''}:", *left_out]), file=sys.stderr)
    refused = report.get("guard", {}).get("outcome") == "refused"
    if refused:
        print("the guard refuses this model: speech of data.guard got worse", file=sys.stderr)
    if left_out or refused or any(stage["collapsed"] for stage in report["training"]["stages"]):
        raise typer.Exit(1)

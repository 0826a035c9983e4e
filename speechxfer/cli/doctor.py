"""`speechxfer doctor MANIFEST`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Json


def doctor(
    manifest: Annotated[str, typer.Argument(help="manifest.csv; its `split` column tells the sets apart.")],
    model: Annotated[
        Path | None, typer.Option(help="The model that it is for, or the run that made it.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with your data before anything is trained; exit code 1 if there are errors."""
    from rich.console import Console

    from speechxfer import load_model
    from speechxfer.data import parse_manifest
    from speechxfer.evaluation import examine

    everything = parse_manifest(manifest)
    names = dict.fromkeys(everything.columns.get("split", ["all"]))
    sets = {name or "no split": everything.where(split=name) for name in names} if len(names) > 1 else {"all": everything}
    findings = examine(sets, load_model(model) if model else None)
    if as_json:
        print(json.dumps({"manifest": manifest, "findings": [finding.to_dict() for finding in findings]}, ensure_ascii=False))
    else:
        console = Console()
        for finding in findings:
            console.print(f"{finding.severity}: {finding.what}", highlight=False)
            console.print(f"  what to do: {finding.advice}", *finding.places, sep="\n    ", highlight=False, style="dim")
        console.print(f"{len(everything)} utterances, {len(findings)} findings", highlight=False)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)

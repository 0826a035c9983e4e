"""`speechxfer doctor MANIFEST`, and with `--against OTHER` how far two sets are apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Json


def doctor(
    manifest: Annotated[str, typer.Argument(help="manifest.csv; its `split` column tells the sets apart.")],
    model: Annotated[
        Path | None,
        typer.Option(
            help="The model that it is for: pretrained, saved by speechxfer, or the run that made it.", show_default=False
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Another manifest.csv: how far its recordings and words are from yours for --model.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with your data before anything is trained; exit code 1 if there are errors."""
    from rich.console import Console

    from speechxfer.cli.progress import FillProgress
    from speechxfer.cli.tables import show_gap
    from speechxfer.data import parse_manifest
    from speechxfer.errors import RecipeError
    from speechxfer.evaluation import compare_recordings, examine
    from speechxfer.models import has_head, load_model, new_head

    if against and not model:
        raise RecipeError("--against needs --model: how far apart recordings are depends on who listens")
    everything = parse_manifest(manifest)
    other = parse_manifest(against) if against else None
    # A pretrained model has its limits too; what its head would tell apart does not matter here.
    loaded = None if not model else load_model(model) if has_head(model) else new_head(model, "classification", labels=("any",))
    names = dict.fromkeys(everything.columns.get("split", ["all"]))
    sets = {name or "no split": everything.where(split=name) for name in names} if len(names) > 1 else {"all": everything}
    findings = examine(sets, loaded)
    gap = None
    if other and loaded:
        with FillProgress(as_json) as progress:
            gap = compare_recordings(everything, other, loaded, progress)
    if as_json:
        found = {"manifest": manifest, "findings": [finding.to_dict() for finding in findings]}
        print(json.dumps(found | ({"against": against, "gap": gap.to_dict()} if gap else {}), ensure_ascii=False))
    else:
        console = Console(markup=False)
        for finding in findings:
            console.print(f"{finding.severity}: {finding.what}", highlight=False)
            told = (f"  what to do: {finding.advice}", *finding.places)
            console.print(*told, sep="\n    ", highlight=False, style="dim")
        console.print(f"{len(everything)} utterances, {len(findings)} findings", highlight=False)
        if gap:
            show_gap(gap, (manifest, str(against)), console)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)

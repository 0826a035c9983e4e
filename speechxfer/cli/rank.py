"""`speechxfer rank MANIFEST --models A,B,random --task ctc|classification`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Device, Json, Precision, Quiet


def _known_task(name: str) -> str:
    if name not in ("ctc", "classification"):
        raise typer.BadParameter(f"{name!r}: expected ctc or classification")
    return name


def rank(
    manifest: Annotated[str, typer.Argument(help="manifest.csv with `text` or `label`, such as 'm.csv[split=train]'.")],
    models: Annotated[str, typer.Option(help="Candidates with commas between: directories, tiny, or random (the control).")],
    task: Annotated[str, typer.Option(callback=_known_task, help="ctc or classification.")],
    target: Annotated[
        str | None,
        typer.Option(
            help="Manifest of recordings of where the model is to work: how far is the data from them?", show_default=False
        ),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Feature store: what is encoded for this is not encoded again.", show_default=False)
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say which pretrained model to fine-tune, before anything is trained: by what its frozen layers know, and what it costs."""
    from rich.console import Console

    from speechxfer.adaptation import rank as rank_models
    from speechxfer.cli.progress import FillProgress
    from speechxfer.cli.tables import show_candidates
    from speechxfer.data import parse_manifest

    named = [name.strip() for name in models.split(",") if name.strip()]
    if not {*named} - {"random"}:
        raise typer.BadParameter("expected at least one model beside random", param_hint="--models")
    with FillProgress(quiet or as_json) as progress:
        found = rank_models(
            parse_manifest(manifest),
            named,
            task,  # type: ignore[arg-type]
            target=parse_manifest(target) if target else None,
            store=store,
            device=device,
            precision=precision,
            progress=progress,
        )
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False))
    else:
        show_candidates(found, Console(markup=False))

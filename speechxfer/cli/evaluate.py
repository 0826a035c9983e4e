"""`speechxfer evaluate MODEL MANIFEST`."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import (
    BatchSeconds,
    Device,
    Hotwords,
    Json,
    Language,
    LanguageModel,
    Precision,
    Prompt,
    Ray,
    Workers,
    spread_over,
)


def evaluate(
    model: Annotated[str, typer.Argument(help="A model that speechxfer saved, or the run that made it; a directory or URL.")],
    manifest: Annotated[str, typer.Argument(help="manifest.csv, or manifest.csv[split=test].")],
    baseline: Annotated[
        str | None, typer.Option(help="Another model of the same task, to be compared with on the same set.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write report.json and report.html into this directory too.")] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(help="Column to report by, or bands of a number: gender, age=16. Default: all that fit."),
    ] = None,
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="Go on without them; exit code 1.")] = False,
    audio: Annotated[bool, typer.Option(help="Let the worst utterances be heard in report.html.")] = True,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_seconds: BatchSeconds = None,
    hotwords: Hotwords = None,
    lm: LanguageModel = None,
    terms: Annotated[
        Path | None, typer.Option(help="Text file, a term a line: how many are heard where they are said.", show_default=False)
    ] = None,
    prompt: Prompt = "",
    language: Language = None,
    ray: Ray = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Score a model on a labelled set: WER and CER, or accuracy, with intervals and per group."""
    from rich.console import Console

    from speechxfer import evaluate as score
    from speechxfer import load_model
    from speechxfer.cli.tables import show_proof, show_sets
    from speechxfer.errors import ModelError, RecipeError
    from speechxfer.evaluation import compare
    from speechxfer.report import make_report, write_json, write_page

    loaded = load_model(model)
    try:
        groups = {
            name: [float(b) for b in bounds.split(",")] if bounds else True
            for name, _, bounds in (g.partition("=") for g in group or [])
        }
    except ValueError:
        raise RecipeError(f"--group {' '.join(group or [])}: expected COLUMN or COLUMN=NUMBER,NUMBER") from None
    score_on_set = functools.partial(
        score,
        manifest=manifest,
        groups=groups or None,
        on_bad_row="skip" if skip_bad_rows else "error",
        device=device,
        precision=precision,
        batch_seconds=batch_seconds,
        hotwords=hotwords or (),
        language_model=lm,
        prompt=prompt,
        language=language,
        terms=terms or (),
    )
    result = score_on_set(loaded) if ray is None else score_on_set(model, spread=spread_over(ray, workers, model))
    report = make_report(loaded.task, str(model), {"test": result.scores})
    sets = {manifest: result.scores}
    if baseline:
        other = load_model(baseline)
        if (other.task, other.normaliser) != (loaded.task, loaded.normaliser):
            kinds = [f"task {one.task}, normaliser {one.normaliser!r}" for one in (other, loaded)]
            raise ModelError(f"{baseline}: a model of {kinds[0]}, not to be compared with {model} ({kinds[1]})")
        before = score_on_set(other) if ray is None else score_on_set(baseline, spread=spread_over(ray, workers, baseline))
        report["before"] = {"kind": str(baseline), "sets": {"test": before.scores}}
        report["proof"] = {"test": compare(before.rows, result.rows, (f"by {baseline}", f"by {model}")).to_dict()}
        sets[f"{manifest} by {baseline}"] = before.scores
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "report.json", report)
        write_page(out / "report.html", report, result.rows, result.manifest, audio=audio)
    if as_json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        show_sets(sets, Console(markup=False))
        show_proof(report, Console(markup=False))
    if result.scores.get("skipped"):
        print(f"{result.scores['skipped']} bad rows left out")
        raise typer.Exit(1)

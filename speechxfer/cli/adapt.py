"""`speechxfer adapt RECIPE --unlabelled CALLS model.path=M data.dev=DEV data.test=TEST --out OUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Json, Quiet


def adapt(
    recipe: Annotated[Path, typer.Argument(help="YAML file, such as configs/adapt.yaml.")],
    unlabelled: Annotated[str, typer.Option(help="Speech without texts: a folder of recordings, or a manifest of utterances.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value ...", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Directory for the adapted model and its rounds.")] = Path("runs/adapted"),
    rounds: Annotated[int, typer.Option(min=1, help="How often to write down and learn, at most.")] = 2,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Leave out texts of which the model is less sure.")] = 0.7,
    max_disagreement: Annotated[
        float, typer.Option(min=0, help="Leave out texts of which more symbols change when model and recording are disturbed.")
    ] = 0.2,
    language_model: Annotated[
        Path | None, typer.Option("--lm", help="ARPA file to write down with, see `lm build`.", show_default=False)
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="A model trained with labels: say how much of the way to it was made.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in OUT with what was stopped or killed.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Learn from speech that nobody wrote down; judged by a little that somebody did, and by data.guard.

    Exit code 1 if the model did not get better, or data.guard got worse: the old one is then the one to keep.
    """
    from rich.console import Console

    from speechxfer import read_recipe
    from speechxfer.adaptation import adapt as run_adapt
    from speechxfer.adaptation import spoken_stretches
    from speechxfer.cli.progress import RunProgress
    from speechxfer.cli.tables import show_adaptation
    from speechxfer.data import parse_manifest

    checked = read_recipe(recipe, overrides or [])

    def say(problem: str) -> None:
        print(f"left out: {problem}", file=sys.stderr)

    is_folder = Path(unlabelled).is_dir()
    recordings = spoken_stretches(checked.model.path, unlabelled, say) if is_folder else parse_manifest(unlabelled)
    with RunProgress(quiet) as progress:
        result = run_adapt(
            checked,
            recordings,
            out,
            rounds=rounds,
            min_confidence=min_confidence,
            max_disagreement=max_disagreement,
            language_model=language_model,
            reference=reference,
            listener=progress,
            resume=resume,
        )
    if as_json:
        print(json.dumps(result.to_dict(), ensure_ascii=False))
    else:
        show_adaptation(result, Console(markup=False))
    if result.model is None:
        raise typer.Exit(1)

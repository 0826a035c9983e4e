"""`speechxfer demo`: the whole road on generated audio, without network or GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Quiet


def demo(
    out: Annotated[
        Path, typer.Option(help="Where to leave audio, recipe, model and report, in place of an earlier demo's.")
    ] = Path("runs/demo"),
    quiet: Quiet = False,
) -> None:
    """Teach a small model four sounds on this machine, in seconds, to see that everything works."""
    import shutil

    from rich.console import Console

    from speechxfer import Transcriber, read_recipe
    from speechxfer import finetune as run_finetune
    from speechxfer.cli.demo_data import make_demo
    from speechxfer.cli.progress import RunProgress
    from speechxfer.cli.tables import show_sets
    from speechxfer.errors import RunDirectoryError

    print("The audio of this demo is generated tones and its model starts from random weights: it shows the road, not transfer.")
    if out.is_dir() and any(out.iterdir()) and not (out / "random-model").is_dir():
        raise RunDirectoryError(f"{out} is not empty and holds no demo; give another --out")
    shutil.rmtree(out, ignore_errors=True)
    recipe, example = make_demo(out)
    with RunProgress(quiet) as progress:
        report = run_finetune(read_recipe(recipe), out / "run", progress)
    show_sets(report["sets"], Console())
    transcript = Transcriber(out / "run").transcribe(example)
    print(f"{example.name} is heard as: {transcript.text}")

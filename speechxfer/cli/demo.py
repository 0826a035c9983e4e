"""`speechxfer demo`: what transfer is worth, on audio that comes with the package, without network or GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Quiet


def demo(
    out: Annotated[Path, typer.Option(help="Where to leave models, page and numbers, in place of an earlier demo's.")] = Path(
        "runs/demo"
    ),
    real: Annotated[
        Path | None,
        typer.Option(help="Learn from real speech instead: a folder with speechocean762, an4 and fsdd. Takes longer."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Teach a small pretrained model an accent, new words and commands, and a twin of it that knows nothing."""
    from rich.console import Console

    from speechxfer.cli.demo_parts import beside, embedded_parts, learn, make_place, real_parts, run_part, transcribe_call
    from speechxfer.cli.progress import DemoProgress
    from speechxfer.cli.tables import show_call, show_demo
    from speechxfer.report import write_demo_page, write_json

    console = Console(markup=False)
    parts = real_parts(real) if real else embedded_parts()
    with beside() as process:
        random_twin = process.submit(make_place, out).result()
        twins = [process.submit(learn, part, random_twin, out / f"{part.name}-from-random") for part in parts]
        with DemoProgress(quiet) as progress:
            results = [run_part(part, twin, out / part.name, progress) for part, twin in zip(parts, twins, strict=True)]
            call, call_wer = transcribe_call()
    numbers = [result.to_dict() for result in results]
    write_json(out / "demo.json", {"parts": numbers, "call_wer": call_wer, "call": call.to_dict()})
    write_demo_page(out / "demo.html", results, call, call_wer)
    show_call(call, call_wer, console)
    show_demo(results, console)
    print(f"page: {out / 'demo.html'}")

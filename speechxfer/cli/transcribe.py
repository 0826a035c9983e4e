"""`speechxfer transcribe FILES... --model M`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import BatchSeconds, Device, Model, Precision, Quiet


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Audio files.")],
    model: Model,
    output_format: Annotated[str, typer.Option("--format", help="txt or json.")] = "txt",
    out: Annotated[Path | None, typer.Option(help="Write a file per input into this directory instead of to stdout.")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_seconds: BatchSeconds = 64.0,
    quiet: Quiet = False,
) -> None:
    """Transcribe audio files; a bad file is named, the rest is done, and the exit code is 1."""
    from rich.console import Console
    from rich.progress import track

    from speechxfer import Transcriber
    from speechxfer.errors import AudioError
    from speechxfer.transcription import FORMATS, render

    if output_format not in FORMATS:
        raise typer.BadParameter(f"{output_format!r}: expected {' or '.join(FORMATS)}", param_hint="--format")
    transcriber = Transcriber(model, device=device, precision=precision, batch_seconds=batch_seconds)
    console = Console(stderr=True)
    if out:
        out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for file in track(files, console=console, transient=True, disable=quiet or not console.is_terminal or len(files) == 1):
        try:
            text = render(transcriber.transcribe(file), output_format)
        except AudioError as error:
            failed += 1
            print(f"speechxfer: {error}", file=sys.stderr)
            continue
        if out:
            (out / f"{file.name}.{output_format}").write_text(text, encoding="utf-8")
        else:
            print(f"{file}: {text}" if output_format == "txt" and len(files) > 1 else text, end="")
    if failed:
        print(f"speechxfer: {failed} of {len(files)} files could not be read", file=sys.stderr)
        raise typer.Exit(1)

"""`speechxfer align AUDIO TEXT --model M`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import BatchSeconds, Device, Format, Model, Precision


def align(
    audio: Annotated[Path, typer.Argument(help="A recording of any length.")],
    text: Annotated[Path, typer.Argument(help="What is said in it, in order; each line becomes a segment.")],
    model: Model,
    output_format: Format = "json",
    out: Annotated[Path | None, typer.Option(help="Write into this file instead of to stdout.")] = None,
    channel: Annotated[
        int | None, typer.Option(min=0, help="The number of one, from 0; else all are mixed.", show_default=False)
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_seconds: BatchSeconds = None,
) -> None:
    """Find when each word of a text you have was said: for subtitles, or to cut recordings for training."""
    from speechxfer import Transcriber
    from speechxfer.data import write_whole
    from speechxfer.errors import AlignmentError
    from speechxfer.transcription import render

    try:
        said = text.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{text}: cannot be read as UTF-8 text: {error}", param_hint="TEXT") from None
    transcriber = Transcriber(
        model,
        device=device,
        precision=precision,
        batch_seconds=batch_seconds,
        channels="mix" if channel is None else channel,
    )
    try:
        transcript = transcriber.align(audio, said)
    except AlignmentError as error:
        print(f"speechxfer: {text}: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    written = render(transcript, output_format)
    if out:
        write_whole(str(out), written)
    else:
        print(written, end="")

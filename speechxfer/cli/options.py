"""The flags that several verbs share, each with one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _known_format(name: str) -> str:
    from speechxfer.transcription import FORMATS

    if name not in FORMATS:
        raise typer.BadParameter(f"{name!r}: expected {', '.join(FORMATS)}")
    return name


Format = Annotated[str, typer.Option("--format", help="txt, json, jsonl, srt, vtt, tsv or ctm.", callback=_known_format)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps ...")]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or int8.")]
BatchSeconds = Annotated[
    float | None, typer.Option(help="Upper bound of padded audio in one batch, in seconds.", show_default=False)
]
Hotwords = Annotated[
    Path | None, typer.Option(help="A file of terms to listen for: `term`, or `as spoken => As Written`.", show_default=False)
]
LanguageModel = Annotated[Path | None, typer.Option("--lm", help="A language model (ARPA) for beam search.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]
Model = Annotated[Path, typer.Option(help="A model that speechxfer saved, or the run that made it.")]

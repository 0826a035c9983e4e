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
Channels = Annotated[str, typer.Option(help="mix; split: each by itself; or the number of one, from 0.")]
Roles = Annotated[str, typer.Option(help="Names of the channels, such as agent,customer.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps ...")]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or int8.")]
BatchSeconds = Annotated[
    float | None, typer.Option(help="Upper bound of padded audio in one batch, in seconds.", show_default=False)
]
Hotwords = Annotated[
    Path | None, typer.Option(help="A file of terms to listen for: `term`, or `as spoken => As Written`.", show_default=False)
]
LanguageModel = Annotated[Path | None, typer.Option("--lm", help="A language model (ARPA) for beam search.", show_default=False)]
Prompt = Annotated[str, typer.Option(help="For a model with a decoder: what was said before, or names that may come.")]
Language = Annotated[
    str | None, typer.Option(help="For a multilingual model: en, ro ... Default: its own, or what it hears.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]
Model = Annotated[Path, typer.Option(help="A model that speechxfer saved, or the run that made it.")]


def checked_channels(channels: str, roles: str) -> list[str]:
    """Check --channels, and give the names that --roles lists."""
    if channels not in ("mix", "split") and not channels.isdecimal():
        raise typer.BadParameter(f"{channels!r}: expected mix, split or a number from 0", param_hint="--channels")
    if roles and channels == "mix":
        raise typer.BadParameter("channels that are mixed have no roles; add --channels split", param_hint="--roles")
    return [role.strip() for role in roles.split(",")] if roles else []

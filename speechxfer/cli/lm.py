"""`speechxfer lm build TEXTS…`: a language model for `transcribe --lm`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Json

lm = typer.Typer(help="Language models for beam search.", no_args_is_help=True, rich_markup_mode=None)


def _normaliser(name: str) -> str:
    """Take a normaliser's name as it is; of a model or run give its own."""
    from speechxfer.recipe import known_normaliser

    if Path(name).is_dir():
        from speechxfer.models import load_model

        return load_model(name).normaliser
    try:
        return known_normaliser(name)
    except ValueError as error:
        raise typer.BadParameter(f"{name!r}: {error}; or a model's directory") from None


def _thresholds(text: str) -> str:
    numbers = [int(part) if part.strip().isdecimal() else -1 for part in text.split(",")]
    if min(numbers) < 0 or numbers[0] != 0 or sorted(numbers) != numbers:
        raise typer.BadParameter(f"{text!r}: expected numbers that begin with 0 and never fall, such as 0,0,1")
    return text


@lm.callback()
def _lm() -> None:
    """Keep `build` a word of its own."""


@lm.command("build")
def build(
    texts: Annotated[
        list[str], typer.Argument(help="Text, one sentence a line, also .gz; or manifests, such as 'm.csv[split=train]'.")
    ],
    out: Annotated[Path, typer.Option(help="The ARPA file to be written.")],
    order: Annotated[int, typer.Option(min=2, max=10, help="Words of the longest n-grams.")] = 4,
    prune: Annotated[
        str,
        typer.Option(
            callback=_thresholds,
            help="For each order, n-grams that occur no more often than this are left out; the last holds for higher orders.",
        ),
    ] = "0",
    normaliser: Annotated[
        str,
        typer.Option(
            callback=_normaliser, help="How the texts of your model were normalised (data.normaliser), or the model itself."
        ),
    ] = "basic",
    as_json: Json = False,
) -> None:
    """Build an n-gram language model: interpolated, with modified Kneser-Ney smoothing."""
    from speechxfer.data import read_sentences
    from speechxfer.decoding import build_language_model

    thresholds = [int(part) for part in prune.split(",")]
    built = build_language_model(read_sentences(texts, normaliser), out, order=order, prune=thresholds)
    if as_json:
        print(json.dumps({"path": str(out), **asdict(built)}))
        return
    sizes = ", ".join(f"{size:,} {number}-grams" for number, size in enumerate(built.sizes, start=1))
    print(f"{out}: {built.tokens:,} words in {built.sentences:,} sentences; {sizes}")
    if missing := [str(number) for number, estimated in enumerate(built.estimated, start=1) if not estimated]:
        print(f"too little text to estimate the discounts of order {', '.join(missing)}: the usual ones were taken")

"""`speechxfer export MODEL --to onnx|ctranslate2|sherpa-onnx --out DIR`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Json


def export(
    model: Annotated[str, typer.Argument(help="A model that speechxfer saved, or the run that made it.")],
    out: Annotated[Path, typer.Option(help="The directory to write; it must not exist.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="onnx, for CTC and classification; ctranslate2, for a Whisper with its decoder; sherpa-onnx, for CTC.",
        ),
    ] = "onnx",
    precision: Annotated[str, typer.Option(help="fp32, or int8: a smaller file.")] = "fp32",
    check: Annotated[
        str | None,
        typer.Option(help="A manifest to compare answers on, 20 utterances of it. Default: the demo's call.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model for another runtime, if its answers stay the same; exit code 1 if they do not."""
    from importlib.resources import files

    from speechxfer import load_model
    from speechxfer.data import parse_manifest
    from speechxfer.evaluation import export as export_checked

    if to not in ("onnx", "ctranslate2", "sherpa-onnx"):
        raise typer.BadParameter(f"{to!r}: expected onnx, ctranslate2 or sherpa-onnx", param_hint="--to")
    if precision not in ("fp32", "int8"):
        raise typer.BadParameter(f"{precision!r}: expected fp32 or int8", param_hint="--precision")
    manifest = parse_manifest(check or Path(str(files("speechxfer"))) / "assets" / "demo" / "call.csv")
    parity = export_checked(load_model(model), out, manifest, precision, to)
    if as_json:
        print(json.dumps({"model": model, "to": to, "precision": precision, "out": str(out), **parity.to_dict()}))
    else:
        share = f"{parity.difference:.1%} of {parity.words} words differ (at most {parity.bound:.0%} may)"
        print(f"{parity.utterances} utterances: {share}")
        if parity.largest_logit_difference is not None:
            print(f"largest difference of a logit {parity.largest_logit_difference:.2g}")
    if not parity.holds:
        print(f"speechxfer: the exported model answers otherwise than {model}; {out} was not written", file=sys.stderr)
        raise typer.Exit(1)

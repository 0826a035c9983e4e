"""`speechxfer manifest IN OUT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def manifest(
    given: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="CSV, TSV, JSON lines, NeMo, STM, CTM, or a folder of Kaldi, LibriSpeech, Common Voice or one folder per class.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file, or for kaldi the directory, to be written.")],
    to: Annotated[str | None, typer.Option(help="csv, tsv, jsonl, nemo, stm or kaldi; by default OUT's suffix.")] = None,
    split_by: Annotated[
        str | None, typer.Option(help="A column such as speaker or call, none of whose values shall be in two sets.")
    ] = None,
    dev: Annotated[float, typer.Option(help="Share of the rows that goes into dev, with --split-by.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the rows that goes into test, with --split-by.")] = 0.1,
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="Go on without them; exit code 1.")] = False,
) -> None:
    """Convert a manifest, and split it; every audio file's header is looked at, and all that is wrong is said at once."""
    from speechxfer.data import parse_manifest, refuse, sift_sets, split_manifest, write_manifest

    read = {"manifest": parse_manifest(given)}
    good, problems = sift_sets(read, task=None)
    refuse(problems, good, "skip" if skip_bad_rows else "error")
    table = good["manifest"]
    if split_by:
        table = split_manifest(table, split_by, {"dev": dev, "test": test})
    write_manifest(table, out, to or out.suffix.removeprefix("."))
    sizes = {name: table.columns["split"].count(name) for name in dict.fromkeys(table.columns.get("split", []))}
    shares = f" ({', '.join(f'{name or chr(8211)} {count}' for name, count in sorted(sizes.items()))})" if sizes else ""
    print(f"{out}: {len(table)} utterances{shares}")
    if problems:
        print(f"{len({problem.row for problem in problems})} bad rows left out")
        raise typer.Exit(1)

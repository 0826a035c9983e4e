"""`speechxfer cluster RECORDINGS --model M`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Device, Json, Precision


def _known_method(name: str) -> str:
    if name not in ("kmeans", "hdbscan"):
        raise typer.BadParameter(f"{name!r}: expected kmeans or hdbscan")
    return name


def cluster(
    recordings: Annotated[str, typer.Argument(help="A folder of audio, or a manifest; labels are not needed.")],
    model: Annotated[
        str, typer.Option(help="The model whose encoder listens: pretrained, saved by speechxfer, or a run; or tiny.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for clusters.html, clusters.json and clusters.csv (a manifest).", show_default=False),
    ] = None,
    method: Annotated[
        str, typer.Option(callback=_known_method, help="kmeans, or hdbscan, which leaves what is unlike all others in no group.")
    ] = "kmeans",
    most: Annotated[int, typer.Option(min=2, help="Groups that kmeans may find.")] = 12,
    no_audio: Annotated[bool, typer.Option("--no-audio", help="Leave the sound out of the page.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
) -> None:
    """Group recordings that sound alike: accents, channels and kinds of speech that nobody labelled.

    Exit code 1 if some recordings are left out.
    """
    from rich.console import Console

    from speechxfer.adaptation import cluster as find_groups
    from speechxfer.adaptation import read_recordings
    from speechxfer.cli.tables import show_clusters
    from speechxfer.data import Manifest
    from speechxfer.report import write_cluster_page, write_json

    manifest = read_recordings(recordings)
    found = find_groups(manifest, model, method=method, most=most, device=device, precision=precision)  # type: ignore[arg-type]
    if out:
        out.mkdir(parents=True, exist_ok=True)
        names = {name for one in found.clusters for name in one.central}
        central = {utterance.id: utterance for utterance in manifest if utterance.id in names}
        write_cluster_page(out / "clusters.html", found.to_dict(), central, audio=not no_audio)
        write_json(out / "clusters.json", found.to_dict())
        columns = {**manifest.columns, "cluster": [found.of.get(name, "") for name in manifest.columns["id"]]}
        Manifest(columns, manifest.source, manifest.lines).write(out / "clusters.csv")
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False))
    else:
        show_clusters(found, Console(markup=False))
    if found.left_out:
        raise typer.Exit(1)

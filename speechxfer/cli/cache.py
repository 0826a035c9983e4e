"""`speechxfer cache ls|verify|prune DIR` and `cache build RECIPE`: look into, clean and fill a feature store on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechxfer.cli.options import Quiet, Ray, Workers, spread_over

if TYPE_CHECKING:
    from speechxfer.features import RecordFile

cache = typer.Typer(help="Look into, clean or fill a store of features.", no_args_is_help=True, rich_markup_mode=None)

Directory = Annotated[Path, typer.Argument(help="The store's directory.")]


@cache.command("ls")
def ls(directory: Directory) -> None:
    """Say how much a store holds."""
    store = _opened(directory)
    print(f"{directory}: {len(store)} utterances' features, {store.num_bytes / 1e6:.1f} MB")
    store.close()


@cache.command("verify")
def verify(directory: Directory) -> None:
    """Read everything; drop what is damaged, which will be computed anew. Exit code 1 if there was any."""
    from speechxfer.errors import StoreError

    store = _opened(directory)
    damaged, count = set(store.damaged()), len(store)
    if damaged and not store.is_writer:
        raise StoreError(f"{directory}: {len(damaged)} of {count} are damaged, but another process writes there; try again later")
    if damaged:
        store.prune([key for key in store if key not in damaged])
    store.close()
    print(f"{directory}: {len(damaged)} of {count} damaged" + (", dropped" if damaged else ""))
    if damaged:
        raise typer.Exit(1)


@cache.command("prune")
def prune(
    directory: Directory,
    manifest: Annotated[
        list[str] | None, typer.Option(help="Keep only what comes from its utterances; may be given again.", show_default=False)
    ] = None,
) -> None:
    """Really delete the features of audio that is gone or changed, or that is in none of the manifests."""
    from speechxfer.data import parse_manifest
    from speechxfer.features import DiskStore

    kept = None if manifest is None else [utterance for spec in manifest for utterance in parse_manifest(spec)]
    _must_be_a_store(directory)
    store = DiskStore(directory, "float32")
    deleted, freed = store.prune(kept)
    store.close()
    print(f"{directory}: {deleted} utterances' features deleted, {freed / 1e6:.1f} MB freed")


@cache.command("build")
def build(
    recipe: Annotated[Path, typer.Argument(help="YAML file, such as configs/commands.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value ...", show_default=False)] = None,
    ray: Ray = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Compute beforehand what is frozen in a recipe's stages, for runs to come."""
    from speechxfer import read_recipe
    from speechxfer.cli.progress import FillProgress
    from speechxfer.training import fill_store

    checked = read_recipe(recipe, overrides or [])
    with FillProgress(quiet) as progress:
        count, size = fill_store(checked, progress, spread_over(ray, workers))
    print(f"{checked.store.directory}: features of {count} utterances, {size / 1e6:.1f} MB in all")


def _opened(directory: Path) -> RecordFile:
    from speechxfer.features import RecordFile

    _must_be_a_store(directory)
    return RecordFile(directory, "float32")


def _must_be_a_store(directory: Path) -> None:
    if not (directory / "index").is_file():
        raise typer.BadParameter(f"{directory} is not a feature store; expected the directory given as store.directory")

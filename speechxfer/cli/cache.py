"""`speechxfer cache ls|verify DIR`: look into a feature store on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from speechxfer.features import RecordFile

cache = typer.Typer(help="Look into a feature store (store.directory).", no_args_is_help=True, rich_markup_mode=None)

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


def _opened(directory: Path) -> RecordFile:
    from speechxfer.features import RecordFile

    if not (directory / "index").is_file():
        raise typer.BadParameter(f"{directory} is not a feature store; expected the directory given as store.directory")
    return RecordFile(directory, "float32")

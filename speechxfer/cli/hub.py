"""`speechxfer push MODEL OWNER/NAME` and `speechxfer pull OWNER/NAME --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Repository = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="On the Hugging Face Hub.")]
Revision = Annotated[str | None, typer.Option(help="Branch; for pull a tag or commit too. Default: main.", show_default=False)]


def push(
    model: Annotated[str, typer.Argument(help="A model that speechxfer saved, or the run that made it.")],
    repository: Repository,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see the repository, if it is made now.")] = False,
    revision: Revision = None,
) -> None:
    """Upload a model with its card to the Hugging Face Hub, for its owner's eyes only unless told otherwise."""
    from speechxfer.integrations import push as push_model

    print(push_model(model, repository, public=public, revision=revision))


def pull(
    repository: Repository,
    out: Annotated[Path, typer.Option(help="Directory for the model; it must not hold anything.")],
    revision: Revision = None,
) -> None:
    """Download a model from the Hugging Face Hub; files that could run code are left there."""
    from speechxfer.integrations import pull as pull_model

    print(f"{pull_model(repository, out, revision=revision)}: ready; `speechxfer info {out}` tells what it is")

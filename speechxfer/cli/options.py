"""The flags that several verbs share, each with one meaning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from speechxfer.data import Spread


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
Ray = Annotated[
    str | None,
    typer.Option("--ray", help="Work on a Ray cluster: local, auto or its address.", show_default=False),
]
Workers = Annotated[int | None, typer.Option(min=1, help="With --ray; default: one for each GPU, or node.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]
Model = Annotated[str, typer.Option(help="A model that speechxfer saved, or the run that made it; a directory or URL.")]


def spread_over(cluster: str | None, workers: int | None, model: str | None = None) -> Spread | None:
    """Give what --ray and --workers ask for; None is this process. `model` is what every node must have."""
    if cluster is None:
        return None
    with needing_ray():
        from speechxfer.distributed import on_cluster
    return on_cluster(cluster, workers, model)


@contextmanager
def needing_ray() -> Iterator[None]:
    """Say what to install where an import of `speechxfer.distributed` fails."""
    from speechxfer.errors import ClusterError

    try:
        yield
    except ModuleNotFoundError as error:
        raise ClusterError(f"--ray needs the extra `ray`: pip install 'speechxfer[ray]' ({error})") from None


def checked_channels(channels: str, roles: str) -> list[str]:
    """Check --channels, and give the names that --roles lists."""
    if channels not in ("mix", "split") and not channels.isdecimal():
        raise typer.BadParameter(f"{channels!r}: expected mix, split or a number from 0", param_hint="--channels")
    if roles and channels == "mix":
        raise typer.BadParameter("channels that are mixed have no roles; add --channels split", param_hint="--roles")
    return [role.strip() for role in roles.split(",")] if roles else []

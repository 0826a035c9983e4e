"""`speechxfer serve --model M`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from speechxfer.cli.options import Device, Hotwords, Precision

_KEYS = "SPEECHXFER_API_KEYS"


def serve(
    model: Annotated[
        list[str], typer.Option(help="A model that speechxfer saved, or its run; NAME=DIRECTORY names it. Several by repeating.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    hotwords: Hotwords = None,
    commands: Annotated[Path | None, typer.Option(help="Enrolled commands to listen for in calls.", show_default=False)] = None,
    redact: Annotated[bool, typer.Option("--redact", help="Take numbers and addresses out of every text.")] = False,
    max_upload_mb: Annotated[float, typer.Option(min=0.001, help="Of one file.")] = 100,
    max_minutes: Annotated[float, typer.Option(min=0.01, help="Of one file.")] = 240,
    max_requests_per_client: Annotated[int, typer.Option(min=1, help="At once.")] = 8,
    max_calls: Annotated[int, typer.Option(min=1, help="At once.")] = 100,
    drain_seconds: Annotated[float, typer.Option(min=0, help="For calls to end in after SIGTERM.")] = 30,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Serve OpenAI's clients, and live calls of Twilio's media streams; API keys in SPEECHXFER_API_KEYS, parted by commas."""
    from speechxfer.errors import ModelError

    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ModelError(f"serving needs {error.name}: pip install 'speechxfer[serve]'") from None
    from speechxfer.serving import ServerSettings
    from speechxfer.serving import serve as run

    keys = frozenset(key.strip() for key in os.environ.get(_KEYS, "").split(",") if key.strip())
    if not keys and host not in ("127.0.0.1", "localhost", "::1"):
        print(f"speechxfer: no {_KEYS}: whoever reaches {host} may use this server", file=sys.stderr)
    models = [*map(_named, model)]
    if twice := [name for name, count in Counter(name for name, _ in models).items() if count > 1]:
        what = f"several are called {', '.join(twice)}; give each a name of its own, as in a=DIR"
        raise typer.BadParameter(what, param_hint="--model")
    settings = ServerSettings(
        models=dict(models),
        device=device,
        precision=precision,
        api_keys=keys,
        hotwords=hotwords,
        commands=commands,
        redact=redact,
        max_upload_mb=max_upload_mb,
        max_seconds=60 * max_minutes,
        max_requests_per_client=max_requests_per_client,
        max_calls=max_calls,
        drain_seconds=drain_seconds,
    )
    run(settings, host, port, lambda address: print(f"speechxfer: listening on {address}", file=sys.stderr, flush=True))


def _named(given: str) -> tuple[str, str]:
    name, is_named, directory = given.partition("=")
    return (name, directory) if is_named else (Path(given).name or given, given)

"""All verbs in one typer application."""

from __future__ import annotations

import typer

from speechxfer.cli.adapt import adapt
from speechxfer.cli.align import align
from speechxfer.cli.cache import cache
from speechxfer.cli.cluster import cluster
from speechxfer.cli.commands import commands
from speechxfer.cli.compare import compare
from speechxfer.cli.demo import demo
from speechxfer.cli.doctor import doctor
from speechxfer.cli.evaluate import evaluate
from speechxfer.cli.export import export
from speechxfer.cli.finetune import finetune
from speechxfer.cli.hub import pull, push
from speechxfer.cli.info import info
from speechxfer.cli.lm import lm
from speechxfer.cli.manifest import manifest
from speechxfer.cli.rank import rank
from speechxfer.cli.serve import serve
from speechxfer.cli.speak import speak
from speechxfer.cli.transcribe import transcribe

app = typer.Typer(
    name="speechxfer",
    help="Turn a pretrained speech model into yours: a new dialect, a new vocabulary, voice commands. "
    "Add --debug to any verb for tracebacks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    finetune,
    evaluate,
    compare,
    transcribe,
    align,
    serve,
    export,
    doctor,
    rank,
    cluster,
    adapt,
    speak,
    manifest,
    push,
    pull,
    info,
    demo,
):
    app.command(verb.__name__)(verb)
app.add_typer(cache, name="cache")
app.add_typer(commands, name="commands")
app.add_typer(lm, name="lm")

"""The page of all verbs and their flags, from the command line itself."""

from __future__ import annotations

import typer
from typer.cli import get_docs_for_click

from speechxfer.cli.app import app


def command_page() -> str:
    """Give the page: a heading, the usage, the arguments and the flags of each verb."""
    command = typer.main.get_command(app)
    return get_docs_for_click(obj=command, ctx=typer.Context(command), name="speechxfer", title="Commands")

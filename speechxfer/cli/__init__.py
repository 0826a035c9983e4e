"""The command line: one small file per verb, each importing what it needs when it runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a user's mistake ends in a message and an exit code, never in a traceback (Ctrl-C: 130, by typer)."""
    from speechxfer.cli.app import app
    from speechxfer.errors import SpeechxferError

    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        app()
    except SpeechxferError as error:
        if debug:
            raise
        print(f"speechxfer: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

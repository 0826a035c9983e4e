"""`speechxfer transcribe FILES... --model M`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Annotated, BinaryIO

import typer

from speechxfer.cli.options import (
    BatchSeconds,
    Channels,
    Device,
    Format,
    Hotwords,
    LanguageModel,
    Model,
    Precision,
    Prompt,
    Quiet,
    Roles,
    checked_channels,
)

_STDIN = "-"
_JOINABLE = ("txt", "jsonl", "ctm")  # in which one file after the other still makes sense
_WITH_COMMANDS = ("json", "jsonl")


def transcribe(
    files: Annotated[list[str], typer.Argument(help="Audio or video files, directories, patterns; - for standard input.")],
    model: Model,
    output_format: Format = "txt",
    out: Annotated[Path | None, typer.Option(help="Write a file per input into this directory instead of to stdout.")] = None,
    channels: Channels = "mix",
    roles: Roles = "",
    hotwords: Hotwords = None,
    lm: LanguageModel = None,
    prompt: Prompt = "",
    commands: Annotated[
        Path | None, typer.Option(help="What `commands enrol` wrote: listen for these too.", show_default=False)
    ] = None,
    skip_existing: Annotated[bool, typer.Option(help="Leave out what --out holds already: go on after a stop.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_seconds: BatchSeconds = None,
    quiet: Quiet = False,
) -> None:
    """Transcribe recordings; a bad file is named, the rest is done, and the exit code is 1."""
    from speechxfer import Transcriber
    from speechxfer.cli.progress import TranscriptionProgress
    from speechxfer.commands import CommandRecognizer, spot_commands
    from speechxfer.errors import AudioError
    from speechxfer.report import write_text
    from speechxfer.transcription import Recording, find_recordings, render

    names_of_channels = checked_channels(channels, roles)
    if commands and output_format not in _WITH_COMMANDS:
        raise typer.BadParameter(f"needs --format {' or '.join(_WITH_COMMANDS)}", param_hint="--commands")
    if skip_existing and not out:
        raise typer.BadParameter("needs --out", param_hint="--skip-existing")
    names = [name for name in files if name != _STDIN]
    recordings = find_recordings(names) if names else []
    if _STDIN in files:
        recordings.append(Recording(Path(_STDIN), PurePath("stdin")))
    if len(recordings) > 1 and not out and output_format not in _JOINABLE:
        raise typer.BadParameter(
            f"several recordings need --out, or one of the formats {', '.join(_JOINABLE)}", param_hint="--format"
        )
    if out and skip_existing:
        recordings = [recording for recording in recordings if not recording.transcript(out, output_format).exists()]
    transcriber = Transcriber(
        model,
        device=device,
        precision=precision,
        batch_seconds=batch_seconds,
        channels=channels,
        hotwords=hotwords or (),
        language_model=lm,
        prompt=prompt,
        roles=names_of_channels,
    )
    recognizer = CommandRecognizer.from_pretrained(commands, device=device, precision=precision) if commands else None
    failed = 0
    with TranscriptionProgress(len(recordings), quiet) as progress, ExitStack() as opened:
        sources = [opened.enter_context(_spooled_stdin()) if one.path == Path(_STDIN) else one.path for one in recordings]
        results = transcriber.transcribe_all(sources, progress.decoded)
        for recording, source, result in zip(recordings, sources, results, strict=True):
            progress.finished()
            problems = [str(result)] if isinstance(result, AudioError) else result.problems
            if problems:
                failed += 1
                print(*(f"speechxfer: {problem}" for problem in problems), sep="\n", file=sys.stderr)
            if isinstance(result, AudioError):
                continue
            for note in [] if quiet else result.notes:
                print(f"note: {recording.path}: {note}", file=sys.stderr)
            if recognizer:
                spotted = []
                with suppress(AudioError):  # that is among the problems of the transcript
                    spotted.extend(spot_commands(recognizer, source, channels, names_of_channels))
                result = replace(result, commands=tuple(sorted(spotted, key=lambda event: event.start)))
            text = render(result, output_format)
            if out:
                target = recording.transcript(out, output_format)
                target.parent.mkdir(parents=True, exist_ok=True)
                write_text(target, text)
            else:
                title = f"{recording.path}:\n" if output_format == "txt" and len(recordings) > 1 else ""
                print(f"{title}{text}", end="", flush=True)
    if failed:
        print(f"speechxfer: {failed} of {len(recordings)} recordings could not be read, or not to their end", file=sys.stderr)
        raise typer.Exit(1)


def _spooled_stdin() -> BinaryIO:
    """Give standard input as a file: most formats are read by seeking, and hours may come."""
    file = tempfile.TemporaryFile()
    shutil.copyfileobj(sys.stdin.buffer, file)
    file.seek(0)
    return file

"""`speechxfer transcribe FILES... --model M`."""

from __future__ import annotations

import functools
import shutil
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from speechxfer.cli.options import (
    BatchSeconds,
    Channels,
    Device,
    Format,
    Hotwords,
    Language,
    LanguageModel,
    Model,
    Precision,
    Prompt,
    Quiet,
    Ray,
    Roles,
    Workers,
    checked_channels,
    needing_ray,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from speechxfer import Transcriber
    from speechxfer.transcript import SpottedCommand
    from speechxfer.transcription import Recording

_STDIN = "-"
_JOINABLE = ("txt", "jsonl", "ctm")  # in which one file after the other still makes sense
_WITH_COMMANDS = ("json", "jsonl")
_SHAPING = ("precision", "channels", "hotwords", "language_model", "prompt", "language", "roles")  # of transcripts


def transcribe(
    files: Annotated[
        list[str], typer.Argument(help="Audio or video files, directories, patterns, manifests; - for standard input.")
    ],
    model: Model,
    output_format: Format = "txt",
    out: Annotated[
        str | None,
        typer.Option(help="Write a file per input into this directory or URL instead of to stdout.", show_default=False),
    ] = None,
    channels: Channels = "mix",
    roles: Roles = "",
    hotwords: Hotwords = None,
    lm: LanguageModel = None,
    prompt: Prompt = "",
    language: Language = None,
    commands: Annotated[
        Path | None, typer.Option(help="What `commands enrol` wrote: listen for these too.", show_default=False)
    ] = None,
    skip_existing: Annotated[bool, typer.Option(help="Leave out what --out holds already: go on after a stop.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_seconds: BatchSeconds = None,
    ray: Ray = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Transcribe recordings; a bad file is named, the rest is done, and the exit code is 1."""
    from speechxfer import Transcriber
    from speechxfer.cli.progress import TranscriptionProgress
    from speechxfer.commands import CommandRecognizer, spot_commands
    from speechxfer.data import exists, write_whole
    from speechxfer.errors import AudioError
    from speechxfer.transcription import Recording, find_recordings, refuse_same_places, render

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
    options: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "batch_seconds": batch_seconds,
        "channels": channels,
        "hotwords": hotwords or (),
        "language_model": lm,
        "prompt": prompt,
        "language": language,
        "roles": names_of_channels,
    }
    if ray:
        if not out or commands or _STDIN in files:
            raise typer.BadParameter("needs --out; knows neither --commands nor standard input", param_hint="--ray")
        make = functools.partial(Transcriber, model, **options)
        shaping = {name: str(options[name]) for name in _SHAPING if options[name]}
        _transcribe_archive(recordings, out, make, output_format, ray, model, workers, shaping, quiet)
        return
    if out:
        refuse_same_places(recordings)
    if out and skip_existing:
        recordings = [recording for recording in recordings if not exists(f"{out}/{recording.transcript(output_format)}")]
    transcriber = Transcriber(model, **options)
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
                spotted: list[SpottedCommand] = []
                with suppress(AudioError):  # that is among the problems of the transcript
                    spotted.extend(spot_commands(recognizer, source, channels, names_of_channels))
                result = replace(result, commands=tuple(sorted(spotted, key=lambda event: event.start)))
            text = render(result, output_format)
            if out:
                write_whole(f"{out}/{recording.transcript(output_format)}", text)
            else:
                title = f"{recording.path}:\n" if output_format == "txt" and len(recordings) > 1 else ""
                print(f"{title}{text}", end="", flush=True)
    if failed:
        print(f"speechxfer: {failed} of {len(recordings)} recordings could not be read, or not to their end", file=sys.stderr)
        raise typer.Exit(1)


def _transcribe_archive(
    recordings: list[Recording],
    out: str,
    make_engine: Callable[[], Transcriber],
    output_format: str,
    cluster: str,
    model: str,
    workers: int | None,
    shaping: Mapping[str, str],
    quiet: bool,
) -> None:
    """Transcribe on a cluster, and say what failed."""
    from speechxfer import load_model
    from speechxfer.cli.progress import TranscriptionProgress

    with needing_ray():
        from speechxfer.distributed import transcribe_archive
    with TranscriptionProgress(len(recordings), quiet) as progress:

        def done(count: int, seconds: float) -> None:
            progress.decoded(seconds)
            for _ in range(count):
                progress.finished()

        summary = transcribe_archive(
            recordings,
            out,
            make_engine,
            output_format=output_format,
            cluster=cluster,
            model=model,
            workers=workers,
            normaliser=load_model(model).normaliser,
            options=shaping,
            progress=done,
        )
    if not quiet:
        facts = f"{summary.inputs} recordings, {summary.audio_hours:.2f} hours, {summary.device_seconds:.0f} device-seconds"
        print(facts if summary.wer is None else f"{facts}, WER {100 * summary.wer:.1f} %", file=sys.stderr)
    if summary.failed:
        print(f"speechxfer: {summary.failed} of {summary.inputs} recordings failed: {out}/failures.jsonl", file=sys.stderr)
        raise typer.Exit(1)


def _spooled_stdin() -> BinaryIO:
    """Give standard input as a file: most formats are read by seeking, and hours may come."""
    file = tempfile.TemporaryFile()
    shutil.copyfileobj(sys.stdin.buffer, file)
    file.seek(0)
    return file

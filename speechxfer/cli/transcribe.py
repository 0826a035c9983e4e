"""`speechxfer transcribe FILES... --model M`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from speechxfer.cli.options import BatchSeconds, Device, Format, Hotwords, LanguageModel, Model, Precision, Quiet

if TYPE_CHECKING:
    from speechxfer.transcription import Recording

_STDIN = "-"
_JOINABLE = ("txt", "jsonl", "ctm")  # in which one file after the other still makes sense


def transcribe(
    files: Annotated[list[str], typer.Argument(help="Audio or video files, directories, patterns; - for standard input.")],
    model: Model,
    output_format: Format = "txt",
    out: Annotated[Path | None, typer.Option(help="Write a file per input into this directory instead of to stdout.")] = None,
    channels: Annotated[str, typer.Option(help="mix; split: each by itself; or the number of one, from 0.")] = "mix",
    roles: Annotated[str, typer.Option(help="Names of the channels, such as agent,customer.")] = "",
    hotwords: Hotwords = None,
    lm: LanguageModel = None,
    skip_existing: Annotated[bool, typer.Option(help="Leave out what --out holds already: go on after a stop.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_seconds: BatchSeconds = None,
    quiet: Quiet = False,
) -> None:
    """Transcribe recordings; a bad file is named, the rest is done, and the exit code is 1."""
    from speechxfer import Transcriber
    from speechxfer.cli.progress import TranscriptionProgress
    from speechxfer.errors import AudioError
    from speechxfer.report import write_text
    from speechxfer.transcription import Recording, find_recordings, render

    if channels not in ("mix", "split") and not channels.isdecimal():
        raise typer.BadParameter(f"{channels!r}: expected mix, split or a number from 0", param_hint="--channels")
    if roles and channels == "mix":
        raise typer.BadParameter("channels that are mixed have no roles; add --channels split", param_hint="--roles")
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
        roles=[role.strip() for role in roles.split(",")] if roles else (),
    )
    failed = 0
    with TranscriptionProgress(len(recordings), quiet) as progress:
        results = transcriber.transcribe_all(_opened(recordings), progress.decoded)
        for recording, result in zip(recordings, results, strict=True):
            progress.finished()
            problems = [str(result)] if isinstance(result, AudioError) else result.problems
            if problems:
                failed += 1
                print(*(f"speechxfer: {problem}" for problem in problems), sep="\n", file=sys.stderr)
            if isinstance(result, AudioError):
                continue
            for note in [] if quiet else result.notes:
                print(f"note: {recording.path}: {note}", file=sys.stderr)
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


def _opened(recordings: list[Recording]) -> Iterator[Path | BinaryIO]:
    for recording in recordings:
        if recording.path != Path(_STDIN):
            yield recording.path
            continue
        with tempfile.TemporaryFile() as file:  # most formats are read by seeking, and hours may come
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.seek(0)
            yield file

"""A Kaldi data directory in (wav.scp, and if there are any segments, text, utt2spk, spk2gender), columns of text out."""

from __future__ import annotations

from pathlib import Path

from speechxfer.data.formats.table import Table, read_lines
from speechxfer.errors import DataError, Problem


def read_kaldi(directory: Path) -> Table:
    """Read a data directory; audio paths are relative to the working directory, as Kaldi's are, or to the directory itself.

    Raises
    ------
    DataError
        If `wav.scp` is missing or a line has no value; a command in `wav.scp` (`... |`) is never run, but named.
    """
    problems: list[Problem] = []
    recordings = _map(directory / "wav.scp", problems)
    for name, (line, value) in recordings.items():
        if value.endswith("|"):
            what = f"{name} is a command, which is not run: write its output to a file, and that file's path here"
            problems.append(Problem(str(directory / "wav.scp"), line, what))
    segments = directory / "segments"
    rows = _map(segments if segments.is_file() else directory / "wav.scp", problems)
    source = str(segments if segments.is_file() else directory / "wav.scp")
    table = Table({name: [] for name in ("id", "audio", "start", "end")}, source=source)
    for utterance, (line, value) in rows.items():
        recording, start, end = [*value.split(), "", ""][:3] if segments.is_file() else (utterance, "", "")
        if recording not in recordings:
            problems.append(Problem(table.source, line, f"{utterance}: no recording {recording!r} in wav.scp"))
            continue
        audio = Path(recordings[recording][1])
        beside = directory / audio
        place = beside if beside.exists() or not audio.exists() else audio
        for column, text in zip(table.columns.values(), (utterance, str(place.absolute()), start, end), strict=True):
            column.append(text)
        table.lines.append(line)
    _add_columns(directory, table, problems)
    if problems:
        raise DataError(problems)
    return table


def _add_columns(directory: Path, table: Table, problems: list[Problem]) -> None:
    per_utterance = {"text": "text", "speaker": "utt2spk", "language": "utt2lang"}
    for column, file in per_utterance.items():
        if (directory / file).is_file():
            values = _map(directory / file, problems)
            table.columns[column] = [values.get(name, (0, ""))[1] for name in table.columns["id"]]
    if (directory / "spk2gender").is_file() and "speaker" in table.columns:
        genders = _map(directory / "spk2gender", problems)
        table.columns["gender"] = [genders.get(name, (0, ""))[1] for name in table.columns["speaker"]]


def _map(path: Path, problems: list[Problem]) -> dict[str, tuple[int, str]]:
    """Read lines of a name and its value: name to (line, value)."""
    found: dict[str, tuple[int, str]] = {}
    for line, text in read_lines(path):
        name, _, value = text.partition(" ")
        if name in found:
            problems.append(Problem(str(path), line, f"{name} stands on line {found[name][0]} already"))
        found[name] = (line, value.strip())
    return found

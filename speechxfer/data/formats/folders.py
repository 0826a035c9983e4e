"""Folders laid out as LibriSpeech or Common Voice are, or with a folder of audio for each class, in; columns of text out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from speechxfer.data.formats.table import Table, read_delimited, read_lines
from speechxfer.data.suffixes import RECORDING_SUFFIXES
from speechxfer.errors import DataError, Problem

_SETS = ("train", "dev", "test")  # of Common Voice, none of whose sentences or speakers is in two


def read_librispeech(directory: Path) -> Table:
    """Read every `SPEAKER/CHAPTER/*.trans.txt` below; the folder above the speaker (`train-clean-100`) is the column `subset`."""
    rows = []
    for path in sorted(directory.rglob("*.trans.txt")):
        speaker, chapter = path.parent.parent.name, path.parent.name
        for _, line in read_lines(path):
            name, _, text = line.partition(" ")
            audio = next(
                (file for suffix in (".flac", ".wav", ".opus") if (file := path.parent / f"{name}{suffix}").exists()), None
            )
            rows.append(
                (name, str((audio or path.parent / f"{name}.flac").absolute()), text, speaker, chapter, path.parents[2].name)
            )
    return _table(("id", "audio", "text", "speaker", "chapter", "subset"), rows, directory)


def read_common_voice(directory: Path) -> Table:
    """Read `train.tsv`, `dev.tsv` and `test.tsv`, or `validated.tsv` where these are missing; audio lies in `clips/`."""
    there = [name for name in _SETS if (directory / f"{name}.tsv").is_file()] or ["validated"]
    names = {"path": "audio", "sentence": "text", "client_id": "speaker", "locale": "language"}
    whole = Table({})
    for set_name in there:
        table = read_delimited(directory / f"{set_name}.tsv", "\t", quoted=False)
        if missing := {"path", "sentence"} - table.columns.keys():
            what = f"no column {' and '.join(sorted(missing))}: not a table of Common Voice"
            raise DataError([Problem(str(directory / f"{set_name}.tsv"), 1, what)])
        columns = {names.get(name, name): values for name, values in table.columns.items()}
        columns["audio"] = [str((directory / "clips" / name).absolute()) for name in columns["audio"]]
        columns["id"] = [Path(name).stem for name in columns["audio"]]
        columns["split"] = [set_name if set_name in _SETS else ""] * len(table.lines)
        for name in columns.keys() - whole.columns.keys():
            whole.columns[name] = [""] * len(whole.lines)
        for name, column in whole.columns.items():
            column += columns.get(name, [""] * len(table.lines))
        whole.lines.extend(table.lines)
        whole.problems += table.problems
    return whole


def read_classes(directory: Path) -> Table:
    """Read a folder for each class, whose name is the label, with audio anywhere below; but for names with `.` or `_` first."""
    rows = []
    for folder in sorted(path for path in directory.iterdir() if path.is_dir() and path.name[0] not in "._"):
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in RECORDING_SUFFIXES:
                rows.append((str(path.relative_to(directory).with_suffix("")), str(path.absolute()), folder.name))
    return _table(("id", "audio", "label"), rows, directory)


def _table(names: Iterable[str], rows: Sequence[tuple[str, ...]], directory: Path) -> Table:
    if not rows:
        raise DataError([Problem(str(directory), None, "no audio with a transcript or in a class's folder")])
    table = Table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    table.lines.extend(range(1, len(rows) + 1))
    return table

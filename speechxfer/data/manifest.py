"""Manifest: the columnar table of utterances. A file such as `manifest.csv[split=train]` in, utterances by row out.

Paths are relative to the manifest's folder; row order is stable; unknown columns are kept; labels stay text.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Self

from speechxfer.data.formats import PREFIX, Table, read_hub, read_table, write_rows
from speechxfer.data.storage import is_remote, read_text
from speechxfer.data.utterance import Utterance
from speechxfer.errors import DataError, Problem, StorageError

STANDARD_COLUMNS = (
    "id",
    "audio",
    "start",
    "end",
    "channel",
    "text",
    "label",
    "duration",
    "speaker",
    "call",
    "language",
    "split",
)
_ALIASES = ("path", "audio_filepath")  # of `audio`
_TIMES = ("start", "end", "duration")
_SELECTOR = re.compile(r"^(?P<path>.*?)\[(?P<conditions>[^\[\]]*)\]$", re.DOTALL)


class Manifest:
    """A table of utterances.

    Parameters
    ----------
    columns
        Name to one text per row; the empty text is "unknown". Must hold `id` and `audio`.
    source
        The file it came from, for messages and for resolving relative audio paths.
    lines
        The line in `source` of each row.
    problems
        What is wrong with single rows, found while reading; `row` points into this manifest.
    """

    def __init__(
        self, columns: Mapping[str, list[str]], source: str, lines: Sequence[int], problems: Sequence[Problem] = ()
    ) -> None:
        self.columns = dict(columns)
        self.source = source
        self.lines = array("q", lines)
        self.problems = list(problems)
        self._root = source.rpartition("/")[0] if is_remote(source) else Path(source).parent

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.lines)

    def __iter__(self) -> Iterator[Utterance]:
        """Give all utterances in row order."""
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> Utterance:
        """Give one utterance; a time or channel that is not a number reads as not given (see `problems`)."""

        def value(name: str) -> str:
            return self.columns[name][row] if name in self.columns else ""

        return Utterance(
            id=value("id"),
            audio=self._audio(value("audio")),
            start=_seconds(value("start")) or 0.0,
            end=_seconds(value("end")),
            channel=_channel(value("channel")),
            text=value("text") or None,
            label=value("label") or None,
            fields=MappingProxyType(
                {name: column[row] for name, column in self.columns.items() if name not in STANDARD_COLUMNS[:7]}
            ),
        )

    def _audio(self, name: str) -> str:
        """Give the path or URL of a file that is named in the manifest."""
        if is_remote(name):
            return name
        if isinstance(self._root, Path):
            return str(self._root / name)
        return name if name.startswith("/") else f"{self._root}/{name}"

    def __repr__(self) -> str:
        """Give source and size."""
        return f"Manifest({self.source!r}, {len(self)} utterances)"

    def select(self, rows: Sequence[int]) -> Self:
        """Give a manifest of these rows (from 0), in this order, with the problems of them and of the whole file."""
        place = {old: new for new, old in enumerate(rows)}
        return type(self)(
            {name: [column[row] for row in rows] for name, column in self.columns.items()},
            self.source,
            [self.lines[row] for row in rows],
            [p if p.row is None else replace(p, row=place[p.row]) for p in self.problems if p.row is None or p.row in place],
        )

    def where(self, /, **conditions: str) -> Self:
        """Give the rows whose columns, by name, have exactly these values; a column that is missing is empty in every row."""
        wanted = [(self.columns.get(name, [""] * len(self)), value) for name, value in conditions.items()]
        return self.select([row for row in range(len(self)) if all(column[row] == value for column, value in wanted)])

    def problem(self, row: int, what: str) -> Problem:
        """Give a problem that names this row's file and line."""
        return Problem(self.source, self.lines[row], what, row)

    def write(self, path: Path) -> None:
        """Write the rows as CSV into the file `path`, with absolute audio paths so that it may lie anywhere."""
        import csv

        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            audio = [from_anywhere(self._audio(value)) for value in self.columns["audio"]]
            writer.writerows(zip(*{**self.columns, "audio": audio}.values(), strict=True))


def write_manifest(manifest: Manifest, path: Path, kind: str) -> None:
    """Write a manifest for other tools.

    Parameters
    ----------
    manifest
        With durations, see `check_sets`.
    path
        A file, or for `kaldi` a directory.
    kind
        `csv`, `tsv`, `jsonl`, `nemo`, `stm` or `kaldi`.

    Raises
    ------
    DataError
        If the kind is unknown, its form has no place for what a row holds, or `path` is a folder that holds anything else.
    """
    columns = {**manifest.columns, "audio": [from_anywhere(str(utterance.audio)) for utterance in manifest]}
    write_rows([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)], path, kind)


def from_anywhere(audio: str) -> str:
    """Give a recording's name as it is from whatever folder."""
    return audio if is_remote(audio) else str(Path(audio).absolute())


def parse_manifest(spec: str | Path) -> Manifest:
    """Read a manifest; rows with problems stay in it, named in its `problems`.

    Parameters
    ----------
    spec
        `file`, or `file[column=value,...]` for the rows that have these values, on the disk or at a URL; a folder, laid out as
        those of Kaldi, LibriSpeech or Common Voice, or with one folder for each class; or `hub:OWNER/NAME[split=train]`, see
        `read_hub`.

    Returns
    -------
    Manifest
        All selected rows.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, what stands in brackets is not `column=value`, or no row is selected.
    """
    path, conditions = _split_spec(str(spec))
    if path.startswith(PREFIX):
        table = read_hub(path, conditions.get("split"))
    else:
        table = _fetched(path) if is_remote(path) else read_table(Path(path))
    columns = _rename_alias(table.columns)
    required = ["audio", *conditions]
    missing = [Problem(path, 1, _missing_column(name, columns)) for name in required if name not in columns]
    if missing:
        raise DataError([*missing, *table.problems])
    if "id" not in columns:
        stems = (os.path.splitext(os.path.basename(audio))[0] for audio in columns["audio"])
        columns["id"] = [f"{stem}:{line}" for stem, line in zip(stems, table.lines, strict=True)]
    manifest = Manifest(columns, table.source or path, table.lines)
    manifest.problems = [problem for row in _suspicious_rows(manifest) for problem in _row_problems(manifest, row)]
    selected = manifest.where(**conditions) if conditions else manifest
    if not len(selected) and not table.problems:
        found = {name: sorted(set(columns[name]))[:10] for name in conditions}
        raise DataError([Problem(path, None, f"no row has {conditions}; found {found}")])
    # Rows that could not be split into fields have no place in the table; they are named whatever is selected.
    selected.problems.extend(table.problems)
    return selected


def read_manifest(spec: str | Path) -> Manifest:
    """Read a manifest whose rows must all be well-formed.

    Parameters
    ----------
    spec
        CSV, TSV or JSONL file, or `file[column=value,...]` for a part of it; whatever else `parse_manifest` takes. Audio paths in
        it are relative to its folder; times are in seconds.

    Returns
    -------
    Manifest
        The table; audio files are not opened.

    Raises
    ------
    DataError
        Naming every row with a problem; or as `parse_manifest`.
    """
    manifest = parse_manifest(spec)
    if manifest.problems:
        raise DataError(manifest.problems)
    return manifest


def _fetched(url: str) -> Table:
    """Read a manifest at a URL; its problems name the URL."""

    def there(problems: Sequence[Problem]) -> list[Problem]:
        return [replace(problem, file=url) for problem in problems]

    try:
        text = read_text(url)
    except StorageError as error:
        raise DataError([Problem(url, None, f"cannot read the manifest: {str(error).removeprefix(f'{url}: ')}")]) from None
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / url.rpartition("/")[2]
        copy.write_text(text, encoding="utf-8")
        try:
            table = read_table(copy)
        except DataError as error:
            raise DataError(there(error.problems)) from None
    return replace(table, source=url, problems=there(table.problems))


def _split_spec(spec: str) -> tuple[str, dict[str, str]]:
    match = _SELECTOR.match(spec)
    if not match or Path(spec).exists():
        return spec, {}
    conditions: dict[str, str] = {}
    for condition in match["conditions"].split(","):
        name, equals, value = condition.partition("=")
        if not equals:
            raise DataError([Problem(match["path"], None, f"[{match['conditions']}]: expected [column=value,...]")])
        conditions[name.strip()] = value.strip()
    return match["path"], conditions


def _rename_alias(columns: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Read the first alias of `audio` as `audio`, unless there is such a column; others stay columns of the user's own."""
    alias = next((name for name in columns if name in _ALIASES), None)
    if alias is None or "audio" in columns:
        return dict(columns)
    return {"audio" if name == alias else name: values for name, values in columns.items()}


def _missing_column(name: str, columns: Mapping[str, list[str]]) -> str:
    near = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
    return f"no column `{name}`; " + (f"is it `{near[0]}`?" if near else f"found {', '.join(columns) or 'no header'}")


def missing_column(manifest: Manifest, name: str) -> Problem:
    """Give the problem that a task needs this column and the manifest lacks it."""
    return Problem(manifest.source, 1, _missing_column(name, manifest.columns), skippable=False)


def _suspicious_rows(manifest: Manifest) -> list[int]:
    """Give the rows that may have a problem, by looking at each distinct value once: millions of rows are ordinary."""
    columns = manifest.columns
    seconds = {text: _seconds(text) for name in _TIMES for text in set(columns.get(name, ()))}
    no_times = {text for text, value in seconds.items() if text and value is None}
    no_channels = {text for text in set(columns.get("channel", ())) if text and _channel(text) is None}
    bad = {"audio": {""}, "channel": no_channels, **dict.fromkeys(_TIMES, no_times)}
    found = {row for name, values in bad.items() if values for row, text in enumerate(columns.get(name, ())) if text in values}
    if "end" in columns:
        starts = [seconds[text] or 0.0 for text in columns["start"]] if "start" in columns else [0.0] * len(manifest)
        ends = [seconds[text] for text in columns["end"]]
        found |= {row for row, (start, end) in enumerate(zip(starts, ends, strict=True)) if end is not None and end <= start}
    return sorted(found)


def _row_problems(manifest: Manifest, row: int) -> Iterator[Problem]:
    """Check the form of one row's times and channel."""
    for name in _TIMES:
        text = manifest.columns[name][row] if name in manifest.columns else ""
        if text and _seconds(text) is None:
            yield manifest.problem(row, f"{name} is {text!r}, expected seconds, 0 or more")
    channel = manifest.columns["channel"][row] if "channel" in manifest.columns else ""
    if channel and _channel(channel) is None:
        yield manifest.problem(row, f"channel is {channel!r}, expected 0, 1, ...")
    if not manifest.columns["audio"][row]:
        yield manifest.problem(row, "audio is empty, expected a path")
    if "end" in manifest.columns:
        utterance = manifest[row]
        if utterance.end is not None and utterance.end <= utterance.start:
            yield manifest.problem(row, f"end {utterance.end} is not after start {utterance.start}")


def _channel(text: str) -> int | None:
    """Read a channel's number; no file has thousands of channels, and `int` refuses very long numbers."""
    return int(text) if text.isdecimal() and len(text) <= 4 else None


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
